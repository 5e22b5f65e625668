"""Revision 0006: passkeys, step-up, and administrators without a password."""

from gatepost.service.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0006_administrators.sql")
