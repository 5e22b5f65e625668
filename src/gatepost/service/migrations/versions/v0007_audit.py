"""Revision 0007: the chain of the audit trail."""

from gatepost.service.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0007_audit.sql")
