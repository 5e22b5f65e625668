"""What Exchange cannot express: why a device does not get the level that is decided, and the findings that say so.

Exchange has a list of allowed and one of blocked devices for each mailbox; quarantine comes from the organization's
default or from a device rule only. What cannot be expressed is never turned into the nearest thing, and never into
block. The table is in docs/policy.md. A finding tells of one obstacle and counts its devices: one for each device would
hide everything else.
"""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from gatepost.domain.desired import Level
from gatepost.domain.engine import State, Step, Verdict
from gatepost.service import findings
from gatepost.service.database import Scope

ORIGIN = "service"


class Obstacle(StrEnum):
    """What keeps Exchange from doing what is decided."""

    DEFAULT_ALLOWS = "default-allows"
    DEFAULT_BLOCKS = "default-blocks"
    RULE_ALLOWS = "rule-allows"
    RULE_BLOCKS = "rule-blocks"
    FOREIGN_ALLOW = "foreign-allow"
    FOREIGN_BLOCK = "foreign-block"
    UNKNOWN = "unknown"


MEANT = {
    Level.ALLOW: frozenset({State.ALLOWED}),
    Level.BLOCK: frozenset({State.BLOCKED, State.OFF}),
    Level.QUARANTINE: frozenset({State.QUARANTINED, State.DISCOVERY, State.OFF}),
}
"""What a level comes to where Exchange can express it. ActiveSync that is off for a mailbox lets nobody in, which is
no less than was meant; identifying a device is over in minutes."""
OWN = frozenset({Step.OFF, Step.BEHAVIOUR, Step.POLICY, Step.PASSING})
"""Steps by which Exchange itself decides for what it sees of a device: shown with the device, and nobody's mistake."""
LISTS = {Step.BLOCKED_LIST: Obstacle.FOREIGN_BLOCK, Step.ALLOWED_LIST: Obstacle.FOREIGN_ALLOW}
ALLOWS = {Step.RULE: Obstacle.RULE_ALLOWS, Step.DEFAULT: Obstacle.DEFAULT_ALLOWS}
BLOCKS = {Step.RULE: Obstacle.RULE_BLOCKS, Step.DEFAULT: Obstacle.DEFAULT_BLOCKS}

WORDS: Mapping[Obstacle, tuple[str, str]] = {
    Obstacle.DEFAULT_ALLOWS: (
        "Devices that are to be quarantined have access: {devices}. Exchange has no list of quarantined devices, and "
        "the organization's default level is allow.",
        "Set the organization's default level to quarantine, or let the policy block them.",
    ),
    Obstacle.DEFAULT_BLOCKS: (
        "Devices that are to be quarantined are blocked: {devices}. Exchange has no list of quarantined devices, and "
        "the organization's default level is block.",
        "Set the organization's default level to quarantine, or let the policy block them.",
    ),
    Obstacle.RULE_ALLOWS: (
        "Devices that are to be quarantined have access: {devices}. A device access rule of Exchange allows them.",
        "Change that rule in Exchange, or let the policy block them.",
    ),
    Obstacle.RULE_BLOCKS: (
        "Devices that are to be quarantined are blocked: {devices}. A device access rule of Exchange blocks them.",
        "Change that rule in Exchange, or let the policy block them.",
    ),
    Obstacle.FOREIGN_ALLOW: (
        "Devices that are to be blocked or quarantined have access: {devices}. Somebody else put them on their "
        "mailboxes' lists of allowed devices.",
        "Take them off those lists in Exchange. What Gatepost did not make stays as it is.",
    ),
    Obstacle.FOREIGN_BLOCK: (
        "Devices that are to have access, or to be quarantined, are blocked: {devices}. Somebody else put them on "
        "their mailboxes' lists of blocked devices.",
        "Take them off those lists in Exchange. What Gatepost did not make stays as it is.",
    ),
    Obstacle.UNKNOWN: (
        "Nobody can tell what Exchange makes of these devices: {devices}. Their mailboxes' lists, the device access "
        "rules or the organization's default level could not be read.",
        "Run the connector's doctor: it names the rights that the connector's account lacks.",
    ),
}


def obstacle(level: Level, verdict: Verdict) -> Obstacle | None:
    """What keeps Exchange from this level, given what it makes of the device with our entry; None where nothing does.

    Hands off is never kept from anybody.
    """
    if level is Level.LEAVE or verdict.state in MEANT[level] or verdict.reason in OWN:
        return None
    if verdict.state is State.UNKNOWN:
        return Obstacle.UNKNOWN
    if verdict.reason in LISTS:
        return LISTS[verdict.reason]
    return (ALLOWS if verdict.access else BLOCKS)[verdict.reason]


async def report(scope: Scope, organization_id: UUID) -> None:
    """Bring the findings up to date with what is decided now."""
    rows = await scope.all("decisions.beyond", organization_id=organization_id)
    found = {Obstacle(row["beyond"]): int(row["devices"]) for row in rows}
    over = [{"codes": [_code(each) for each in Obstacle if each not in found], "subject": ""}]
    await scope.together("findings.end", over, organization_id=organization_id)
    told = [
        {"code": _code(each), "cause": WORDS[each][0].format(devices=f"{count:,}"), "remedy": WORDS[each][1]}
        for each, count in found.items()
    ]
    await findings.report(scope, organization_id, ORIGIN, told, complete=False)


def _code(each: Obstacle) -> str:
    """The code of its finding."""
    return f"beyond-{each.value}"
