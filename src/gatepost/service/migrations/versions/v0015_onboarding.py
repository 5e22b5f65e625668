"""Revision 0015: entries that were taken over."""

from gatepost.service.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0015_onboarding.sql")
