"""Revision 0002: the job queue (Procrastinate's own tables) in the schema ``jobs``."""

from alembic import op
from procrastinate.schema import SchemaManager

from gatepost.service.migrations import run_text

revision = "0002"
down_revision = "0001"

RIGHTS = """
GRANT USAGE ON SCHEMA jobs TO gatepost_app, gatepost_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO gatepost_app, gatepost_operator;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO gatepost_app, gatepost_operator;
"""


def upgrade() -> None:
    """Install the tables and functions of the library that is installed, then go back to our own schema."""
    op.execute("CREATE SCHEMA jobs")
    op.execute("SET LOCAL search_path = jobs")
    run_text(SchemaManager.get_schema())
    op.execute("SET LOCAL search_path = public")
    op.execute(RIGHTS)
