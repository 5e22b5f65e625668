"""Revision 0017: what a policy would do, by classes of devices."""

from gatepost.service.migrations import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the function and its view."""
    run_sql("v0017_preview.sql")
