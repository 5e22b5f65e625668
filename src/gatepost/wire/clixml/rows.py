"""Listings: many objects of nearly one shape become tuples of the wanted properties."""

import re
from collections.abc import Sequence
from typing import TypeAlias

from gatepost.errors import UnreadableObject, WireError
from gatepost.wire.clixml.reader import Reader
from gatepost.wire.clixml.values import Value

Row: TypeAlias = tuple[Value, ...]

_TYPE_NAMES = re.compile(r"<T>[^<]*</T>")
_TAG = re.compile(r"<[^>]*>")
_EXCERPT = 200


class Rows:
    """Reads the objects of one listing as tuples of the properties in ``fields``, in that order.

    Keep one for a whole listing: it counts the objects.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = tuple(fields)
        self._count = 0

    def decode(self, payloads: Sequence[bytes]) -> list[Row | UnreadableObject]:
        """One row per object, in order; a missing property is None.

        An object that cannot be read is returned as the UnreadableObject that says why; it raises nothing.
        """
        rows: list[Row | UnreadableObject] = []
        for payload in payloads:
            found = self._read(payload)
            self._count += len(found)
            rows += found
        return rows

    def _read(self, payload: bytes) -> list[Row | UnreadableObject]:
        try:
            reader = Reader(payload)
        except WireError as error:
            return [self._unreadable(0, error, payload)]
        rows: list[Row | UnreadableObject] = []
        for place, element in enumerate(reader.objects):
            try:
                members = reader.members(element)
                rows.append(tuple(reader.member(members[name]) if name in members else None for name in self._fields))
            except WireError as error:
                rows.append(self._unreadable(place, error, payload))
        return rows

    def _unreadable(self, place: int, error: WireError, payload: bytes) -> UnreadableObject:
        return UnreadableObject(self._count + place, error.cause.rstrip("."), excerpt(payload))


def excerpt(payload: bytes) -> str:
    """The first readable text of a payload, without tags, type names and control characters."""
    start = payload[:4096].decode("utf-8", "replace").lstrip("\ufeff")
    words = _TAG.sub(" ", _TYPE_NAMES.sub("", start))
    return "".join(part if part.isprintable() else " " for part in " ".join(words.split()))[:_EXCERPT]
