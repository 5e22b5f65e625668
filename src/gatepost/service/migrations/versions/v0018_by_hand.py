"""Revision 0018: whose pins took or gave access."""

from gatepost.service.migrations import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column."""
    run_sql("v0018_by_hand.sql")
