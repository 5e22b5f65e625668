"""Sending what is to be told: claimed first, in a transaction of its own, so that two replicas never send the same.

What fails is tried again with growing pauses. Where nobody can tell whether a mail or a line of syslog arrived it is
not sent again, and the target says so; a webhook knows each alert by its id and is told again.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from gatepost.errors import NotDelivered, SettingsError
from gatepost.service.alerts import roads, texts
from gatepost.service.alerts.addresses import Network, networks
from gatepost.service.alerts.targets import secret_place
from gatepost.service.database import Database, Scope
from gatepost.service.keys import Keys
from gatepost.settings import ServiceSettings, read_secret

PAUSES = (1, 5, 15, 60, 240, 720)
"""Minutes after each attempt that failed; after the last one nothing more is tried."""
LOST_AFTER = timedelta(minutes=5)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
CREDENTIAL = "gatepost.mail-password"
SECURITY_PORTS = {"starttls": 587, "tls": 465, "none": 25}
log = logging.getLogger("gatepost.service")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ways:
    """What the operator gave to send by; ``base`` is the console's address."""

    relay: roads.Relay | None = None
    networks: tuple[Network, ...] = ()
    ca_file: Path | None = None
    base: str | None = None

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Ways":
        """As the settings say. Raises SettingsError."""
        roads.trust(settings.alert_ca_file)
        allowed = networks(settings.alert_networks)
        return cls(_relay(settings), allowed, settings.alert_ca_file, settings.public_url)


async def send_due(database: Database, keys: Keys, ways: Ways, tenant_id: UUID, now: datetime | None = None) -> int:
    """Send what waits, one message a target; how many targets were told."""
    moment = now or datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        await scope.run("alerts.lost", before=moment - LOST_AFTER, now=moment)
        due = await scope.all("alerts.due", now=moment)
        key = await keys.of(scope) if due else None
    told = 0
    for target in due:
        assert key is not None, "something is due"
        place, sealed = secret_place(target["target_id"]), target["secret_sealed"]
        secret = key.open(sealed, place) if sealed else b""
        told += await _send(database, ways, tenant_id, target, secret, moment)
    return told


async def _send(database: Database, ways: Ways, tenant_id: UUID, target: Row, secret: bytes, now: datetime) -> bool:
    """Claim, send, note how it went; whether it arrived."""
    async with database.tenant(tenant_id) as scope:
        rows = await scope.all("alerts.claim", target_id=target["target_id"], now=now)
    if not rows:
        return False
    failed: NotDelivered | None = None
    try:
        await asyncio.to_thread(_by_road, ways, tenant_id, target, secret, rows)
    except NotDelivered as error:
        failed = error
        log.warning("an alert was not delivered: %s", error.cause)
    async with database.tenant(tenant_id) as scope:
        await _note(scope, target, rows, failed, now)
    return failed is None


def _by_road(ways: Ways, tenant_id: UUID, target: Row, secret: bytes, rows: Sequence[Row]) -> None:
    """Send all of it at once by the target's road. Raises NotDelivered."""
    language = texts.language_of(target["language"])
    if target["kind"] == "mail":
        if ways.relay is None:
            raise NotDelivered("This service has no mail relay any more.", "Its operator can name one (--mail-relay).")
        mail = texts.message(rows, language, ways.base, ways.relay.sender, target["address"])
        roads.send_mail(ways.relay, mail)
    elif target["kind"] == "webhook":
        body = texts.document(rows, language, ways.base, str(tenant_id))
        signature = roads.sign(secret, body, datetime.now(UTC))
        roads.post(target["address"], body, signature, ways.networks, ways.ca_file)
    else:
        host = socket.gethostname() or "-"
        lines = [roads.log_line(row["what"], texts.line(row, language), row["made_at"], host) for row in rows]
        roads.write_log(target["address"], lines, ways.networks, ways.ca_file)


async def _note(scope: Scope, target: Row, rows: Sequence[Row], failed: NotDelivered | None, now: datetime) -> None:
    """How it went, for each thing that was told and for the target."""
    error = str(failed)[:1_000] if failed else ""
    for row in rows:
        state, pause = "sent", 0
        if failed is not None and failed.uncertain:
            state = "uncertain"
        elif failed is not None:
            pause = PAUSES[row["attempts"] - 1] if row["attempts"] <= len(PAUSES) else 0
            state = "waiting" if pause else "failed"
        next_at = now + timedelta(minutes=pause)
        ids = [row["delivery_id"]]
        await scope.run("alerts.done", delivery_ids=ids, state=state, error=error, next_at=next_at, now=now)
    await scope.run("alerts.note", target_id=target["target_id"], error=error, now=now)


def _relay(settings: ServiceSettings) -> roads.Relay | None:
    """The relay of the settings. Raises SettingsError."""
    if settings.mail_relay is None:
        return None
    security = settings.mail_security
    if security not in SECURITY_PORTS:
        raise SettingsError(f"--mail-security is {security!r}.", f"Choose one of {', '.join(SECURITY_PORTS)}.")
    host, port = _host_and_port(settings.mail_relay, SECURITY_PORTS[security])
    if security == "none" and host not in LOOPBACK:
        raise SettingsError(
            f"--mail-security none sends alerts to {host} in clear.",
            "Use starttls or tls; none is for this machine only.",
        )
    sender = settings.mail_from or ""
    if sender.count("@") != 1 or not sender.isprintable() or not sender.isascii() or " " in sender:
        raise SettingsError("--mail-relay needs --mail-from, the address that alerts come from.", "Give both.")
    password = _password(settings)
    return roads.Relay(host, port, sender, security, settings.mail_user, password, settings.alert_ca_file)


def _host_and_port(relay: str, usual: int) -> tuple[str, int]:
    host, _, port = relay.rpartition(":") if not relay.endswith("]") else (relay, "", "")
    if not host:
        host, port = relay, ""
    if (port and not port.isdecimal()) or not host.strip("[]"):
        raise SettingsError(f"--mail-relay is not a host and port: {relay}.", "Write it like mail.example.com:587.")
    return host.strip("[]"), int(port or usual)


def _password(settings: ServiceSettings) -> str | None:
    """The relay's password: from its file, else from systemd's credential. Raises SettingsError."""
    if settings.mail_user is None:
        return None
    if settings.mail_password_file:
        return read_secret(settings.mail_password_file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / CREDENTIAL).is_file():
        return read_secret(Path(folder) / CREDENTIAL)
    raise SettingsError(
        "--mail-user needs a password.", f"Give --mail-password-file, or the credential {CREDENTIAL} of systemd."
    )
