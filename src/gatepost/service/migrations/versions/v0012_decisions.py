"""Revision 0012: what is decided, and what is to be."""

from gatepost.service.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0012_decisions.sql")
