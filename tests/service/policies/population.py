"""A random population: devices, mailboxes, people, pins, decisions, published rows, the ledger; and random policies.

Rows are written as they lie in the database, in every combination that the service itself could have left there, so
that what looks at them all together can be compared with what looks at each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

DAYS = (1, 7, 30, 90)
LEVELS = ("leave", "allow", "quarantine", "block")
BASICS = ("compliant", "known", "noncompliant", "noncompliant-grace", "unmanaged", "unmanaged-grace", "rule", "stale")
KINDS: tuple[dict[str, Any], ...] = (
    {"family": "ios", "device_type": "iPhone", "model": "iPhone15,2", "os": "iOS 17.1", "os_version": [17, 1]},
    {"family": "ios", "device_type": "iPad", "model": "iPad13,4", "os": "iOS 16.7.2", "os_version": [16, 7, 2]},
    {"family": "android", "device_type": "SamsungDevice", "model": "SM-S911B", "os": "Android 14", "os_version": [14]},
    {"family": "android", "device_type": "Android", "model": None, "os": None, "os_version": []},
    {"family": "outlook", "device_type": "Outlook", "model": "Outlook", "os": "iOS 17.2", "os_version": [17, 2]},
    {"family": "other", "device_type": None, "model": None, "os": None, "os_version": []},
)
RULES = (
    {"name": "Block iPads", "characteristic": "DeviceType", "query": "iPad", "level": "Block"},
    {"name": "Allow S23", "characteristic": "DeviceModel", "query": "SM-S911B", "level": "Allow"},
)


@dataclass
class Population:
    """What was made: the organization, the groups, and the keys of the devices."""

    organization_id: UUID
    groups: Sequence[UUID]
    keys: list[tuple[UUID, str]] = field(default_factory=list)


class Writer:
    """Writes rows of one tenant past row-level security, without waiting for each."""

    def __init__(self, superuser_url: str, tenant_id: UUID) -> None:
        self._connection = psycopg.connect(superuser_url, autocommit=True)
        self._pipeline = self._connection.pipeline()
        self._pipeline.__enter__()
        self._tenant_id = tenant_id

    def add(self, table: str, **columns: Any) -> None:
        """One row."""
        columns = {"tenant_id": self._tenant_id, **columns}
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        self._connection.execute(statement, list(columns.values()))

    def close(self) -> None:
        """Wait for all of it, and end the connection."""
        self._pipeline.__exit__(None, None, None)
        self._connection.close()


def populate(superuser_url: str, tenant_id: UUID, seed: int, mailboxes: int = 40) -> Population:
    """Fill an empty tenant."""
    random, write, now = Random(seed), Writer(superuser_url, tenant_id), datetime.now(UTC)
    made = Population(_guid(random), [_guid(random) for _ in range(4)])
    write.add("organizations", organization_id=made.organization_id, name="Head office", state="connected")
    write.add("desired_heads", organization_id=made.organization_id)
    default = random.choice(["Allow", "Block", "Quarantine"])
    rules = [{**rule, "guid": str(_guid(random))} for rule in RULES]
    settings = Jsonb({"rules": rules} if random.random() < 0.8 else {})
    write.add("org_settings", organization_id=made.organization_id, default_level=default, settings=settings)
    for number, group in enumerate(made.groups):
        write.add("groups", group_id=group, external_id=f"g{number}", name=f"Group {number}")
    if random.random() < 0.9:
        fresh_at = now - timedelta(days=random.choice([0, 0, 0, 5]))
        write.add("sources", name="Management", fresh_at=fresh_at)
    facts = [_interned(write, random) for _ in range(12)]
    audiences = [_audience(write, random, made.groups) for _ in range(5)]
    for number in range(mailboxes):
        _mailbox(write, random, made, number, facts, audiences, now)
    write.close()
    return made


def _guid(random: Random) -> UUID:
    """A guid that the seed decides, so that a population can be made again."""
    return UUID(int=random.getrandbits(128), version=4)


def _interned(write: Writer, random: Random) -> dict[str, Any]:
    row = {
        "facts_id": _guid(random),
        "user_agent": random.choice([None, "Apple-iPhone15C2/2101.90", "Android-Mail/2024"]),
        "client_type": random.choice([None, "EAS", "REST"]),
        **random.choice(KINDS),
    }
    write.add("device_facts", **row)
    return row


def _audience(write: Writer, random: Random, groups: Sequence[UUID]) -> UUID:
    audience_id = _guid(random)
    write.add("audiences", audience_id=audience_id, group_ids=sorted(random.sample(groups, random.randint(0, 3))))
    return audience_id


def _mailbox(
    write: Writer,
    random: Random,
    made: Population,
    number: int,
    facts: Sequence[dict[str, Any]],
    audiences: Sequence[UUID],
    now: datetime,
) -> None:
    guid, person = _guid(random), None
    ids = [f"{random.choice(['DEV', 'dev', 'ApplX'])}{number:03}{each}" for each in range(random.randint(1, 4))]
    if random.random() < 0.8:
        person = _guid(random)
        write.add(
            "people",
            person_id=person,
            audience_id=random.choice([None, *audiences]),
            **_standing(random, now),
        )
    write.add(
        "mailboxes",
        organization_id=made.organization_id,
        guid=guid,
        primary_smtp=random.choice([None, f"user{number}@example.com", f"test{number}@example.com"]),
        kind=random.choice(["user"] * 6 + ["shared", "remote"]),
        eas_enabled=random.choice([True, True, True, False, None]),
        allowed_ids=_list(random, ids),
        blocked_ids=_list(random, ids),
        person_id=person,
        row_hash=number,
        lists_read_at=now - timedelta(hours=1),
        first_seen=now,
        last_seen=now,
        changed_seen_at=now,
        gone_at=random.choice([None] * 9 + [now]),
    )
    for device_id in ids:
        for _ in range(random.choice([1] * 9 + [2])):
            _device(write, random, made, guid, device_id, random.choice(facts), now)
        made.keys.append((guid, device_id))
        _history(write, random, made, guid, device_id, now)


def _standing(random: Random, now: datetime) -> dict[str, Any]:
    managed = random.choice(["unmanaged", "compliant", "compliant", "noncompliant", "noncompliant", "unknown"])
    since = now - timedelta(days=random.choice([0.3, 2, 6.5, 12, 40])) if random.random() < 0.8 else None
    return {"managed": managed, "managed_since": since if managed == "noncompliant" else None}


def _list(random: Random, ids: Sequence[str]) -> list[str] | None:
    if random.random() < 0.08:
        return None
    chosen = [each for each in ids if random.random() < 0.35]
    return [random.choice([each, each.upper(), each.lower()]) for each in chosen] + random.choice([[], ["OTHER"]])


def _device(
    write: Writer,
    random: Random,
    made: Population,
    mailbox_guid: UUID,
    device_id: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    seen = ("device_type", "model", "os", "user_agent", "client_type", "family", "facts_id")
    write.add(
        "devices",
        organization_id=made.organization_id,
        guid=_guid(random),
        device_id=device_id,
        mailbox_guid=mailbox_guid,
        access_state=random.choice([None, "Allowed", "Allowed", "Blocked", "Quarantined", "DeviceDiscovery"]),
        access_state_reason=random.choice([None, "Individual", "Global", "DeviceRule", "Policy", "Upgrade"]),
        first_sync_at=random.choice([None, now - timedelta(days=random.choice([0.2, 3.5, 20, 200]))]),
        last_success_sync_at=random.choice([None, now - timedelta(days=random.choice([0.1, 3.2, 15, 45, 300]))]),
        known=random.random() < 0.3,
        row_hash=1,
        first_seen=now - timedelta(days=random.choice([0.1, 10])),
        last_seen=now,
        changed_seen_at=now,
        gone_at=random.choice([None] * 14 + [now]),
        **{name: facts[name] for name in seen},
        **_standing(random, now),
    )


def _history(
    write: Writer, random: Random, made: Population, mailbox_guid: UUID, device_id: str, now: datetime
) -> None:
    """What was pinned, decided, published and written of an id; the ledger as publishing leaves it."""
    key = {"organization_id": made.organization_id, "mailbox_guid": mailbox_guid, "device_id": device_id}
    if random.random() < 0.1:
        until = random.choice([None, now + timedelta(days=1), now - timedelta(days=1)])
        write.add("pins", **key, level=random.choice(["allow", "block"]), reason="x", by="anna", until=until)
    if random.random() < 0.7:
        write.add("decisions", **key, level=random.choice(LEVELS), reason=random.choice(BASICS))
    entry = None
    if random.random() < 0.6:
        level = random.choice(LEVELS)
        entry = level if level in ("allow", "block") else "none"
        write.add("desired", **key, level=level, reason="compliant", entry=entry, revision=1)
    for name in ("allow", "block"):
        if name == entry:
            ownership = random.choice(["intended", "ours", "ours", "presumed", "foreign"])
            write.add(
                "list_entries",
                **key,
                list=name,
                ownership=ownership,
                present_before=random.random() < 0.5,
                intended_revision=1,
            )
        elif random.random() < 0.3:
            _left(write, random, key, name, entry, now)


def _left(write: Writer, random: Random, key: dict[str, Any], name: str, entry: str | None, now: datetime) -> None:
    """An entry that is not wanted: taken off, about to be, somebody else's, or adopted."""
    ownership = random.choice(["ours", "withdrawn", "foreign", "adopted"])
    adopted = ownership == "adopted"
    write.add(
        "list_entries",
        **key,
        list=name,
        ownership="ours" if adopted else ownership,
        intended_revision=1 if ownership in ("ours", "withdrawn") else None,
        released_revision=2 if ownership in ("ours", "withdrawn") else None,
        kept=adopted and entry is None,
        since=now - timedelta(hours=random.choice([0.5, 2])),
    )


def random_policy(random: Random, groups: Sequence[UUID]) -> dict[str, Any]:
    """A policy's document."""
    names = [str(group) for group in groups]
    return {
        "enabled": random.random() < 0.95,
        "included": random.choice([[], [], names[:2]]),
        "excluded": random.choice([[], [], names[3:]]),
        "unmanaged": random.choice(LEVELS),
        "noncompliant": random.choice(LEVELS),
        "override_default": random.random() < 0.6,
        "by_person": random.random() < 0.5,
        "cloud_cache": random.choice(LEVELS),
        "known_until": random.choice([None, "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"]),
        "grace": {
            "unmanaged": random.choice([0, 5 * 86_400, 30 * 86_400]),
            "noncompliant": random.choice([0, 5 * 86_400, 10 * 86_400]),
            "warn": random.choice([0, 86_400, 4 * 86_400]),
        },
        "rules": [_rule(random, number, names) for number in range(random.randint(0, 5))],
    }


def _rule(random: Random, number: int, groups: Sequence[str]) -> dict[str, Any]:
    conditions = {
        "family": random.choice([["ios"], ["android", "other"], ["outlook"]]),
        "model": random.choice([["iPhone*"], ["*"]]),
        "os": random.choice([{"operator": "<", "version": "17"}, {"name": ["Android*"]}]),
        "user_agent": ["*mail*"],
        "device_id": random.choice(["^dev", "1$", "."]),
        "user": random.choice(["^test", "@example", "."]),
        "group": [random.choice(groups)],
        "client": random.choice([["native"], ["outlook", "cloud-cache"]]),
        "synced_days_ago": random.choice(DAYS),
    }
    chosen = random.sample(sorted(conditions), random.randint(1, 2))
    when = {name: conditions[name] for name in chosen}
    return {"id": f"r{number}", "name": f"Rule {number}", "level": random.choice(LEVELS), "when": when}
