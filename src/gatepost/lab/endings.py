"""How the bytes of an answer go out: whole, or as a fault has it end."""

import contextlib
import os
import socket
import struct
import time
from enum import Enum, auto

_DRIP_SECONDS = 0.02


class Ending(Enum):
    """What becomes of an answer on its way."""

    WHOLE = auto()
    CUT = auto()
    RESET = auto()
    DRIP = auto()


def deliver(connection: socket.socket, head: bytes, body: bytes, ending: Ending) -> bool:
    """Send an answer; whether the connection can go on. Raises OSError where the client is gone."""
    if ending is Ending.WHOLE:
        connection.sendall(head + body)
        return True
    connection.sendall(head + body[: len(body) // 2])
    if ending is Ending.RESET:
        reset(connection)
    elif ending is Ending.DRIP:
        for byte in body[len(body) // 2 :]:
            time.sleep(_DRIP_SECONDS)
            connection.sendall(bytes((byte,)))
    return ending is Ending.DRIP


def reset(connection: socket.socket) -> None:
    """End a connection by RST."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())


def hang(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass
