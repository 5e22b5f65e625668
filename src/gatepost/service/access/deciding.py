"""Deciding: what is due is decided, guarded, published or held, and written down, a batch in one transaction.

A decision is made of what is there when it is made (``facts.load``), by ``domain.access.decide``; Exchange's engine
says what the mailbox's lists make of the device before and after, and the guard what may be published. What is held
keeps its published row, and its decision is written down all the same. Marks are taken away in the same transaction, so
whoever is killed leaves them to the next.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.access import TAKES_AWAY, Decision, Reason, decide
from gatepost.domain.desired import Level
from gatepost.domain.engine import Organization, State, Verdict
from gatepost.domain.plan import fold
from gatepost.service import findings
from gatepost.service.access import due, expressing, facts, guarding, holds, pre_approval
from gatepost.service.access.due import Cause
from gatepost.service.access.expressing import Obstacle
from gatepost.service.access.facts import Known
from gatepost.service.access.guarding import Wanted
from gatepost.service.access.publishing import ORIGIN, Publication, columns, lock_head, publish_all, reword
from gatepost.service.database import Database, Scope
from gatepost.service.ledger import Key

BATCH = 1_000
NEWCOMER = timedelta(days=1)
WITHOUT = frozenset({State.BLOCKED, State.QUARANTINED, State.DISCOVERY})
REMOVED = frozenset({"removing", "removed"})
GONE = Reason.GONE.value
FAILED = "decision-failed"
log = logging.getLogger("gatepost.service")


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision, and what Exchange makes of the device with the lists as published (before) and as decided (after).

    ``is_new``: Exchange has had the device for less than a day.
    """

    known: Known
    decision: Decision
    before: Verdict
    after: Verdict
    is_new: bool = False

    @property
    def moves(self) -> bool:
        """Whether what is decided is something else than what is published."""
        published = self.known.published or Level.LEAVE
        return self.decision.level is not published or self.known.published is not self.known.stands

    @property
    def beyond(self) -> Obstacle | None:
        """What keeps Exchange from doing it."""
        return None if self.known.facts.barred else expressing.obstacle(self.decision.level, self.after)

    @property
    def announce(self) -> str | None:
        """What the person is to be told, once it is so: blocked, quarantined, allowed, warning; None for nothing.

        What was turned back before anybody was told of it is not told of at all; nor is what was so before anything was
        decided: a phone that Exchange kept out all along loses nothing where a policy keeps it out from now on.
        """
        before, now, pending = self.known.previous, self.decision, self.known.announce
        if now.warns and not (before and before.warns):
            return "warning"
        if before and before.level is now.level:
            return None if pending == "warning" and not now.warns else pending
        if now.level in TAKES_AWAY and self._was_out_before:
            return None
        if now.level is Level.BLOCK:
            return "blocked" if self.after.state is State.BLOCKED else None
        if now.level is Level.QUARANTINE:
            return "quarantined" if self.after.state in (State.QUARANTINED, State.DISCOVERY) else None
        regains = before is not None and before.level in TAKES_AWAY and self.after.access
        return "allowed" if regains and pending not in ("blocked", "quarantined") else None

    @property
    def _was_out_before(self) -> bool:
        """Whether it had no mail before anything was decided that takes any away, and its person knows that for long.

        A pin is about that one device, and told of all the same.
        """
        taken = self.known.previous is not None and self.known.previous.level in TAKES_AWAY
        pinned = self.decision.reason is Reason.PINNED
        return self.before.state in WITHOUT and not (taken or pinned or self.is_new)

    @property
    def wanted(self) -> Wanted:
        """As the guard looks at it."""
        level, reason = self.decision.level, self.decision.reason.value
        return Wanted(self.known.key, level, reason, self.before, self.after, self.known.published)


async def advance(database: Database, tenant_id: UUID, seconds: float | None = None) -> int:
    """Decide what is due, for so long (None: until nothing is); how many were decided."""
    until = None if seconds is None else time.monotonic() + seconds
    async with database.tenant(tenant_id) as scope:
        await due.mark_overdue(scope)
        organizations = await due.organizations(scope)
    decided = 0
    for organization_id in organizations:
        decided += await _advance(database, tenant_id, organization_id, until)
    return decided


async def decide_now(scope: Scope, organization_id: UUID, keys: Sequence[Key], cause: Cause) -> None:
    """Decide these in the caller's transaction, for what an administrator said of them. A pin's cause is never held.

    Where nothing is there any more that could be decided, hands are taken off. Raises Problem 409 where no connector
    ever enrolled.
    """
    await lock_head(scope, organization_id)
    decided = await _decide(scope, organization_id, keys, cause, barred_too=True)
    await _let_go(scope, organization_id, [key for key in keys if key not in decided])
    await due.done(scope, organization_id, keys)


def judge(known: Sequence[Known], organization: Organization, now: datetime) -> list[Judged]:
    """Decide each of these, and see what Exchange makes of it. One of which that cannot be done is left out."""
    judged = []
    for each in known:
        try:
            judged.append(_judge(each, organization, now))
        except Exception:  # whatever is wrong with one device must not keep others from being decided
            log.exception("the device %s in the mailbox %s cannot be decided", each.key[1], each.key[0])
    return judged


def _judge(known: Known, organization: Organization, now: datetime) -> Judged:
    decision = decide(known.facts, known.policy, known.previous, now)
    before = organization.verdict(known.device, known.listed(known.stands))
    same = decision.level is (known.stands or Level.LEAVE)
    after = before if same else organization.verdict(known.device, known.listed(decision.level))
    return Judged(known, decision, before, after, now - known.facts.first_seen < NEWCOMER)


def _judge_ahead(known: Known, decision: Decision, organization: Organization) -> Judged:
    """An approval ahead: nobody loses anything where it ends, for no device has the id."""
    after = organization.verdict(known.device, known.listed(decision.level))
    before = (
        after if decision.level is Level.LEAVE else organization.verdict(known.device, known.listed(known.published))
    )
    return Judged(known, decision, before, after)


def _without(keys: Sequence[Key], known: Sequence[Known]) -> list[Key]:
    """Those of which nothing is known."""
    found = {each.key for each in known}
    return [key for key in keys if key not in found]


async def _advance(database: Database, tenant_id: UUID, organization_id: UUID, until: float | None) -> int:
    """Batch after batch of one organization."""

    async def batch(scope: Scope) -> int:
        return await _batch(scope, organization_id)

    decided = last = await database.work(tenant_id, batch)
    while last == BATCH and (until is None or time.monotonic() < until):
        last = await database.work(tenant_id, batch)
        decided += last
    return decided


async def _batch(scope: Scope, organization_id: UUID) -> int:
    """Decide the oldest that are due; how many were taken."""
    organization = await scope.one("ingest.organization", organization_id=organization_id)
    if organization is None or organization["state"] in REMOVED:
        return 0
    await lock_head(scope, organization_id)
    await scope.run("merge.analyze_grown")
    taken = await due.take(scope, organization_id, BATCH)
    asked: dict[Cause, list[Key]] = defaultdict(list)
    for key, cause in taken.items():
        asked[cause].append(key)
    for cause, keys in asked.items():
        decided = await _decide(scope, organization_id, keys, cause)
        await _forget_review(scope, organization_id, [key for key in keys if key not in decided])
        await holds.drop_rest(scope, organization_id, keys, cause)
    await due.done(scope, organization_id, list(taken))
    return len(taken)


async def _decide(
    scope: Scope, organization_id: UUID, keys: Sequence[Key], cause: Cause, *, barred_too: bool = False
) -> set[Key]:
    """Decide these for one cause; which were there to be decided. The caller holds the head.

    Of a device that no list could hold nothing is published, unless ``barred_too``: a mailbox that seems to be gone may
    be back with the next inventory.
    """
    now = datetime.now(UTC)
    known = await facts.load(scope, organization_id, keys, now)
    absent = [] if barred_too else _without(keys, known)
    spelt = [*absent, *((each.key[0], fold(each.key[1])) for each in known if each.ahead)]
    ahead = await pre_approval.decide(scope, organization_id, absent, now)
    if not known and not ahead:
        await _let_go(scope, organization_id, await pre_approval.superseded(scope, organization_id, spelt))
        return set()
    organization = await facts.exchange(scope, organization_id)
    judged = (
        await asyncio.to_thread(judge, known, organization, now)
        if len(known) > facts.INLINE
        else judge(known, organization, now)
    )
    await _tell_failed(scope, organization_id, [each.key for each in known], {each.known.key for each in judged})
    judged += [_judge_ahead(each, decision, organization) for each, decision in ahead]
    free = [each for each in judged if barred_too or not each.known.facts.barred]
    moving = {each.known.key: each for each in free if each.moves}
    sieved = await guarding.sieve(scope, organization_id, cause, [each.wanted for each in moving.values()])
    await _publish(scope, organization_id, cause, [moving[wanted.key] for wanted in sieved.publish])
    await _stay(scope, organization_id, [each for each in free if not each.moves])
    await scope.together("decisions.write", map(_row, judged), organization_id=organization_id)
    await pre_approval.keep(scope, organization_id, ahead)
    await _let_go(scope, organization_id, await pre_approval.superseded(scope, organization_id, spelt))
    if any(each.beyond != each.known.beyond for each in judged):
        await expressing.report(scope, organization_id)
    return {each.key for each in known} | {each.key for each, _ in ahead}


async def _tell_failed(scope: Scope, organization_id: UUID, keys: Sequence[Key], judged: Collection[Key]) -> None:
    """Which of these could not be decided: they keep what they have, and are not looked at again by the clock."""
    failed = [key for key in keys if key not in judged]
    over = [{"codes": [FAILED], "subject": f"{key[0]}/{key[1]}"} for key in judged]
    await scope.together("findings.end", over, organization_id=organization_id)
    await _forget_review(scope, organization_id, failed)
    told = [
        {
            "code": FAILED,
            "subject": f"{key[0]}/{key[1]}",
            "cause": f"The device {key[1]} could not be decided, for what is known of it is not understood. It keeps "
            "what it has; nothing else is concerned.",
            "remedy": "The service's log says what it is: report it with that. Until then an administrator can pin it.",
        }
        for key in failed
    ]
    await findings.report(scope, organization_id, ORIGIN, told, complete=False)


async def _publish(scope: Scope, organization_id: UUID, cause: Cause, judged: Sequence[Judged]) -> None:
    rows = [
        Publication(
            each.known.key,
            each.decision.level,
            each.decision.reason.value,
            each.known.published,
            each.known.said,
            {
                "rule": each.decision.rule,
                "inputs": dict(each.decision.inputs),
                "policy": each.known.version,
                "cause": cause.kind,
                "ref": cause.ref,
            },
        )
        for each in judged
    ]
    if rows:
        await publish_all(scope, organization_id, rows)


async def _stay(scope: Scope, organization_id: UUID, judged: Sequence[Judged]) -> None:
    """What is decided is published already: for this reason now, and nothing of it waits in a hold."""
    reasons = {
        each.known.key: each.decision.reason.value
        for each in judged
        if each.known.published and each.known.said != each.decision.reason.value
    }
    await reword(scope, organization_id, reasons)
    await guarding.settled(scope, organization_id, [each.known.key for each in judged])


async def _let_go(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> None:
    """Take hands off what is there no more: neither decided nor pinned, and perhaps still on a list."""
    rows = await scope.all("decisions.published", organization_id=organization_id, **columns(keys)) if keys else []
    gone = [
        Publication((row["mailbox_guid"], row["device_id"]), Level.LEAVE, GONE, Level(row["level"]), row["reason"])
        for row in rows
        if row["level"] != Level.LEAVE
    ]
    if gone:
        await publish_all(scope, organization_id, gone)


async def _forget_review(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> None:
    """What is there no more keeps what was decided of it, and is not looked at again by the clock."""
    if keys:
        await scope.run("decisions.forget_review", organization_id=organization_id, **columns(keys))


def _row(judged: Judged) -> Mapping[str, Any]:
    decision = judged.decision
    return {
        "mailbox_guid": judged.known.key[0],
        "device_id": judged.known.key[1],
        "level": decision.level.value,
        "reason": decision.reason.value,
        "rule": decision.rule,
        "inputs": dict(decision.inputs),
        "until": decision.until,
        "warns": decision.warns,
        "policy_version": judged.known.version,
        "review_at": decision.review_at,
        "announce": judged.announce,
        "beyond": judged.beyond,
    }
