"""Revision 0004: pins, the ledger of list entries, and what the connector says of what is desired."""

from gatepost.service.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0004_writes.sql")
