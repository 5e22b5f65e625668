"""Revision 0009: alerts and where they go."""

from gatepost.service.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0009_alerts.sql")
