"""Revision 0005: keys of tenants, and certificates of connectors."""

from gatepost.service.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0005_identity.sql")
