"""Revision 0014: mail to people."""

from gatepost.service.migrations import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0014_notices.sql")
