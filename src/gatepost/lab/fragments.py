"""PSRP messages cut into fragments and laid into the stream elements of one answer (MS-PSRP 2.2.1 and 2.2.4).

psrpcore makes every message except pipeline output; this makes the fragments of them all, so that one place decides how
large they are and what shares an element.
"""

import struct
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

FRAGMENT = struct.Struct(">QQBI")
MESSAGE = struct.Struct("<iI16s16s")
TO_CLIENT = 1
PIPELINE_OUTPUT = 0x00041004
START, END = 1, 2
BOM = b"\xef\xbb\xbf"


class Layout(NamedTuple):
    """How fragments are laid out: the largest fragment with its header, in bytes, and how many share an element."""

    fragment: int = 32_768
    share: int = 1


class Outbox:
    """What waits to be received by one target: whole messages in order, and rows still to be rendered.

    ``feed`` gives the next message's data of a running listing, None when there is none left; ``ended`` is called once
    then, and may add the last messages. Not thread-safe: its shell's lock is held.
    """

    def __init__(self, next_id: Callable[[], int]) -> None:
        self._next_id = next_id
        self._messages: deque[tuple[int, bytes]] = deque()
        self._rest: tuple[int, int, bytes] | None = None
        self._feed: Iterator[bytes] | None = None
        self._ended: Callable[[], None] | None = None

    def add(self, object_id: int, message: bytes) -> None:
        """Queue a whole message."""
        self._messages.append((object_id, message))

    def run(self, feed: Iterator[bytes], ended: Callable[[], None]) -> None:
        """Let ``feed`` fill what follows."""
        self._feed, self._ended = feed, ended

    def stop(self) -> None:
        """Forget the listing; what was queued stays."""
        self._feed = self._ended = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send now."""
        return self._rest is None and not self._messages and self._feed is None

    def _next(self) -> tuple[int, int, bytes] | None:
        """The next message as object id, fragment id and data still to be sent."""
        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        while not self._messages and self._feed is not None:
            data = next(self._feed, None)
            if data is not None:
                return self._next_id(), 0, data
            ended, self._feed, self._ended = self._ended, None, None
            if ended is not None:
                ended()
        if not self._messages:
            return None
        object_id, message = self._messages.popleft()
        return object_id, 0, message

    def _fragment(self, room: int) -> bytes | None:
        """The next fragment of at most ``room`` bytes with its header."""
        found = self._next()
        if found is None:
            return None
        object_id, number, data = found
        space = room - FRAGMENT.size
        flags = (0 if number else START) | (END if len(data) <= space else 0)
        if len(data) > space:
            self._rest = (object_id, number + 1, data[space:])
            data = data[:space]
        return FRAGMENT.pack(object_id, number, flags, len(data)) + data

    def fill(self, budget: int, layout: Layout, ends: tuple[bytes, bytes]) -> list[bytes]:
        """Stream elements, in parts, of at most ``budget`` bytes together (at least one, if there is anything)."""
        before, after = ends
        overhead = len(before) + len(after)
        smallest = FRAGMENT.size + min(512, layout.fragment - FRAGMENT.size)
        parts: list[bytes] = []
        while True:
            room = min((budget - overhead) // 4 * 3 // layout.share, layout.fragment)
            if room < smallest and parts:
                return parts
            room = max(room, smallest)
            fragments = [found for _ in range(layout.share) if (found := self._fragment(room)) is not None]
            if not fragments:
                return parts
            text = b64encode(fragments[0] if len(fragments) == 1 else b"".join(fragments))
            parts += (before, text, after)
            budget -= overhead + len(text)
