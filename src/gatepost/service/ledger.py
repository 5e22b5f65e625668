"""The ledger of list entries: intents before a write, and what the connector's outcomes say of whose an entry is.

What readings come to is decided in ``domain.ledger``; here they are kept. The caller holds the organization's head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gatepost.domain.desired import Entry, Level, ListName, Outcome
from gatepost.domain.ledger import OWNED, Ownership, Story, read_story, reading
from gatepost.service.database import Scope
from gatepost.service.memories import Memory

Key = tuple[UUID, str]


@dataclass(slots=True)
class _Entry:
    """One entry while outcomes are told; ``row`` is None where the ledger has none yet."""

    row: Mapping[str, Any] | None
    story: Story
    changed: bool = False

    @property
    def intended(self) -> int | None:
        """The revision since which a write of ours may have made it."""
        return self.row["intended_revision"] if self.row else None

    @property
    def released(self) -> int | None:
        """The revision that wants it no more; None while it is wanted."""
        if self.row is None or self.row["intended_revision"] is None:
            return 0
        released: int | None = self.row["released_revision"]
        return released

    @property
    def ownership(self) -> Ownership:
        """What the story comes to."""
        return self.story.state.ownership(self.released)

    def tell(self, outcome: Outcome, name: ListName, memory: Memory) -> None:
        """Take in what an outcome says of this list, if it says anything."""
        intended = self.intended
        doubted = intended is not None and intended <= memory.doubted
        wanted = (
            intended is not None
            and intended <= outcome.revision
            and (self.released is None or outcome.revision < self.released)
        )
        new = reading(outcome, name, memory.number, wanted=wanted, doubted=doubted)
        if self.row is None and not self.story.readings and new.saw is not True:
            return
        story = self.story.told(new)
        self.changed = self.changed or story != self.story
        self.story = story


async def intend(
    scope: Scope, organization_id: UUID, keys: Sequence[Key], entries: Sequence[Entry], revisions: Sequence[int]
) -> None:
    """Record what is wanted, each from its revision on, in the transaction that publishes it: before any write."""
    values = {
        "organization_id": organization_id,
        "mailbox_guids": [mailbox for mailbox, _ in keys],
        "device_ids": [device_id for _, device_id in keys],
        "entries": [entry.value for entry in entries],
        "revisions": list(revisions),
    }
    await scope.run("ledger.release", **values)
    await scope.run("ledger.intend", **values)


async def settle(scope: Scope, organization_id: UUID, levels: Mapping[Key, Level]) -> None:
    """What was adopted stays as it is until something else than leave is published for it; then it is ours as any."""
    keys = [key for key, level in levels.items() if level is not Level.LEAVE]
    if keys:
        await scope.run(
            "ledger.settle",
            organization_id=organization_id,
            mailbox_guids=[mailbox for mailbox, _ in keys],
            device_ids=[device_id for _, device_id in keys],
        )


async def tell(
    scope: Scope, organization_id: UUID, outcomes: Sequence[Outcome], memory: Memory
) -> dict[Key, list[ListName]]:
    """Take outcomes in; which entries they made ours that are not wanted any more."""
    keys = sorted({(UUID(outcome.mailbox), outcome.device_id) for outcome in outcomes})
    rows = await scope.all(
        "ledger.lock",
        organization_id=organization_id,
        mailbox_guids=[mailbox for mailbox, _ in keys],
        device_ids=[device_id for _, device_id in keys],
    )
    entries = {(key, name): _Entry(None, Story()) for key in keys for name in ListName}
    for row in rows:
        place = ((row["mailbox_guid"], row["device_id"]), ListName(row["list"]))
        entries[place] = _Entry(row, read_story(row["story"]))
    for outcome in outcomes:
        for name in ListName:
            entries[((UUID(outcome.mailbox), outcome.device_id), name)].tell(outcome, name, memory)
    changed = {place: entry for place, entry in entries.items() if entry.changed}
    if changed:
        told = [_row(*place, entry) for place, entry in changed.items()]
        await scope.together("ledger.save", told, organization_id=organization_id)
    unwanted: dict[Key, list[ListName]] = {}
    for (key, name), entry in changed.items():
        before = entry.row["ownership"] if entry.row else None
        if entry.released is not None and entry.ownership in OWNED and before not in OWNED:
            unwanted.setdefault(key, []).append(name)
    return unwanted


def _row(key: Key, name: ListName, entry: _Entry) -> dict[str, Any]:
    state = entry.story.state
    return {
        "mailbox_guid": key[0],
        "device_id": key[1],
        "list": name.value,
        "ownership": entry.ownership.value,
        "present_before": state.present_before,
        "doubtful": state.doubtful,
        "memory": state.memory,
        "adopted": state.adopted,
        "story": entry.story.document(),
    }
