"""What must be done once to a database that was restored, before any service runs on it again.

Since the backup connectors have written to Exchange and told of it, people have signed in, tickets were spent: all of
that is lost here and still true outside. So the database gets another history (incarnation), at which connectors begin
afresh with a full synchronisation; whatever is published counts as possibly written, so that entries of ours that are
found are presumed ours and not taken for an administrator's (docs/decisions/0028); sessions and unspent tickets end.
"""

from uuid import UUID

from gatepost.domain.contract import LEASE_SECONDS
from gatepost.domain.events import Event, body_hash
from gatepost.errors import DatabaseError
from gatepost.service.database import Database


async def refuse_unfinished(database: Database) -> None:
    """See that no restore was broken off. Raises DatabaseError."""
    async with database.control() as scope:
        if await scope.one("restored.before") is None:
            raise DatabaseError(
                "This database was restored, and the restore was not finished.",
                "Run: gatepost service restored (with --data, or --operator-url-file).",
            )


async def begin_afresh(operator: Database, backup: str = "") -> UUID:
    """A new incarnation, and all that goes with it, in one transaction; ``backup`` says when the backup was made.

    Needs the operator's role. Running it again does no harm but another full synchronisation.
    """
    async with operator.control() as scope:
        before = await scope.one("restored.before")
        made = await scope.one("restored.begin")
        assert made is not None
        await scope.run("restored.acknowledge")
        await scope.run("restored.forget_memories", lease_seconds=LEASE_SECONDS)
        await scope.run("restored.forget_freshness")
        sessions = await scope.run("restored.forget_sessions")
        tickets = await scope.run("restored.forget_tickets")
        await scope.run("restored.forget_requests")
        body = {
            "before": {"incarnation": str(before["incarnation"]) if before else None},
            "after": {"incarnation": str(made["incarnation"])},
            "backup": backup,
            "sessions_ended": sessions,
            "tickets_ended": tickets,
        }
        rows = [
            {"tenant_id": row["tenant_id"], "body": body, "body_hash": body_hash(body)}
            for row in await scope.all("tenants.all")
        ]
        await scope.together("restored.tell", rows, event=Event.DATABASE_RESTORED.value)
    incarnation: UUID = made["incarnation"]
    return incarnation
