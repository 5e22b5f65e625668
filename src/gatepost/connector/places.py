"""Where a mailbox is, and how its lists were, as the last sealed listing has it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.connector.store import BASELINE, Store
from gatepost.domain.contract import MAILBOX_COLUMNS
from gatepost.domain.devices import AccessLists


@dataclass(frozen=True, slots=True)
class Place:
    """One mailbox: its distinguished name, its primary address, and its lists then (None where they were not told)."""

    dn: str | None
    address: str | None
    lists: AccessLists


class Places:
    """The mailboxes of a store's sealed listing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def known(self) -> bool:
        """Whether there is a listing at all."""
        return self._store.note(BASELINE) is not None

    def find(self, mailbox: str) -> Place | None:
        """The mailbox with this guid, None where the listing has none."""
        rows = self._store.all("SELECT dn, row FROM sealed_mailboxes WHERE guid = ?", (mailbox,))
        return _place(*rows[0]) if rows else None

    def find_all(self, mailboxes: Iterable[str]) -> dict[str, Place]:
        """Those of these mailboxes that the listing has, by guid, in one query."""
        statement = "SELECT guid, dn, row FROM sealed_mailboxes WHERE guid IN (SELECT value FROM json_each(?))"
        rows = self._store.all(statement, (json.dumps(list(mailboxes)),))
        return {guid: _place(dn, text) for guid, dn, text in rows}

    def kinds_at(self, address: str) -> set[str]:
        """What the mailboxes with this primary address are; nothing where the listing has none."""
        columns = [f"$[{MAILBOX_COLUMNS.index(name)}]" for name in ("kind", "primary_smtp")]
        statement = (
            "SELECT json_extract(row, ?) FROM sealed_mailboxes WHERE lower(json_extract(row, ?)) = lower(?) LIMIT 2"
        )
        return {str(row[0]) for row in self._store.all(statement, (*columns, address))}


def _place(dn: str | None, text: str | None) -> Place:
    """A mailbox as its row in the listing tells it; one that could not be told whole has no row."""
    if text is None:
        return Place(dn, None, AccessLists(None, None))
    row = dict(zip(MAILBOX_COLUMNS, json.loads(text), strict=True))
    allowed, blocked = (None if row[name] is None else tuple(row[name]) for name in ("allowed_ids", "blocked_ids"))
    return Place(row["dn"], row["primary_smtp"], AccessLists(allowed, blocked))
