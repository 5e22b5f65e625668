"""Revision 0008: the ends of a connection, and what stops all writing."""

from gatepost.service.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0008_connections.sql")
