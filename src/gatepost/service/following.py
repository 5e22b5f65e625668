"""What follows a transaction that brought something new: each step looks at what is there, in one of its own.

Called after the commit, in the process that made it, so that a phone is let in within seconds; and each second by every
replica, for what time brings and for what a process that died left. Every step is level-triggered: again, late or twice
makes no difference.
"""

import asyncio
import logging
from uuid import UUID

import psycopg

from gatepost.errors import DatabaseError, GatepostError
from gatepost.service import removal
from gatepost.service.access import deciding, due
from gatepost.service.database import Database
from gatepost.service.notices import making

STEP_SECONDS = 2.0
LOOK_SECONDS = 1.0
AGAIN_SECONDS = 0.05
AWAY_SECONDS = 5.0
log = logging.getLogger("gatepost.service")


async def follow(database: Database, tenant_id: UUID) -> bool:
    """Decide what is due, tell people what they are to be told, end what is at its end; whether that could be done.

    Where very much is due, only for about ``STEP_SECONDS``; the rest is for ``run``. What was committed before stands
    whatever becomes of this, and has its answer: a fault is written to the log, and it is tried again by ``run``.
    Raises DatabaseError where the database is away.
    """
    try:
        await deciding.advance(database, tenant_id, STEP_SECONDS)
        await making.announce(database, tenant_id)
        await removal.advance(database, tenant_id)
    except DatabaseError:
        raise
    except Exception:  # what follows must neither take an answer away nor end by a fault of its own
        log.exception("nothing is decided for the tenant %s", tenant_id)
        return False
    return True


async def look(database: Database) -> int:
    """Follow each tenant in which something is due by now; for how many it could be done. A fault stops only itself."""
    async with database.control() as scope:
        tenants = await due.tenants(scope)
    done = 0
    for tenant_id in tenants:
        try:
            done += await follow(database, tenant_id)
        except DatabaseError as error:
            log.warning("nothing is decided for the tenant %s: %s", tenant_id, error)
    return done


async def run(database: Database) -> None:
    """Look each second until cancelled, at once again while there is more; an outage is told once."""
    away = False
    while True:
        try:
            found = await look(database)
            away = False
            await asyncio.sleep(AGAIN_SECONDS if found else LOOK_SECONDS)
        except (psycopg.Error, GatepostError) as error:
            if not away:
                log.warning("nothing is decided (%s); it goes on when the database is back", type(error).__name__)
            away = True
            if (task := asyncio.current_task()) and task.cancelling():
                return  # it met the cancellation while its connection broke, which hides it
            await asyncio.sleep(AWAY_SECONDS)
