"""Revision 0013: holds and budgets."""

from gatepost.service.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0013_holds.sql")
