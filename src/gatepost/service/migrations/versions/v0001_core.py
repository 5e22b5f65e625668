"""Revision 0001: the tables of the first issue."""

from gatepost.service.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, their isolation and the rights on them."""
    run_sql("v0001_core.sql")
