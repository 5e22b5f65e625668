"""Revision 0010: people, groups and compliance."""

from gatepost.service.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0010_directory.sql")
