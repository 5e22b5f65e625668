"""What is wrong is told once when it begins, daily, and once at its end: against a real database and real receivers."""

import asyncio
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from gatepost.domain.contract import Status
from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service.alerts import conditions, job, outbox, targets, texts
from gatepost.service.alerts.addresses import networks
from gatepost.service.alerts.roads import Relay as Road
from gatepost.service.database import Database
from gatepost.service.keys import Keys
from gatepost.service.vault import Vault
from tests.fixtures.service import SETTINGS, Service
from tests.service.alerts.receivers import Certificate, Hook, Relay, hooking, relaying
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox

pytestmark = pytest.mark.anyio
HERE = networks(["127.0.0.0/8", "::1/128"])


@pytest.fixture
async def database(service: Service) -> AsyncIterator[Database]:
    """The test's database."""
    async with await Database.open(service.urls.app) as database:
        yield database


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The receivers' certificate, for localhost."""
    return Certificate.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def keys() -> Keys:
    """The keys of the installation of the tests."""
    return Keys(Vault.open_file(SETTINGS.vault_file))


Evaluate = Callable[..., Any]


def later(minutes: float) -> datetime:
    """A moment so many minutes from now: a test may begin long after this file was read."""
    return datetime.now(UTC) + timedelta(minutes=minutes)


@pytest.fixture
def evaluate(database: Database, service: Service) -> Evaluate:
    """Look at a moment, so many minutes from now: what is told, as words and conditions."""

    async def at(minutes: float = 0, tls: Path | None = None) -> list[tuple[str, str]]:
        told = await job.evaluate(database, service.tenant_id, tls, later(minutes))
        return [(what, row["condition"]) for what, row in told]

    return at


async def test_a_silent_connector_is_told_once_reminded_of_daily_and_its_return_is_told(
    speaker: Speaker, evaluate: Evaluate, look: Look
) -> None:
    """After ten minutes without lease or word; a short return does not end it, and then it is not told again."""
    await asyncio.to_thread(speaker.say)
    assert await evaluate(1) == []
    assert await evaluate(9) == []
    assert await evaluate(13) == [("begin", "silent")]
    assert await evaluate(14) == []
    assert await evaluate(13 + 24 * 60 - 1) == []
    assert await evaluate(13 + 24 * 60) == [("reminder", "silent")]
    day = 13 + 24 * 60
    look("UPDATE checkins SET last_at = now() + interval '25 hours'")
    assert await evaluate(day + 1) == []
    look("UPDATE checkins SET last_at = now()")
    assert await evaluate(day + 9) == []
    assert look("SELECT count(*) AS n FROM alerts") == [{"n": 1}]


async def test_the_end_is_told_when_it_lasts(speaker: Speaker, evaluate: Evaluate, look: Look) -> None:
    """Ten quiet minutes after the connector is heard."""
    await asyncio.to_thread(speaker.say)
    assert await evaluate(13) == [("begin", "silent")]
    look("UPDATE checkins SET last_at = now() + interval '2 hours'")
    assert await evaluate(60) == []
    assert await evaluate(69) == []
    assert await evaluate(70) == [("end", "silent")]
    assert await evaluate(71) == []


async def test_writing_that_is_stopped_is_no_silence(speaker: Speaker, evaluate: Evaluate, look: Look) -> None:
    """Without a lease to renew the connector speaks at its synchronisations only; half an hour counts."""
    await asyncio.to_thread(speaker.say)
    look("UPDATE organizations SET writing_stopped_at = now(), writing_stopped_by = 'a', writing_stopped_why = 'b'")
    look("UPDATE checkins SET lease_until = NULL, last_at = now()")
    assert await evaluate(29) == []
    assert await evaluate(32) == [("begin", "silent")]


async def test_a_synchronisation_that_fails_twice_is_told(speaker: Speaker, evaluate: Evaluate, look: Look) -> None:
    """Where the failure outlives the next attempt, or two in a row broke off; not the first one."""
    look("UPDATE organizations SET made_at = now()")
    status = Status(version="0.1.0", host="mail1", failure="Exchange cannot be reached.")
    await asyncio.to_thread(speaker.say, status=status)
    assert await evaluate(0) == []
    look("UPDATE checkins SET last_at = now() + interval '1 hour'")
    assert await evaluate(19) == []
    assert await evaluate(20) == [("begin", "sync")]
    await asyncio.to_thread(speaker.synchronise, [device(0)], [mailbox(0)])
    look("UPDATE checkins SET last_at = now() + interval '1 hour'")
    assert await evaluate(21) == []
    assert await evaluate(31) == [("end", "sync")]
    for _ in range(2):
        await asyncio.to_thread(speaker.begin, [device(0)], [mailbox(0)])
        look("UPDATE syncs SET state = 'abandoned', ended_at = now() WHERE state = 'open'")
    look("UPDATE checkins SET last_at = now() + interval '1 hour'")
    assert await evaluate(40) == [("begin", "sync")]


async def test_what_a_guard_holds_is_told(speaker: Speaker, evaluate: Evaluate, look: Look) -> None:
    """An inventory that shrank, until one is accepted and comes; what waits for a second person, whatever it is."""
    rows = [device(number) for number in range(60)]
    await asyncio.to_thread(speaker.synchronise, rows, [mailbox(0)])
    await asyncio.to_thread(speaker.synchronise, rows[:2], [mailbox(0)])
    assert await evaluate() == [("begin", "held")]
    look(
        "INSERT INTO removals (organization_id, ending, state, digest, gaining, losing, entries, asked_id, asked_by)"
        " SELECT organization_id, 'undo', 'asked', '', 0, 0, 0, gen_random_uuid(), 'anna' FROM organizations"
    )
    look(
        "INSERT INTO holds (organization_id, verb, cause, gathers_until, expires_at)"
        " SELECT organization_id, 'take', 'policy', now(), now() + interval '7 days' FROM organizations"
    )
    look(
        "INSERT INTO guard_settings (asked_take, asked_id, asked_by, asked_at)"
        " VALUES (1000, gen_random_uuid(), 'anna', now())"
    )
    assert await evaluate(1) == [("begin", "held")] * 3
    told = {row["subject"]: row for row in look("SELECT *, NULL AS name, 'begin' AS what FROM alerts")}
    assert texts.sentence(told["guard"], texts.language_of("en")).endswith("Holds that wait: 1.")
    assert [texts.link(told[each], "https://here/") for each in ("guard", "budgets")] == ["https://here/holds"] * 2
    await asyncio.to_thread(speaker.synchronise, rows, [mailbox(0)])
    look("UPDATE removals SET state = 'cancelled', ended_at = now()")
    look("UPDATE holds SET state = 'over', decided_at = now()")
    look("UPDATE guard_settings SET asked_take = NULL, asked_id = NULL, asked_by = NULL, asked_at = NULL")
    assert await evaluate(2) == []
    look("UPDATE checkins SET last_at = now() + interval '1 hour'")
    assert await evaluate(12) == [("end", "held")] * 4


async def test_what_is_near_its_end_is_told(
    service: Service, speaker: Speaker, evaluate: Evaluate, look: Look, certificate: Certificate
) -> None:
    """A connector's certificate, the service's, a set-up package, a password that the doctor names; and their ends."""
    await asyncio.to_thread(service.ticket)
    doctor = {"at": "x", "checks": [{"name": "account-password", "level": "warning", "what": "It ends on Friday."}]}
    await asyncio.to_thread(speaker.say, status=Status(version="0.1.0", host="mail1", doctor=doctor))
    look("UPDATE connector_certificates SET not_after = now() + interval '1 day'")
    look("UPDATE tickets SET expires_at = now() + interval '1 hour' WHERE used_at IS NULL")
    assert await evaluate(0, certificate.ca_file) == [("begin", one) for one in ("certificate", "password", "ticket")]
    look("UPDATE connector_certificates SET not_after = now() + interval '7 days'")
    look("UPDATE tickets SET used_at = now()")
    await asyncio.to_thread(speaker.say, status=Status(version="0.1.0", host="mail1"))
    assert await evaluate(1) == []
    look("UPDATE checkins SET last_at = now() + interval '1 hour'")
    assert await evaluate(11) == [("end", one) for one in ("certificate", "password", "ticket")]


async def test_the_services_own_certificate_is_watched(
    evaluate: Evaluate, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From two weeks before its end; a file that cannot be read alarms nobody."""
    ends = conditions.tls_ends(certificate.ca_file)
    assert ends is not None
    days = (ends - datetime.now(UTC)).days
    assert await evaluate(60 * 24 * (days - 20), certificate.ca_file) == []
    assert await evaluate(60 * 24 * (days - 13), certificate.ca_file) == [("begin", "tls")]
    assert conditions.tls_ends(Path("/nonexistent")) is None


async def test_writes_that_are_refused_and_lists_changed_by_others_are_told(
    speaker: Speaker, evaluate: Evaluate, look: Look
) -> None:
    """One alert for all of a kind, from the service's own findings; over when the findings are."""
    for code in ("write-refused", "write-failed", "list-conflict"):
        look(
            "INSERT INTO findings (organization_id, origin, code, subject, cause, remedy)"
            " SELECT organization_id, 'service', %s, 'm/d', '', '' FROM organizations",
            code,
        )
    look(
        "INSERT INTO findings (organization_id, origin, code, subject, cause, remedy)"
        " SELECT organization_id, 'connector', 'entries-undone', 'm', '', '' FROM organizations"
    )
    assert await evaluate() == [("begin", "lists"), ("begin", "refused")]
    assert look("SELECT condition, detail FROM alerts ORDER BY condition") == [
        {"condition": "lists", "detail": "2"},
        {"condition": "refused", "detail": "2"},
    ]
    look("UPDATE findings SET ended_at = now()")
    look("UPDATE checkins SET last_at = now() + interval '1 hour'")
    assert await evaluate(1) == []
    assert await evaluate(11) == [("end", "lists"), ("end", "refused")]


def ways(certificate: Certificate, relay: Relay | None = None) -> outbox.Ways:
    """What the operator gave: a relay of the test, this machine's own network, the test's authority."""
    road = (
        Road("localhost", relay.port, "gatepost@example.com", "starttls", ca_file=certificate.ca_file)
        if relay
        else None
    )
    return outbox.Ways(road, HERE, certificate.ca_file, "https://gatepost.example.com/")


async def add(database: Database, keys: Keys, service: Service, kind: str, address: str, language: str = "en") -> str:
    """Add a target; its secret."""
    async with database.tenant(service.tenant_id) as scope:
        _, secret = await targets.add(scope, await keys.of(scope), kind, address, language, "anna", by_mail=True)
    return secret


def documented() -> dict[str, Any]:
    """The example of the operations page, as its reader would have it."""
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.partition("## Alerts")[2].partition("```python\n")[2].partition("```")[0], names)
    return names


def stored(look: Look) -> list[tuple[Any, ...]]:
    """State and attempts of what is to be told."""
    return [(row["state"], row["attempts"]) for row in look("SELECT state, attempts FROM alert_deliveries")]


async def test_a_mail_tells_all_that_waits_at_once(
    service: Service, database: Database, keys: Keys, speaker: Speaker, evaluate: Evaluate, look: Look,
    certificate: Certificate,
) -> None:  # fmt: skip
    """In the target's language, with what helps and where to look, once; no name of a person is in it."""
    look(
        "INSERT INTO findings (organization_id, origin, code, subject, cause, remedy)"
        " SELECT organization_id, 'service', 'write-refused', 'Secret Person', 'Secret Person', '' FROM organizations"
    )
    await add(database, keys, service, "mail", "alerts@example.com", "nl")
    await asyncio.to_thread(speaker.say)
    assert len(await evaluate(13)) == 2
    with relaying(Relay(certificate)) as relay:
        for _ in range(2):
            at = later(13)
            await outbox.send_due(database, keys, ways(certificate, relay), service.tenant_id, at)
        (mail,) = relay.messages
    text = mail.get_content()
    assert (mail["Subject"], mail["To"], mail["Content-Language"]) == (
        "Gatepost: 2 meldingen",
        "alerts@example.com",
        "nl",
    )
    assert "Head office: De connector is niet meer gehoord sinds" in text
    assert f"https://gatepost.example.com/connection?organization={speaker.identity['organization']}" in text
    assert "Secret" not in text
    assert stored(look) == [("sent", 1), ("sent", 1)]
    assert look("SELECT last_error, last_ok_at IS NULL AS never FROM alert_targets") == [
        {"last_error": "", "never": False}
    ]


async def test_a_webhook_gets_json_that_its_secret_signs(
    service: Service, database: Database, keys: Keys, speaker: Speaker, evaluate: Evaluate, certificate: Certificate
) -> None:
    """Checked by a receiver that knows the secret alone."""
    await asyncio.to_thread(speaker.say)
    with hooking(Hook(), certificate) as hook:
        secret = await add(database, keys, service, "webhook", hook.url)
        await evaluate(13)
        await outbox.send_due(database, keys, ways(certificate), service.tenant_id, later(13))
    ((headers, body),) = hook.got
    assert documented()["is_genuine"](secret, headers["Gatepost-Signature"], body)
    assert not documented()["is_genuine"](secret + "x", headers["Gatepost-Signature"], body)
    assert not documented()["is_genuine"](secret, headers["Gatepost-Signature"], body + b" ")
    at, signature = (part.partition("=")[2] for part in headers["Gatepost-Signature"].split(","))
    assert hmac.compare_digest(
        hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest(), signature
    )
    (alert,) = json.loads(body)["alerts"]
    assert (alert["what"], alert["condition"], alert["organization"]) == ("begin", "silent", "Head office")
    assert alert["text"].startswith("Head office: The connector has not been heard since ")


async def test_what_fails_is_tried_again_with_growing_pauses(
    service: Service, database: Database, keys: Keys, speaker: Speaker, evaluate: Evaluate, look: Look,
    certificate: Certificate,
) -> None:  # fmt: skip
    """Then no more; the target says why. The same alert keeps its id."""
    await asyncio.to_thread(speaker.say)
    with hooking(Hook(status=503), certificate) as hook:
        await add(database, keys, service, "webhook", hook.url)
        await evaluate(13)
        minutes = 13
        for pause in (0, *outbox.PAUSES, 1_000):
            minutes += pause
            for _ in range(2):
                at = later(minutes)
                await outbox.send_due(database, keys, ways(certificate), service.tenant_id, at)
    assert stored(look) == [("failed", 1 + len(outbox.PAUSES))]
    assert len({json.loads(body)["alerts"][0]["id"] for _, body in hook.got}) == 1
    assert len(hook.got) == 1 + len(outbox.PAUSES)
    (row,) = look("SELECT last_error FROM alert_targets")
    assert "The webhook at localhost answers with 503. Its own log says why." in row["last_error"]


async def test_an_address_inside_is_refused_in_words(
    service: Service, database: Database, keys: Keys, look: Look, certificate: Certificate
) -> None:
    """A test to a name that leads to this machine says so, and who can allow it; nothing is sent."""
    with hooking(Hook(), certificate) as hook:
        await add(database, keys, service, "webhook", hook.url)
        async with database.tenant(service.tenant_id) as scope:
            await targets.test(scope, (await targets.all_of(scope))[0]["target_id"], "anna")
        await outbox.send_due(database, keys, outbox.Ways(), service.tenant_id)
        assert hook.got == []
    (row,) = look("SELECT last_error FROM alert_targets")
    assert "localhost leads to" in row["last_error"]
    assert "ask the operator of the service to allow that network" in row["last_error"]


KILLED = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from gatepost.service.alerts import outbox
from gatepost.service.alerts.addresses import networks
from gatepost.service.alerts.roads import Relay
from gatepost.service.database import Database
from gatepost.service.keys import Keys
from gatepost.service.vault import Vault

async def main(url, key_file, tenant, ca_file, port):
    relay = Relay("localhost", int(port), "gatepost@example.com", "starttls", ca_file=Path(ca_file))
    async with await Database.open(url) as database:
        ways = outbox.Ways(relay, networks(["127.0.0.0/8", "::1/128"]), Path(ca_file))
        await outbox.send_due(database, Keys(Vault.open_file(Path(key_file))), ways, UUID(tenant))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_service_killed_in_the_middle_of_a_mail_sends_it_once(
    service: Service, database: Database, keys: Keys, look: Look, certificate: Certificate
) -> None:
    """By kill -9 while the relay has it: five minutes later nobody can tell, it says so, and it is not repeated."""
    await add(database, keys, service, "mail", "alerts@example.com")
    async with database.tenant(service.tenant_id) as scope:
        await targets.test(scope, (await targets.all_of(scope))[0]["target_id"], "anna")
    with relaying(Relay(certificate, hang=True)) as relay:
        arguments = (service.urls.app, SETTINGS.vault_file, service.tenant_id, certificate.ca_file, relay.port)
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), *map(str, arguments)])
        assert await asyncio.to_thread(relay.got.wait, 30)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert stored(look) == [("sending", 1)]
        await outbox.send_due(database, keys, ways(certificate, relay), service.tenant_id)
        assert stored(look) == [("sending", 1)]
        later = datetime.now(UTC) + timedelta(minutes=6)
        await outbox.send_due(database, keys, ways(certificate, relay), service.tenant_id, later)
        assert len(relay.messages) == 1
    assert stored(look) == [("uncertain", 1)]
    async with database.tenant(service.tenant_id) as scope:
        assert (await targets.all_of(scope))[0]["uncertain"] == 1


async def test_a_webhook_that_was_claimed_and_never_told_is_told(
    service: Service, database: Database, keys: Keys, look: Look, certificate: Certificate
) -> None:
    """It knows the alert by its id, so a second time does no harm."""
    with hooking(Hook(), certificate) as hook:
        await add(database, keys, service, "webhook", hook.url)
        async with database.tenant(service.tenant_id) as scope:
            target = (await targets.all_of(scope))[0]["target_id"]
            await targets.test(scope, target, "anna")
        async with database.tenant(service.tenant_id) as scope:
            await scope.all("alerts.claim", target_id=target, now=datetime.now(UTC))
        later = datetime.now(UTC) + timedelta(minutes=6)
        await outbox.send_due(database, keys, ways(certificate), service.tenant_id, later)
    assert [json.loads(body)["alerts"][0]["what"] for _, body in hook.got] == ["test"]
    assert stored(look) == [("sent", 2)]


async def test_two_replicas_tell_once(
    service: Service, database: Database, keys: Keys, speaker: Speaker, look: Look, certificate: Certificate
) -> None:
    """Both look and send at the same moment."""
    await asyncio.to_thread(speaker.say)
    at = later(13)
    with hooking(Hook(), certificate) as hook:
        await add(database, keys, service, "webhook", hook.url)
        await asyncio.gather(*(job.evaluate(database, service.tenant_id, None, at) for _ in range(4)))
        sends = (outbox.send_due(database, keys, ways(certificate), service.tenant_id, at) for _ in range(4))
        await asyncio.gather(*sends)
    assert len(hook.got) == 1
    assert stored(look) == [("sent", 1)]


@pytest.mark.parametrize(
    ("kind", "address", "words"),
    [
        ("mail", "a@b.example\nBcc: c@d.example", "alerts@example.com"),
        ("mail", "nobody", "alerts@example.com"),
        ("webhook", "http://hooks.example.com/", "https://hooks.example.com/gatepost"),
        ("webhook", "https://user:pass@hooks.example.com/", "https://hooks.example.com/gatepost"),
        ("webhook", "https://hooks.example.com/ x", "https://hooks.example.com/gatepost"),
        ("webhook", "file:///etc/passwd", "https://hooks.example.com/gatepost"),
        ("syslog", "log.example.com", "tls://log.example.com:6514"),
        ("syslog", "udp://log.example.com:99999", "tls://log.example.com:6514"),
        ("syslog", "gopher://log.example.com", "tls://log.example.com:6514"),
        ("pigeon", "x", "mail, webhook or syslog"),
    ],
)
def test_addresses_that_are_none_are_refused(kind: str, address: str, words: str) -> None:
    """With an example of one that is."""
    with pytest.raises(Problem, match=words):
        targets.check(kind, address)


async def test_targets_are_in_the_audit_trail_and_secrets_nowhere(
    service: Service, database: Database, keys: Keys, look: Look
) -> None:
    """Adding, testing (once a minute) and removing, with before and after; no secret is in them, also of an address."""
    url = "https://hooks.example.com/services/T0/secret-in-the-path?key=too"
    secret = await add(database, keys, service, "webhook", url)
    with pytest.raises(Problem, match="go there already"):
        await add(database, keys, service, "webhook", url)
    async with database.tenant(service.tenant_id) as scope:
        (target,) = await targets.all_of(scope)
        await targets.test(scope, target["target_id"], "anna")
        with pytest.raises(Problem, match="within the last minute"):
            await targets.test(scope, target["target_id"], "anna")
        await targets.remove(scope, target["target_id"], "anna")
        with pytest.raises(Problem, match="no such target"):
            await targets.remove(scope, uuid4(), "anna")
    rows: Sequence[dict[str, Any]] = look("SELECT name, body FROM events WHERE name LIKE 'console:alert%%'")
    bodies = {row["name"]: row["body"] for row in rows}
    assert bodies.keys() == {Event.ALERT_TARGET_ADDED, Event.ALERT_TESTED, Event.ALERT_TARGET_REMOVED}
    assert bodies[Event.ALERT_TARGET_ADDED]["after"]["address"] == "https://hooks.example.com/…"
    assert bodies[Event.ALERT_TARGET_REMOVED]["before"]["address"] == "https://hooks.example.com/…"
    assert not {word for word in (secret, "secret-in-the-path", "too") if word in json.dumps(rows, default=str)}
    assert look("SELECT * FROM alert_deliveries") == []


async def test_the_service_looks_and_tells_by_itself(
    service: Service, database: Database, keys: Keys, speaker: Speaker, look: Look, certificate: Certificate
) -> None:
    """As often as the settings say; an alert of a kind that this version does not know is told too."""
    await asyncio.to_thread(speaker.synchronise, [device(0)], [mailbox(0)])
    look("UPDATE syncs SET state = 'held'")
    look(
        "INSERT INTO alerts (condition, seen_at, begun_at, clear_at) SELECT 'odd', now(), now(), now() - interval '1 h'"
    )
    settings = msgspec.structs.replace(SETTINGS, alerts_every=0.05)
    with hooking(Hook(), certificate) as hook:
        await add(database, keys, service, "webhook", hook.url)
        loop = asyncio.create_task(job.run(database, keys, settings, ways(certificate)))
        assert await asyncio.to_thread(hook.arrived.wait, 20)
        loop.cancel()
    told = {each["condition"]: each["text"] for each in json.loads(hook.got[0][1])["alerts"]}
    assert told.keys() == {"held", "odd"}
    assert told["odd"] == "Gatepost service: What needed a person is over; a newer version of Gatepost saw it."
