"""How the service shows systemd that it lives: only while its event loop turns and its database answers."""

import asyncio
import logging

from gatepost import systemd
from gatepost.errors import GatepostError
from gatepost.service.database import Database

log = logging.getLogger("gatepost.service")


async def watch(database: Database) -> None:
    """Give signs of life until cancelled."""
    within = systemd.watchdog_seconds()
    while within:
        try:
            async with asyncio.timeout(within / systemd.FEEDS), database.control() as scope:
                await scope.one("schema.incarnation")
            systemd.notify(systemd.ALIVE)
        except (GatepostError, TimeoutError) as error:
            log.warning("the database does not answer (%s): no sign of life is given", type(error).__name__)
        await asyncio.sleep(within / systemd.FEEDS)
