"""Listings: many objects of nearly one shape become tuples of the wanted properties."""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from gatepost.errors import UnreadableObject, WireError
from gatepost.wire.clixml.reader import BOM, OPAQUE, Reader
from gatepost.wire.clixml.shapes import Sample, Shape, cut
from gatepost.wire.clixml.values import Value

Row: TypeAlias = tuple[Value, ...]

MAX_SHAPES: Final = 8
FIRST_LESSON: Final = 32
"""So many objects are read one by one before the first shape is made of them; each later lesson waits twice as long."""
MAX_FITTING: Final = 65_536
"""Longer messages, in bytes, are not tried on a shape: the general reader holds them to its limits."""

_TYPE_NAMES = re.compile(r"<T>[^<]*</T>")
_TAG = re.compile(r"<[^>]*>")
_EXCERPT = 200
_UNFIT = bytes(set(range(32)) - {9, 10}) + b"&"
_REFUSED = re.compile("[\x00-\x08\x0b-\x1f]|&(?!(?:amp|lt|gt|quot|apos);)")


class Rows:
    """Reads the objects of one listing as tuples of the properties in ``fields``, in that order.

    Keep one for a whole listing: it counts the objects and learns their shapes.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = tuple(fields)
        self._wanted = frozenset(fields) - {OPAQUE}
        self._count = 0
        self._shapes: list[Shape] = []
        self._missed: deque[str] = deque(maxlen=FIRST_LESSON)
        self._misses = 0
        self._lesson = FIRST_LESSON

    def decode(self, payloads: Iterable[bytes]) -> list[Row | UnreadableObject]:
        """One row per object, in order; a missing property is None.

        An object that cannot be read is returned as the UnreadableObject that says why; it raises nothing.
        """
        rows: list[Row | UnreadableObject] = []
        for payload in payloads:
            row = self._fitted(payload)
            if row is not None:
                rows.append(row)
            else:
                rows += self._read(payload, self._count + len(rows))
        self._count += len(rows)
        return rows

    def _fitted(self, payload: bytes) -> Row | None:
        """The row of a message that fits a known shape and holds nothing that XML forbids."""
        if not self._shapes or len(payload) > MAX_FITTING:
            return None
        source = _source(payload)
        if source is None:
            return None
        escaped = "&" in source or ("_" in source and "_x" in source)
        try:
            for shape in self._shapes:
                row = shape.read(source, escaped=escaped)
                if row is not None:
                    return row
        except (ValueError, ArithmeticError):
            return None
        return None

    def _read(self, payload: bytes, number: int) -> list[Row | UnreadableObject]:
        """The rows of a message by the general reader."""
        try:
            reader = Reader(payload)
        except WireError as error:
            return [_unreadable(number, error, payload)]
        rows: list[Row | UnreadableObject] = []
        for element in reader.objects:
            try:
                members = reader.members(element)
                rows.append(tuple(reader.member(members[name]) if name in members else None for name in self._fields))
            except WireError as error:
                rows.append(_unreadable(number + len(rows), error, payload))
        if len(rows) == 1 and isinstance(rows[0], tuple):
            self._miss(payload)
        return rows

    def _miss(self, payload: bytes) -> None:
        """Keep what fitted no shape; learn from it when enough has come together."""
        source = _source(payload) if len(payload) <= MAX_FITTING and len(self._fields) > 1 else None
        if source is None:
            return
        self._missed.append(source)
        self._misses += 1
        if self._misses >= self._lesson:
            self._learn()
            self._lesson *= 2
            self._misses = 0
            self._missed.clear()

    def _learn(self) -> None:
        frames: dict[tuple[str, ...], list[Sample]] = {}
        for source in self._missed:
            if sample := cut(source, self._wanted):
                frames.setdefault(sample.frame, []).append(sample)
        known = {shape.frame: shape for shape in self._shapes}
        for frame, samples in frames.items():
            if frame in known:
                known[frame].learn(samples)
            elif len(self._shapes) < MAX_SHAPES:
                self._shapes.append(Shape(self._fields, samples))


def excerpt(payload: bytes) -> str:
    """The first readable text of a payload, without tags, type names and control characters."""
    start = payload[:4096].decode("utf-8", "replace").lstrip("\ufeff")
    text = _TAG.sub(" ", _TYPE_NAMES.sub("", start))
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_EXCERPT]


def _source(payload: bytes) -> str | None:
    """The text of a message that a shape may be tried on, or None where XML might refuse it or change it.

    A shape does not see what a text must not hold: control characters and unknown entities; nor ``]]>``, nor the two
    characters that are none. A carriage return is left to the parser, which makes a newline of it.
    """
    try:
        source = payload.removeprefix(BOM).decode()
    except UnicodeDecodeError:
        return None
    if len(payload.translate(None, _UNFIT)) != len(payload) and _REFUSED.search(source):
        return None
    if "]" in source and "]]>" in source:  # one character is found many times faster than three
        return None
    return None if "\ufffe" in source or "\uffff" in source else source


def _unreadable(number: int, error: WireError, payload: bytes) -> UnreadableObject:
    return UnreadableObject(number, error.cause.rstrip("."), excerpt(payload))
