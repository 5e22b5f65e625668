"""From an empty machine to the end of a connection, with everything as it is delivered.

A service on an empty folder with its own PostgreSQL, a real browser with an authenticator, the connector's one file as
it was downloaded, on the system's Python, behind a proxy that asks for a sign-in, and an Exchange whose administrator
has entries of their own. What Exchange did is taken from its own audit log.
"""

import json
from itertools import combinations

import pytest

from tests.connector.story.telling import leases
from tests.domain.test_script import calls, listed
from tests.fixtures.relays import BEFORE, Halt, Passed
from tests.story.actors import PASSWORD, Host, until
from tests.story.conftest import DEVICES, Stage

pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.needs("squid"),
    pytest.mark.needs("unshare"),
    pytest.mark.xdist_group("package"),
]
DONE = {0, 3}
"""How a set-up ends that is done: 3 where the doctor has findings."""
REFUSED, NOT_PERMITTED = 4, 6
ORGANIZATION = "Contoso"


@pytest.mark.timeout(360)
def test_the_life_of_a_connection(stage: Stage) -> None:
    """Set up, connected, enforcing, pinned; replaced in the middle of a write; each end leaves others' entries alone.

    One story of one organization: each part begins where the one before it ended.
    """
    begin(stage)
    first = connect(stage, "mail1")
    enforce(stage, first)
    gate(stage)
    second = replace(stage, first)
    leave(stage, second)
    take_back(stage, connect(stage, "mail3", mode="enforce"))
    hand_over(stage, connect(stage, "mail4", mode="enforce"))
    check_leases(stage)


def begin(stage: Stage) -> None:
    """A tenant and its administrator, who signs in, registers a passkey, and meets the prerequisites."""
    (stage.folder / "password").write_text(f"{PASSWORD}\n")
    stage.operator.admin("tenant", "create", "--slug", "contoso", "--name", "Contoso")
    words = ("--tenant", "contoso", "--name", "anna", "--password-file", str(stage.folder / "password"))
    stage.operator.admin("administrator", "create", *words)
    stage.console.sign_in("contoso", "anna", PASSWORD)
    stage.console.choose_authority()


def unzip(stage: Stage, name: str) -> Host:
    """A host with a newly downloaded package."""
    host = stage.host(name)
    host.unzip(*stage.console.download(ORGANIZATION))
    return host


def connect(stage: Stage, name: str, mode: str = "observe") -> Host:
    """The silent set-up on another host, and its connector at work, as the console sees it."""
    host = unzip(stage, name)
    done = host.set_up(mode=mode)
    assert done.returncode in DONE, done.stderr
    begun(stage, host, mode)
    return host


def begun(stage: Stage, host: Host, mode: str) -> None:
    """The package is spent, its passwords sealed, and the connector runs through the proxy."""
    left = {path.name for path in host.folder.iterdir()}
    assert not left & {"ticket", "exchange-password", "proxy-password"}
    host.key = json.loads((host.state / "identity.json").read_text())["connector"]
    host.start()
    until(lambda: "full synchronisation sealed" in host.log(), "the first listing", stage.logs)
    stage.console.sees_connection(host.name, mode.capitalize(), DEVICES)


def enforce(stage: Stage, host: Host) -> None:
    """Observing, it has written nothing; its administrator lets it write, and starts it again."""
    assert stage.exchange.writes() == 0
    assert host.run("mode", "enforce", "--yes").returncode == 0
    assert host.stop() == 0, host.log()
    host.start()
    stage.console.sees_connection(host.name, "Enforce", DEVICES)


def gate(stage: Stage) -> None:
    """Two phones are pinned; Exchange's lists follow, and the page says so."""
    for number in (0, 1):
        stage.console.pin(stage.exchange.phones[number][1])
    applied(stage, 0, 1)


def applied(stage: Stage, *numbers: int) -> None:
    """The entries stand, and the pages say that they were read back."""
    until(lambda: all(map(stage.exchange.allows, numbers)), "the entries in Exchange", stage.logs)
    for number in numbers:
        stage.console.sees_applied(stage.exchange.phones[number][1])


def replace(stage: Stage, first: Host) -> Host:
    """Another host takes over while the first one's write is on its way; nothing is lost, and nothing done twice."""
    mailbox, phone = stage.exchange.phones[2]
    write = first.exchange.halt(f"write {mailbox.guid}", BEFORE)
    stage.console.pin(phone)
    write.wait()
    second = unzip(stage, "mail2")
    asked = second.set_up(mode="enforce")
    assert asked.returncode == REFUSED, asked.stderr
    assert "mail1" in asked.stderr, asked.stderr
    assert (second.folder / "ticket").exists()
    done = second.set_up(mode="enforce", replace=True)
    assert done.returncode in DONE, done.stderr
    begun(stage, second, "enforce")
    stage.console.pin(stage.exchange.phones[3][1])
    until(lambda: waits(stage, second), "the second one's wait for the lease", stage.logs)
    assert second.exchange.count("write") == 0
    finish(first, write)
    applied(stage, 0, 1, 2, 3)
    assert second.exchange.count("write") == 1, stage.logs()
    boxes = [(mailbox.guid, phone.device_id) for mailbox, phone in stage.exchange.phones[:4]]
    assert sorted(stage.exchange.added()) == sorted(boxes), stage.logs()
    return second


def waits(stage: Stage, host: Host) -> bool:
    """Whether the service told this connector that it may write, and from when on: not yet."""
    told = [json.loads(each.answer) for each in of(stage, host) if "check-in" in each.tags]
    return any(answer.get("lease_seconds") and answer.get("write_in_seconds", 0) > 0 for answer in told)


def finish(first: Host, write: Halt) -> None:
    """The first one's write ends; it says farewell, who took its place, and keeps nothing secret."""
    write.let(go=True)
    assert first.wait() == NOT_PERMITTED, first.log()
    assert "this connector was replaced" in first.log()
    assert "mail2" in first.log()
    assert "not given back" not in first.log()
    told = first.run("status")
    assert told.returncode != 0
    assert "Another connector on mail2 has taken over" in " ".join(told.stderr.split())
    assert first.secrets() == []


def over(host: Host) -> None:
    """Its connector ends by itself and keeps nothing secret."""
    assert host.wait() == NOT_PERMITTED, host.log()
    assert "removed" in host.log()
    assert host.secrets() == []


def leave(stage: Stage, host: Host) -> None:
    """All entries stay where they are, and nothing is written."""
    before, writes = stage.exchange.lists(), stage.exchange.writes()
    stage.console.remove("leave", losing=4)
    stage.console.sees_removed(host.name, standing=4)
    over(host)
    assert (stage.exchange.lists(), stage.exchange.writes()) == (before, writes)


def take_back(stage: Stage, host: Host) -> None:
    """Set up again it knows what is ours, takes off exactly that, and ends when it is read back."""
    stage.console.remove("undo", losing=4)
    stage.console.sees_removed(host.name, standing=0)
    over(host)
    assert stage.exchange.lists() == stage.exchange.own


def hand_over(stage: Stage, host: Host) -> None:
    """The file takes off just what is ours, and nothing is written before somebody runs it."""
    stage.console.pin(stage.exchange.phones[4][1])
    applied(stage, 4)
    before, writes = stage.exchange.lists(), stage.exchange.writes()
    stage.console.remove("file", losing=1)
    stage.console.sees_removed(host.name, standing=1)
    over(host)
    text = stage.console.take_file()
    assert (stage.exchange.lists(), stage.exchange.writes()) == (before, writes)
    boxes = {mailbox.guid: mailbox for mailbox, _ in stage.exchange.phones}
    [line] = calls(text)
    mailbox = boxes[line.split("'")[1]]
    allowed, blocked = stage.exchange.of(mailbox)
    left = {"allowed": allowed - {*listed(line, "-Allowed")}, "blocked": blocked - {*listed(line, "-Blocked")}}
    kept = {name: tuple(ids) for name, ids in left.items()}
    stage.exchange.lab.organization.home(mailbox).change_mailbox(mailbox, **kept)
    assert stage.exchange.lists() == stage.exchange.own


def of(stage: Stage, host: Host) -> list[Passed]:
    """What passed between a host's connector and the service."""
    mine = [each for each in stage.front.passed if host.key in each.key]
    return [each for each in mine if each.path.startswith("/connector/")]


def check_leases(stage: Stage) -> None:
    """No two connectors ever held a lease at a time, and each write lay within its connector's."""
    held = {host.name: leases(of(stage, host)) for host in stage.hosts}
    assert all(held.values()), held
    for one, other in combinations(held.values(), 2):
        assert all(end <= since or until <= begin for begin, end in one for since, until in other), held
    for host in stage.hosts:
        for passed in host.exchange.passed:
            within = any(begin <= passed.asked_at <= end for begin, end in held[host.name])
            assert within or "write" not in passed.tags, (passed.tags, held)
