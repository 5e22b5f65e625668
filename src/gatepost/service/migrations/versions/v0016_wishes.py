"""Revision 0016: settings of Exchange that are wanted."""

from gatepost.service.migrations import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0016_wishes.sql")
