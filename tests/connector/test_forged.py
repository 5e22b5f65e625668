"""Somebody stands between connector and service, reads everything and changes answers: nothing of that is used.

And what the service itself says against a connector: replaced, revoked, all writing stopped.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost.connector import credentials
from gatepost.connector.agent import Agent, status
from gatepost.connector.secrets import Secrets
from gatepost.domain import signing
from gatepost.errors import AnswerUnsigned, ServiceRefused, SettingsError
from tests.connector.test_agent import events, finish, running, sealed, until
from tests.connector.test_writing import lists, pinnable
from tests.fixtures.connector import Reply, Request, Stage, problem, wanted
from tests.fixtures.site import MakeSite, Site

OWN_KEY = Ed25519PrivateKey.generate()
Change = Callable[[Request, Reply], Reply]


class Proxy:
    """Between a connector and its service, on a stage: passes on, and ``change`` makes another answer of each."""

    def __init__(self, stage: Stage, site: Site) -> None:
        self._service = site.service_url
        self.change: Change = lambda _, reply: reply
        self.kept: list[Reply] = []
        stage.answers = [self._answer]

    def _answer(self, request: Request) -> Reply:
        found = requests.request(
            request.method, self._service + request.path, headers=request.headers, data=request.body, timeout=60
        )
        names = ("Content-Type", "Gatepost-Signature", "Retry-After")
        headers = {name: found.headers[name] for name in names if name in found.headers}
        reply = Reply(found.status_code, found.content, headers, signed=False)
        self.kept.append(reply)
        return self.change(request, reply)


def inserted(**fields: Any) -> Change:
    """Fields of the answer are others; its signature is passed on as it came."""

    def change(_: Request, reply: Reply) -> Reply:
        return replace(reply, body=json.dumps(json.loads(reply.body) | fields).encode())

    return change


def stripped(_: Request, reply: Reply) -> Reply:
    """The answer as it is, without its signature."""
    return replace(reply, headers={"Content-Type": reply.headers["Content-Type"]})


def own(change: Change) -> Change:
    """Changed, and signed with a key of the proxy's own."""

    def signed(request: Request, reply: Reply) -> Reply:
        made = change(request, reply)
        text = signing.answer_bytes(made.status, made.body, request.headers["Gatepost-Signature"])
        return replace(
            made, headers=made.headers | {"Gatepost-Signature": base64.b64encode(OWN_KEY.sign(text)).decode()}
        )

    return signed


def refused(kind: str, code: int = 403, **fields: Any) -> Change:
    """The service is made to say no."""

    def change(_: Request, reply: Reply) -> Reply:
        made = problem(code, kind, **fields)
        return replace(made, headers=reply.headers | made.headers, signed=False)

    return change


ROW = wanted("DEV").document()
ORDER = {"order_id": "11111111-1111-4111-8111-111111111111", "kind": "wipe", "device": "DEV"}
LIES: dict[str, Change] = {
    "row": inserted(desired=[ROW], revision=1),
    "order": inserted(orders=[ORDER]),
    "lease": inserted(lease_seconds=120, write_in_seconds=0, taken_away=0),
    "stripped": stripped,
    "own-key": own(inserted(desired=[ROW], revision=1)),
    "superseded": refused("superseded", by="mail2"),
    "superseded-own-key": own(refused("superseded", by="mail2")),
    "revoked": refused("revoked"),
    "retired": refused("retired"),
    "gap": refused("sequence-gap", 409, expected=99),
    "history": refused("incarnation", 409, incarnation="another"),
    "malformed": refused("malformed", 400),
    "clock": refused("clock", 401, server_time="2031-01-01T00:00:00Z"),
}


def test_nothing_of_a_changed_answer_is_used(make_site: MakeSite, stage: Stage) -> None:
    """No row, no order, no lease, no refusal, no clock: as if the service were away. Told the truth, it goes on."""
    site = make_site(devices=8).enrol().limited(mode="enforce")
    site.synchronise()
    _, phone = pinnable(site)
    site.pin(phone.guid, "block")
    proxy, between = Proxy(stage, site), site.of(stage.url)
    identity, instance = credentials.load(site.settings.folder), credentials.instance(site.settings.folder)
    for name, lie in LIES.items():
        proxy.change = lie
        with Agent(between.settings, patience=0) as agent:
            with pytest.raises(AnswerUnsigned, match=r"somebody between changes answers\."):
                agent.work()
            assert agent.courier.lease.remaining() == 0, name
            assert agent.store.revision == 0, name
            assert agent.store.pending() is not None, name
        times = [datetime.fromisoformat(request.headers["Gatepost-Time"]) for request in stage.requests]
        assert abs(times[-1] - datetime.now(UTC)) < timedelta(minutes=1), name
        assert credentials.load(site.settings.folder) == identity, name
        assert credentials.instance(site.settings.folder) == instance, name
        assert len(stage.requests) == 1, name
        stage.requests.clear()
    assert site.writes() == []
    proxy.change = lambda _, reply: reply
    assert between.work() == {"written": 1}
    assert site.writes() == ["Set-CASMailbox"]


def test_an_answer_from_before_is_not_used_again(make_site: MakeSite, stage: Stage) -> None:
    """One that gave a lease, kept for when the service gives none any more."""
    site = make_site(devices=8).enrol().limited(mode="enforce")
    proxy, between = Proxy(stage, site), site.of(stage.url)
    with Agent(between.settings, patience=0) as agent:
        agent.courier.cycle()
        kept = proxy.kept[-1]
        agent.courier.lease.drop()
        proxy.change = lambda _, __: kept
        with pytest.raises(AnswerUnsigned):
            agent.courier.cycle()
        assert agent.courier.lease.remaining() == 0


def test_somebody_between_is_told_once_and_found_on_the_console(make_site: MakeSite, stage: Stage) -> None:
    """The log has one line for as long as it lasts; once the service is heard again it shows the finding."""
    site = make_site(devices=8).enrol()
    proxy, between = Proxy(stage, site), site.of(stage.url)
    with running(between):
        until(lambda: sealed(site, "full"), "the first synchronisation", site)
        proxy.change = stripped
        said = "an answer is not signed by the service: somebody between changes answers"
        until(lambda: said in events(site), "the line", site)
        count = len(stage.requests)
        until(lambda: len(stage.requests) > count + 2, "more attempts", site)
        assert events(site).count(said) == 1
        assert events(site).count("the service is away") == 1
        proxy.change = lambda _, reply: reply
        until(lambda: "answer-unsigned" in site.findings(), "the finding", site)
    assert credentials.load(site.settings.folder).key not in site.log()


# -- what the service says ---------------------------------------------------------------------------------------------


def test_a_replaced_connector_keeps_nothing_secret(make_site: MakeSite) -> None:
    """Passwords go with the key; status and log say by which host it was replaced."""
    site = make_site(devices=8).enrol()
    Secrets(site.settings.folder).keep("exchange", "hunter2")
    key = credentials.load(site.settings.folder).key
    site.beside("second").enrol()
    site.execute("UPDATE connectors SET host = 'mail2' WHERE epoch = 2 AND tenant_id = %s")
    assert finish(site.connector("run"))[0] == 6
    [line] = [json.loads(line) for line in site.log().splitlines() if "was replaced" in line and line.startswith("{")]
    assert (line["why"], line["by"]) == ("superseded", "mail2")
    code, told = finish(site.connector("status", "--json"))
    state = json.loads(told)
    assert (code, state["enrolled"], state["organization"]) == (6, False, None)
    assert "Another connector on mail2 has taken over" in state["ended"]
    code, told = finish(site.connector("mode", "enforce", "--yes"))
    assert code == 2
    left = [path for path in site.settings.folder.iterdir() if path.is_file()]
    assert not {"secrets.json", "secrets.key"} & {path.name for path in left}
    assert all(key.encode() not in path.read_bytes() for path in left)
    assert key not in site.log()


def test_a_revoked_connector_ends_within_a_second(make_site: MakeSite) -> None:
    """It waits for the service, is woken, and stops for good."""
    site = make_site(devices=8).enrol()
    process = site.connector("run")
    until(lambda: sealed(site, "full"), "the first synchronisation", site)
    site.execute("UPDATE connectors SET revoked_at = now() WHERE tenant_id = %s")
    assert finish(process)[0] == 6
    with pytest.raises(SettingsError, match=r"was replaced: .*403 revoked.*was revoked by an administrator"):
        credentials.load(site.settings.folder)


STOP = (
    "UPDATE organizations SET writing_stopped_at = now(), writing_stopped_by = 'anna', writing_stopped_why = 'x' "
    "WHERE tenant_id = %s"
)
RELEASE = (
    "UPDATE organizations SET writing_stopped_at = NULL, writing_stopped_by = NULL, writing_stopped_why = NULL "
    "WHERE tenant_id = %s"
)


def test_stopped_writing_ends_the_lease_of_a_running_connector(make_site: MakeSite) -> None:
    """What is pinned meanwhile waits; released, it is written without anybody's doing."""
    site = make_site(devices=8).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    with Agent(site.settings, patience=5) as agent:
        agent.courier.cycle()
        assert agent.courier.lease.may_start(60)
        site.execute(STOP)
        now = agent.courier.lease.now()
        agent.cycle.learn(agent.uplink.wait(agent.store.revision, stopped=False), now)
        assert (agent.courier.lease.remaining(), agent.courier.lease.stopped) == (0, True)
        agent.courier.cycle()
        assert agent.courier.lease.remaining() == 0
    with running(site):
        until(lambda: '"connector started"' in site.log(), "its start", site)
        site.pin(phone.guid, "block")
        until(lambda: status(site.settings).pending == 1, "the row", site)
        assert site.writes() == []
        site.execute(RELEASE)
        until(lambda: lists(site, mailbox) == ((), (phone.device_id,)), "the write", site)


def test_a_refusal_of_the_service_is_followed_once_it_is_signed(make_site: MakeSite, stage: Stage) -> None:
    """The same words that a proxy may not say: passed on as they came, they end the connector."""
    site = make_site(devices=8).enrol()
    Proxy(stage, site)
    site.beside("second").enrol()
    with pytest.raises(ServiceRefused, match="403 superseded"):
        site.of(stage.url).synchronise()
    with pytest.raises(SettingsError, match="was replaced"):
        credentials.load(site.settings.folder)
