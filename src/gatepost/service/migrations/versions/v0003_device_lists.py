"""Revision 0003: indexes for the lists of devices."""

from gatepost.service.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the indexes."""
    run_sql("v0003_device_lists.sql")
