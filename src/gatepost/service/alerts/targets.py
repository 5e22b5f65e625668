"""Where a tenant's alerts go: mail addresses, webhooks, syslog servers."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.alerts.roads import SYSLOG_PORTS
from gatepost.service.database import Scope
from gatepost.service.keys import TenantKeys
from gatepost.service.web.i18n import LANGUAGES, SOURCE_LANGUAGE

KINDS = ("mail", "webhook", "syslog")
MOST_TARGETS = 20
LONGEST_ADDRESS = 500
TEST_EVERY = timedelta(minutes=1)
"""So often may one target be told a test: the address may be somebody else's."""
_MAIL = re.compile(r"[^@\s<>,;:\"\\()]+@[A-Za-z0-9.-]+")


async def all_of(scope: Scope) -> list[Mapping[str, Any]]:
    """Every target, with how the newest sending went and how many alerts wait."""
    return list(await scope.all("alerts.targets"))


async def add(
    scope: Scope, keys: TenantKeys, kind: str, address: str, language: str, actor: str, *, by_mail: bool
) -> tuple[UUID, str]:
    """Let alerts go there, too: the target's id, and the secret that signs what a webhook gets, shown this once.

    ``by_mail``: whether the installation has a relay. Raises Problem: 400 ``address``, 409 ``no-relay``,
    ``target-known`` or ``too-many``.
    """
    address = address.strip()
    check(kind, address)
    if kind == "mail" and not by_mail:
        raise Problem(409, "no-relay", "The operator of this service has not named a mail relay (--mail-relay).")
    if len(await scope.all("alerts.targets")) >= MOST_TARGETS:
        raise Problem(409, "too-many", f"There may be {MOST_TARGETS} targets. Remove one first.")
    target_id, secret = uuid4(), secrets.token_urlsafe(32) if kind == "webhook" else ""
    added = await scope.run(
        "alerts.add_target",
        target_id=target_id,
        kind=kind,
        address=address,
        language=language if language in LANGUAGES else SOURCE_LANGUAGE,
        secret_sealed=keys.seal(secret.encode(), secret_place(target_id)) if secret else None,
        actor=actor,
    )
    if not added:
        raise Problem(409, "target-known", "Alerts go there already.")
    body = {"before": None, "after": {"kind": kind, "address": told(kind, address), "language": language}}
    await audit.record(scope, Event.ALERT_TARGET_ADDED, actor, body)
    return target_id, secret


async def remove(scope: Scope, target_id: UUID, actor: str) -> None:
    """Let no alert go there any more. Raises Problem 404."""
    row = await scope.one("alerts.remove_target", target_id=target_id)
    if row is None:
        raise _no_target()
    body = {"before": {"kind": row["kind"], "address": told(row["kind"], row["address"])}, "after": None}
    await audit.record(scope, Event.ALERT_TARGET_REMOVED, actor, body)


async def test(scope: Scope, target_id: UUID, actor: str) -> None:
    """Have a test sent there within a minute. Raises Problem 404; 429 ``tested`` where one was within the last one."""
    now = datetime.now(UTC)
    if not await scope.run("alerts.test", target_id=target_id, now=now, since=now - TEST_EVERY):
        if target_id not in {row["target_id"] for row in await all_of(scope)}:
            raise _no_target()
        seconds = int(TEST_EVERY.total_seconds())
        raise Problem(429, "tested", "A test was sent there within the last minute.", retry_after=seconds)
    await audit.record(scope, Event.ALERT_TESTED, actor, {"target_id": str(target_id)})


def check(kind: str, address: str) -> None:
    """Refuse what cannot be an address of that kind. Raises Problem 400."""
    plain = address.isascii() and address.isprintable() and " " not in address and len(address) <= LONGEST_ADDRESS
    if kind == "mail":
        fine, example = bool(_MAIL.fullmatch(address)), "alerts@example.com"
    elif kind == "webhook":
        fine, example = _is_url(address, {"https"}), "https://hooks.example.com/gatepost"
    elif kind == "syslog":
        fine, example = _is_url(address, SYSLOG_PORTS, bare=True), "tls://log.example.com:6514"
    else:
        raise Problem(400, "address", "The kind is mail, webhook or syslog.", example="")
    if not (plain and fine):
        raise Problem(400, "address", f"This is no address of that kind. Write it like {example}.", example=example)


def told(kind: str, address: str) -> str:
    """An address as the audit trail has it: of a webhook the host only, for what follows it is often its secret."""
    return f"https://{urlsplit(address).netloc}/…" if kind == "webhook" else address


def secret_place(target_id: UUID) -> str:
    """Where the sealed secret of a target lies."""
    return f"alert_targets/secret_sealed/{target_id}"


def _is_url(address: str, schemes: Any, *, bare: bool = False) -> bool:  # noqa: ANN401 - a set or the keys of a mapping
    """An address with a host and no user in it; ``bare``: nothing after host and port."""
    try:
        split = urlsplit(address)
        port = split.port
    except ValueError:
        return False
    fine = split.scheme in schemes and bool(split.hostname) and split.username is None and port != 0
    return fine and not (bare and (split.path.strip("/") or split.query or split.fragment))


def _no_target() -> Problem:
    return Problem(404, "not-found", "There is no such target.")
