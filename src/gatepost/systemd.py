"""What a program of ours tells systemd (sd_notify(3)); nothing where systemd is not there. A leaf of two functions."""

import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
FEEDS = 3  # signs of life within what systemd waits for


def notify(state: str) -> bool:
    """Tell systemd of a state; whether it was told. A notification that fails stops nobody."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    family = getattr(socket, "AF_UNIX", None)  # Windows has none
    if not address or family is None:
        return False
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect("\0" + address[1:] if address.startswith("@") else address)
            line.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """How long systemd waits for a sign of life, None where it does not watch this process."""
    told, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not told.isdigit() or int(told) == 0 or (process and process != str(os.getpid())):
        return None
    return int(told) / 1_000_000
