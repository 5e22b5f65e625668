"""What follows a transaction that brought something new: each step looks at what is there, in one of its own.

Called after the commit, in the process that made it, so that a phone is let in within seconds; and by jobs, for what a
process that died left. Every step is level-triggered: again, late or twice makes no difference.
"""

from uuid import UUID

from gatepost.service import removal
from gatepost.service.database import Database


async def follow(database: Database, tenant_id: UUID) -> None:
    """Decide what is due, tell people what they are to be told, end what is at its end."""
    await removal.advance(database, tenant_id)
