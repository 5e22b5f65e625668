"""Pins: what an administrator says of one device id in one mailbox, before any policy, until a moment or for good.

A pin is decided and published at once, and not held, for as many people an hour as one administrator looks at by hand.
Where it is removed, or its time is over, the policy decides; that goes by the guard's budgets like all that a policy
decides, for very many pins may end at one moment.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.desired import Level
from gatepost.domain.devices import MailboxKind
from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import access, audit, connections
from gatepost.service.access import deciding
from gatepost.service.access.due import TIME, Cause
from gatepost.service.access.guarding import PIN
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.devices import queries
from gatepost.service.ledger import Key

LEVELS = (Level.ALLOW, Level.BLOCK)
LONGEST_REASON = 500
LONGEST = timedelta(days=3_660)
CLOUD_CACHE = "rest"
ELSEWHERE = (MailboxKind.REMOTE, MailboxKind.DISABLED)
EXPIRED_AT_ONCE = 500
REMOVED_STATES = ("removing", "removed")
GONE_KEPT = timedelta(hours=48)
UNPIN = "unpin"
REMOVED, EXPIRED, GONE = "The pin was removed.", "The pin's time is over.", "The mailbox is gone."


def key_of(device: Mapping[str, Any], mailbox: Mapping[str, Any] | None) -> Key | str:
    """What a pin of this device is about; else the word for why it cannot be pinned."""
    if device["gone_at"] is not None:
        return "gone"
    if mailbox is None or mailbox["gone_at"] is not None:
        return "no-mailbox"
    if mailbox["kind"] in ELSEWHERE:
        return "elsewhere"
    if (device["client_type"] or "").casefold() == CLOUD_CACHE:
        return "cloud-cache"
    if not device["device_id"] or len(device["device_id"].encode()) > access.LONGEST_ID:
        return "no-id"
    return device["mailbox_guid"], device["device_id"]


WHY_NOT = {
    "gone": "The device is no longer in Exchange.",
    "no-mailbox": "Exchange shows no mailbox for this device, so there is no list that could hold it.",
    "elsewhere": "The mailbox moved away or was disabled: Exchange keeps no list for it here any more.",
    "cloud-cache": "Outlook's cloud shows all of a person's phones under this one id; it cannot stand for one device.",
    "no-id": "The device has no id that a list could hold.",
    "removed": "The connection to its organization is being removed, or is removed.",
}


async def set_pin(
    scope: Scope, organization_id: UUID, guid: UUID, level: str, reason: str, until: datetime | None, person: Person
) -> None:
    """Pin a device and publish it. Raises Problem 400 with what is wrong, 404, 409 where it cannot be pinned."""
    chosen = check(level, reason, until)
    key = await _key(scope, organization_id, guid)
    await access.lock_head(scope, organization_id)
    if (await connections.organization(scope, organization_id))["state"] in REMOVED_STATES:
        raise Problem(409, "cannot-pin", WHY_NOT["removed"], why="removed")
    values = {"level": chosen.value, "reason": reason.strip(), "until": until}
    before = await scope.one("pins.find", **_columns(organization_id, key))
    await scope.run("pins.set", **_columns(organization_id, key), **values, by=person.name)
    after = {**values, "until": iso(until)}
    change = {"before": _told(before) if before else None, "after": after}
    details = {**after, "mailbox": str(key[0]), "device_id": key[1], **change}
    await audit.record(scope, Event.PIN_SET, person.name, details, organization_id)
    await deciding.decide_now(scope, organization_id, [key], Cause(PIN, by_id=person.administrator_id))


async def remove_pin(scope: Scope, organization_id: UUID, guid: UUID, person: Person) -> None:
    """Take a pin away: the policy decides again. Raises Problem 404 where nothing is pinned."""
    device = await queries.device(scope, organization_id, guid)
    await access.lock_head(scope, organization_id)
    key = (device["mailbox_guid"], device["device_id"])
    cause, event = Cause(UNPIN, by_id=person.administrator_id), Event.PIN_REMOVED
    if key[0] is None or not await _remove(scope, organization_id, key, event, person.name, REMOVED, None, cause):
        raise Problem(404, "not-pinned", "This device is not pinned.")


async def find(scope: Scope, organization_id: UUID, guid: UUID) -> dict[str, Any]:
    """The pin of a device. Raises Problem 404 where there is none."""
    device = await queries.device(scope, organization_id, guid)
    pin = None
    if device["mailbox_guid"] and device["device_id"]:
        pin = await scope.one("pins.find", **_columns(organization_id, (device["mailbox_guid"], device["device_id"])))
    if pin is None:
        raise Problem(404, "not-pinned", "This device is not pinned.")
    return pin


async def expire_pins(database: Database, tenant_id: UUID) -> None:
    """Take away the pins whose time is over, or whose mailbox is gone for good, each in its own transaction."""
    now = datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        ended = await scope.all("pins.expired", at=now, gone_before=now - GONE_KEPT, limit=EXPIRED_AT_ONCE)
    for row in ended:
        why, over_at = (EXPIRED, now) if row["over"] else (GONE, None)
        async with database.tenant(tenant_id) as scope:
            await access.lock_head(scope, row["organization_id"])
            key = (row["mailbox_guid"], row["device_id"])
            await _remove(scope, row["organization_id"], key, Event.PIN_EXPIRED, "service", why, over_at, TIME)


async def _key(scope: Scope, organization_id: UUID, guid: UUID) -> Key:
    device = await queries.device(scope, organization_id, guid)
    key = key_of(device, await queries.mailbox_of(scope, device))
    if isinstance(key, str):
        raise Problem(409, "cannot-pin", WHY_NOT[key], why=key)
    return key


async def _remove(
    scope: Scope,
    organization_id: UUID,
    key: Key,
    event: Event,
    actor: str,
    reason: str,
    over_at: datetime | None,
    cause: Cause,
) -> bool:
    """Remove one pin, if it is there (and over by then), and let the policy decide; whether it was."""
    removed = await scope.one("pins.remove", **_columns(organization_id, key), over_at=over_at)
    if removed is None:
        return False
    details = {
        "mailbox": str(key[0]),
        "device_id": key[1],
        "level": removed["level"],
        "reason": removed["reason"],
        "until": iso(removed["until"]),
        "by": removed["by"],
        "why": reason,
        "before": _told(removed),
        "after": None,
    }
    await audit.record(scope, event, actor, details, organization_id)
    await deciding.decide_now(scope, organization_id, [key], cause)
    return True


def _told(pin: Mapping[str, Any]) -> dict[str, Any]:
    """A pin for the audit trail."""
    return {"level": pin["level"], "reason": pin["reason"], "until": iso(pin["until"])}


def _columns(organization_id: UUID, key: Key) -> dict[str, Any]:
    return {"organization_id": organization_id, "mailbox_guid": key[0], "device_id": key[1]}


def check(level: str, reason: str, until: datetime | None) -> Level:
    """The level, where everything can be as asked. Raises Problem 400 that names the field in ``place``."""
    if level not in set(LEVELS):
        raise Problem(400, "malformed", "level is allow or block.", place="level")
    if not reason.strip():
        raise Problem(400, "malformed", "Say why: the reason is kept with the pin.", place="reason")
    if len(reason.strip()) > LONGEST_REASON or not reason.strip().isprintable():
        raise Problem(
            400,
            "malformed",
            f"The reason has at most {LONGEST_REASON} visible characters, on one line.",
            place="reason",
        )
    now = datetime.now(UTC)
    if until is not None and not now < until < now + LONGEST:
        raise Problem(400, "malformed", "The end must be in the future, within ten years.", place="until")
    return Level(level)
