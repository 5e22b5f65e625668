"""Revision 0011: versions of the policy and its rollout."""

from gatepost.service.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables."""
    run_sql("v0011_policies.sql")
