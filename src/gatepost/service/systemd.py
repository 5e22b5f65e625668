"""What the service tells systemd (sd_notify), and how it shows that it lives; nothing where systemd is not there."""

import asyncio
import logging
import os
import socket

from gatepost.errors import GatepostError
from gatepost.service.database import Database

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
FEEDS = 3  # times within what systemd waits for
log = logging.getLogger("gatepost.service")


def notify(state: str) -> bool:
    """Tell systemd of a state; whether there was somebody to tell. A notification that fails stops nobody."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.connect(address)
            line.sendall(state.encode())
    except OSError as error:
        log.warning("systemd cannot be told %s: %s", state, error.strerror)
        return False
    return True


def watchdog_seconds() -> float | None:
    """How long systemd waits for a sign of life, None where it does not watch this process."""
    told, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not told.isdigit() or int(told) == 0 or (process and process != str(os.getpid())):
        return None
    return int(told) / 1_000_000


async def watch(database: Database) -> None:
    """Give signs of life until cancelled: only while the event loop turns and the database answers."""
    within = watchdog_seconds()
    while within:
        try:
            async with asyncio.timeout(within / FEEDS), database.control() as scope:
                await scope.one("schema.incarnation")
            notify(ALIVE)
        except (GatepostError, TimeoutError) as error:
            log.warning("the database does not answer (%s): no sign of life is given", type(error).__name__)
        await asyncio.sleep(within / FEEDS)
