"""The pin story under fire: killed, stopped, cut off and replaced at every step, by real processes.

Steps are found by relays that see each request pass (``tests/fixtures/relays.py``), so that nothing is guessed at by
time; the laws are in ``story/telling.py``.
"""

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from gatepost.connector.looks import JUST_NOW
from gatepost.domain.desired import ListName
from gatepost.errors import Problem
from tests.connector.story.telling import LEVELS, SECONDS, Connector, Pin, Story, leases, telling
from tests.fixtures.relays import AFTER, BEFORE, Halt, Relay
from tests.fixtures.site import MakeSite


@dataclass(frozen=True)
class Step:
    """A step of the story: which request of which side is held. ``go``: it goes its way when the process is dead."""

    name: str
    at: str
    tag: str
    side: str
    go: bool = False

    def halt(self, connector: Connector, pin: Pin) -> Halt:
        """Hold it there; at Exchange, where it is about this pin's mailbox."""
        if self.at == "exchange":
            return connector.exchange.halt(f"{self.tag} {pin.mailbox.guid}", self.side)
        return connector.service.halt(self.tag, self.side)


NOT_PERMITTED = 6
STEPS = (
    Step("published", "service", "wait", AFTER),
    Step("woken", "service", "check-in", BEFORE),
    Step("told", "service", "told", AFTER),
    Step("acknowledging", "service", "acknowledge", BEFORE),
    Step("acknowledged", "service", "acknowledge", AFTER),
    Step("reading", "exchange", "read", BEFORE),
    Step("read", "exchange", "read", AFTER),
    Step("permitted, lost", "exchange", "write", BEFORE),
    Step("permitted, late", "exchange", "write", BEFORE, go=True),
    Step("carried out", "exchange", "write", AFTER),
    Step("reading back", "exchange", "back", BEFORE),
    Step("read back", "exchange", "back", AFTER),
    Step("telling", "service", "report", BEFORE),
    Step("told of", "service", "report", AFTER),
)
DONE = {"carried out", "permitted, late", "reading back", "read back", "telling", "told of"}


def kill_at(story: Story, connector: Connector, step: Step, *, forget: bool, level: str) -> None:
    """Pin, kill at the step, perhaps delete the store, start again; then all must be well."""
    pin = story.choose()
    halt = step.halt(connector, pin)
    story.say(pin, level)
    halt.wait()
    if step.name in DONE and not step.go:
        story.until(lambda: story.written(pin), "the write")
    connector.kill()
    halt.let(go=step.go)
    if step.name in DONE:
        story.until(lambda: story.written(pin), "the write that was on its way")
    if forget:
        connector.forget()
    story.edit(pin, ListName.ALLOW)
    connector.start()
    story.rest(connector, step.name)
    story.edit(pin, ListName.BLOCK)
    story.check()
    lost = forget and step.name in DONE - {"told of"}
    assert story.ownership(pin) == {ListName(level): "presumed" if lost else "ours"}, (step, forget)


def kills(make_site: MakeSite, steps: Sequence[tuple[Step, bool]]) -> None:
    """One organization and one connector, killed at these steps; where so said its store is deleted then."""
    with telling(make_site) as story:
        connector = story.connector()
        story.begin(connector)
        for number, (step, forget) in enumerate(steps):
            kill_at(story, connector, step, forget=forget, level=("block", "allow")[number % 2])


FIXED = {
    "told": False,
    "acknowledged": True,
    "read": False,
    "permitted, lost": True,
    "permitted, late": False,
    "carried out": True,
    "telling": True,
}


@pytest.mark.timeout(120)
def test_killed_at_each_step_every_pin_is_written_once(make_site: MakeSite) -> None:
    """SIGKILL, also with the store deleted: every pin is written once, and the ledger knows whose the entry is."""
    kills(make_site, [(step, FIXED[step.name]) for step in STEPS if step.name in FIXED])


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("forget", [False, True])
def test_killed_at_every_step_with_its_store_and_without(make_site: MakeSite, forget: bool) -> None:
    """All steps."""
    kills(make_site, [(step, forget) for step in STEPS])


def stop_at(story: Story, old: Connector, step: Step, name: str) -> Connector:
    """Stop a connector at the step, let another take over and write, give the first its time back."""
    pin = story.choose()
    halt = step.halt(old, pin)
    story.say(pin, "block")
    halt.wait()
    old.stop()
    halt.let(go=True)
    story.edit(pin, ListName.ALLOW)
    new = story.connector(name)
    new.start()
    story.rest(new, step.name, SECONDS + (story.lease or 120))
    assert story.written(pin) == pin.changes
    by_old = old.exchange.count("write")
    old.resume()
    assert old.wait() == NOT_PERMITTED, old.site.log()
    story.edit(pin, ListName.BLOCK)
    story.check()
    assert old.exchange.count("write") == by_old, old.site.log()
    assert "this connector was replaced" in old.site.log()
    words = last_words(old)
    assert words
    assert any(words) or step.name not in DONE
    assert story.ownership(pin)[ListName(pin.level or "")] in ("ours", "presumed")
    return new


def last_words(connector: Connector) -> list[int]:
    """How many outcomes were in each farewell of a connector that the service took."""
    key = next(each.key for each in connector.service.passed if each.key)
    rows = connector.site.query(
        "SELECT body FROM events WHERE tenant_id = %s AND name = 'connector:connector:farewell' AND actor = %s",
        key.split("/")[1],
    )
    return [row["body"]["outcomes"] for row in rows]


def stops(make_site: MakeSite, names: Sequence[str], lease: float | None) -> None:
    """One connector after the other is stopped in its work, and replaced meanwhile."""
    with telling(make_site, lease, quick_every=1.0) as story:
        connector = story.connector("0")
        story.begin(connector)
        for number, step in enumerate(each for each in STEPS if each.name in names):
            connector = stop_at(story, connector, step, str(number + 1))


@pytest.mark.timeout(120)
def test_a_stopped_connector_writes_nothing_once_another_may(make_site: MakeSite) -> None:
    """SIGSTOP for longer than a lease, before and after the bytes left; leases never overlap, all is written once."""
    stops(make_site, ("read", "carried out"), lease=6)


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("lease", [6, None])
def test_stopped_at_every_step_and_replaced(make_site: MakeSite, lease: float | None) -> None:
    """All steps, with short leases and with those of the contract."""
    stops(make_site, [step.name for step in STEPS if not step.go], lease)


def test_stopped_until_its_lease_cannot_outlive_a_write_it_sends_nothing(make_site: MakeSite) -> None:
    """SIGSTOP between the last reading and the first byte of the write: the permit refuses; a later lease writes."""
    with telling(make_site, lease=15, watch_every=0) as story:
        connector = story.connector(write_timeout=10)
        relay = connector.exchange
        relay.single = True
        story.begin(connector)
        story.pin()
        story.rest(connector, "the first pin")  # from now on nothing else is asked of Exchange
        read = relay.halt("read", AFTER)
        pin = story.pin()
        read.wait()
        opened = relay.halt("connection", BEFORE, skip=1)  # the next one brings what was read
        read.let(go=True)
        opened.wait()
        connector.stop()
        opened.let(go=True)
        story.until(lambda: leases(connector.service.passed)[-1][1] - 10 < time.monotonic(), "the end of the lease")
        connector.resume()
        story.until(lambda: "write not sent" in connector.site.log(), "the refusal")
        assert "No write may start: the lease lasts" in connector.site.log()
        assert story.written(pin) == []
        story.pin()
        story.rest(connector, "the pins")
        story.check()


def cut_at(story: Story, connector: Connector, step: Step) -> None:
    """Pin, cut the connector off from one side at the step, lose what was passing, let it try, mend."""
    relay = connector.exchange if step.at == "exchange" else connector.service
    pin = story.choose()
    halt = step.halt(connector, pin)
    story.say(pin, "block")
    halt.wait()
    refused = relay.refused
    relay.cut()
    halt.let(go=step.go)
    story.edit(pin, ListName.ALLOW)
    story.until(lambda: relay.refused > refused, "another attempt")
    relay.mend()
    story.rest(connector, step.name)
    story.edit(pin, ListName.BLOCK)
    story.check()
    assert story.ownership(pin) == {ListName.BLOCK: "ours"}


def cuts(make_site: MakeSite, names: Sequence[str]) -> None:
    """One connector, cut off at these steps."""
    with telling(make_site) as story:
        connector = story.connector()
        story.begin(connector)
        for step in STEPS:
            if step.name in names:
                cut_at(story, connector, step)


@pytest.mark.timeout(120)
def test_cut_off_in_the_middle_every_pin_is_written_once(make_site: MakeSite) -> None:
    """A write whose answer is lost is known again by reading; an outcome that was not taken in is told again."""
    cuts(make_site, ("carried out", "told of"))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_cut_off_at_every_step(make_site: MakeSite) -> None:
    """All steps, on both sides."""
    cuts(make_site, [step.name for step in STEPS])


def day(make_site: MakeSite, seed: int, syncs: int) -> None:
    """A day of an observing connector with so many synchronisations, a full one among them now and then."""
    chance = random.Random(seed)
    with telling(make_site, quick_every=0.01, full_every=5.0, devices=60, seed=seed) as story:
        connector = story.connector(mode="observe")
        story.begin(connector)
        for number in range(syncs):
            sealed = connector.service.count("sync-seal")
            story.site.lab.story.step()
            if number % (syncs // 8) == 0:
                something(story, chance)
            if number % (syncs // 3) == syncs // 6:
                connector.kill() if chance.random() < 0.5 else connector.end()
                connector.start()
            wait_for(story, connector.service, "sync-seal", sealed)
        results = story.site.query("SELECT DISTINCT result FROM outcomes WHERE tenant_id = %s")
        assert "observed" in {row["result"] for row in results}
        assert {call.cmdlet for call in story.site.lab.audit} == {"Set-ADServerSettings"}
        changing = {call.cmdlet for call in story.site.lab.calls if not call.cmdlet.startswith(("Get-", "Select-"))}
        assert changing == {"Set-ADServerSettings"}
        assert {"full", "quick"} <= {sync["kind"] for sync in story.site.syncs() if sync["state"] == "sealed"}


def something(story: Story, chance: random.Random) -> None:
    """A pin comes and another goes, and an administrator writes a list; a phone may be gone by now, which is told."""
    with suppress(Problem):
        story.edit(story.pin(chance.choice(LEVELS)), chance.choice(list(ListName)))
    if pinned := [pin for pin in story.pins if pin.level]:
        with suppress(Problem):
            story.say(chance.choice(pinned), None)


def wait_for(story: Story, relay: Relay, tag: str, more_than: int) -> None:
    """Until another request with this tag was answered."""
    story.until(lambda: relay.count(tag) > more_than, f"another {tag}")


@pytest.mark.timeout(120)
def test_observing_for_a_day_writes_nothing(make_site: MakeSite) -> None:
    """A synchronisation an hour; phones, people, pins, restarts and kills: no write, by Exchange's own log."""
    day(make_site, seed=24, syncs=24)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
def test_observing_for_a_day_of_quarters_writes_nothing(make_site: MakeSite, seed: int) -> None:
    """The same with the synchronisation every quarter of an hour that is the default."""
    day(make_site, seed, syncs=96)


def fire(make_site: MakeSite, seed: int, rounds: int) -> None:
    """Kills, stops with a successor, partitions, lost stores, pins that come, change and go, in a seeded order."""
    chance = random.Random(seed)
    with telling(make_site, lease=6, quick_every=1.0, devices=600, seed=seed) as story:
        connector = story.connector("0")
        story.begin(connector)
        for number in range(rounds):
            step, what = chance.choice(STEPS[1:]), chance.choice(("kill", "forget", "stop", "cut", "say"))
            if what == "stop" and not step.go:
                connector = stop_at(story, connector, step, str(number + 1))
            elif what == "cut":
                cut_at(story, connector, step)
            elif what == "say" and story.pins:
                pin = chance.choice(story.pins)
                story.say(pin, chance.choice([level for level in (*LEVELS, None) if level != pin.level]))
                story.rest(connector, "another word")
                story.check()
            else:
                kill_at(story, connector, step, forget=what == "forget", level=chance.choice(LEVELS))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(6))
def test_everything_at_once_for_long(make_site: MakeSite, seed: int) -> None:
    """The same laws after each of sixty rounds."""
    fire(make_site, seed, rounds=60)


def test_what_an_administrator_writes_while_a_write_is_on_its_way_stays_theirs(make_site: MakeSite) -> None:
    """The same entry as ours, made while we read, is not called ours; an opposite one stops the write."""
    with telling(make_site, devices=300) as story:
        connector = story.connector()
        story.begin(connector)
        held = connector.service.halt("check-in", BEFORE)
        one, other = story.pin_two()
        held.wait()
        read = connector.exchange.halt("read", AFTER)
        held.let(go=True)
        read.wait()
        story.edit(one, ListName.BLOCK, one.phone.device_id)
        time.sleep(JUST_NOW)
        read.let(go=True)
        story.rest(connector, "the pins")
        assert story.ownership(one) == {ListName.BLOCK: "foreign"}
        story.site.pin(one.phone.guid, None)
        story.rest(connector, "without the pin")
        assert story.entries(one) == {(ListName.BLOCK, each.phone.device_id) for each in (one, other)}
        assert story.written(one) == other.changes
        read = connector.exchange.halt("read", AFTER)
        third = story.pin(theirs=False)
        read.wait()
        story.edit(third, ListName.ALLOW, third.phone.device_id)
        time.sleep(JUST_NOW)
        read.let(go=True)
        story.until(lambda: "list-conflict" in story.site.findings(), "the conflict")
        assert story.entries(third) == third.theirs
        assert story.written(third) == []
