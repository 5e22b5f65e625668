"""One connector between two relays, a lab and a service, and the laws of the pin story.

A *pin* here is a pinned phone whose mailbox has no other; beside each stand entries of an administrator, made before,
during and after. What Exchange did is taken from its own audit log, never from what the connector says.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations

import psycopg
from psycopg import sql

from gatepost.connector.store import FILE, REVISION, reading
from gatepost.connector.writes import glance
from gatepost.domain.desired import ListName
from gatepost.lab.rows import Device, Mailbox
from gatepost.settings import SyncSettings
from tests.fixtures.relays import ExchangeRelay, Passed, ServiceRelay
from tests.fixtures.site import MakeSite, Site

SECONDS = 40.0
LEVELS = ("allow", "block")
WRITE_TIMEOUT = 4.0
FIELDS = {ListName.ALLOW: "allowed", ListName.BLOCK: "blocked"}
PARAMETERS = {"ActiveSyncAllowedDeviceIDs": ListName.ALLOW, "ActiveSyncBlockedDeviceIDs": ListName.BLOCK}

Change = tuple[str, ListName, bool]
"""A device id that was put on a list (true) or taken off."""


@dataclass
class Pin:
    """A pinned phone. ``theirs`` are the entries that an administrator of Exchange made in its mailbox."""

    mailbox: Mailbox
    phone: Device
    level: str | None
    theirs: set[tuple[ListName, str]] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)

    @property
    def wanted(self) -> set[tuple[ListName, str]]:
        """The entries that should stand in the mailbox at the end."""
        return self.theirs | ({(ListName(self.level), self.phone.device_id)} if self.level else set())

    def set(self, level: str | None) -> None:
        """Pin it, or pin it otherwise; the writes that this takes are ``changes``."""
        if self.level:
            self.changes.append((self.phone.device_id, ListName(self.level), False))
        if level:
            self.changes.append((self.phone.device_id, ListName(level), True))
        self.level = level


@dataclass
class Connector:
    """A connector's folder, its relays, and its process while it runs."""

    site: Site
    exchange: ExchangeRelay
    service: ServiceRelay
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it; one that was superseded ends by itself."""
        self.process = self.site.connector("run")

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        self.process = None

    def stop(self) -> None:
        """Take its time away; it notices nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Give it back."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """End it as an operator does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        self.process.communicate(timeout=SECONDS)
        code, self.process = self.process.returncode, None
        return code

    def wait(self) -> int:
        """Wait for an end of its own; its exit code."""
        assert self.process is not None
        self.process.communicate(timeout=SECONDS)
        code, self.process = self.process.returncode, None
        return code

    def forget(self) -> None:
        """Delete its store."""
        for path in self.site.settings.folder.glob(f"{FILE}*"):
            path.unlink()


class Story:
    """One organization, its connectors, its pins."""

    def __init__(self, site: Site, stack: ExitStack, lease: float | None = None) -> None:
        self.site = site
        self.lease = lease
        self._stack = stack
        self.pins: list[Pin] = []
        self.connectors: list[Connector] = []
        self._phones = phones(site)
        self._edits = 0
        stack.callback(self._kill_all)

    def _kill_all(self) -> None:
        for each in self.connectors:
            if each.process is not None:
                each.kill()

    def connector(self, name: str = "", write_timeout: float | None = None, **limits: object) -> Connector:
        """Another connector of the organization, enrolled, with relays of its own."""
        exchange = self._stack.enter_context(ExchangeRelay(self.site.lab))
        port = int(self.site.service_url.rpartition(":")[2])
        service = self._stack.enter_context(ServiceRelay(port, self.lease, self.site.keys))
        site = self.site.beside(name) if name else self.site
        seconds = write_timeout or (self.lease / 3 if self.lease else WRITE_TIMEOUT)
        site = replace(site, exchange_url=exchange.url, service_url=service.url, write_timeout=seconds)
        made = Connector(site.limited(**{"mode": "enforce", **limits}).enrol(), exchange, service)
        self.connectors.append(made)
        return made

    def begin(self, connector: Connector) -> None:
        """Start it, and wait until the service knows the organization."""
        connector.start()
        self.until(lambda: self.site.syncs() and self.site.syncs()[0]["state"] == "sealed", "the first listing")

    def pin(self, level: str = "block", theirs: bool = True) -> Pin:
        """Pin the next phone."""
        pin = self.choose(theirs)
        self.say(pin, level)
        return pin

    def choose(self, theirs: bool = True) -> Pin:
        """The next phone to be pinned; an administrator has written entries for other ids in its mailbox."""
        mailbox, phone = next(self._phones)
        pin = Pin(mailbox, phone, None)
        self.pins.append(pin)
        if theirs:
            self.edit(pin, ListName.ALLOW)
            self.edit(pin, ListName.BLOCK)
        return pin

    def pin_two(self) -> tuple[Pin, Pin]:
        """Pin two phones of one mailbox, to be blocked."""
        both = next(
            [Pin(mailbox, each, None) for each in mailbox.devices[:2]]
            for mailbox, _ in self._phones
            if len([each for each in mailbox.devices[:2] if each.device_id and each.handset.client_type == "EAS"]) == 2
        )
        for pin in both:
            self.say(pin, "block")
        return both[0], both[1]

    def say(self, pin: Pin, level: str | None) -> None:
        """Pin it otherwise, or not any more."""
        pin.set(level)
        self.site.pin(pin.phone.guid, level)

    def edit(self, pin: Pin, which: ListName, device_id: str = "") -> None:
        """An administrator of Exchange adds an entry."""
        self._edits += 1
        entry = device_id or f"THEIRS{self._edits:06}"
        organization = self.site.lab.organization
        with organization.now():
            found = organization.home(pin.mailbox).find_mailbox(pin.mailbox.guid)
            assert found is not None
            name = FIELDS[which]
            organization.home(pin.mailbox).change_mailbox(found, **{name: (*getattr(found, name), entry)})
        pin.theirs.add((which, entry))

    # -- looking -----------------------------------------------------------------------------------------------------

    def until(self, true: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        """Wait for something to become true; a failure shows the logs."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what} did not happen within {seconds:.0f} s:\n{self.logs()}"
            time.sleep(0.05)

    def logs(self) -> str:
        """What all connectors said."""
        return "\n".join(each.site.log()[-6_000:] for each in self.connectors)

    def entries(self, pin: Pin) -> set[tuple[ListName, str]]:
        """What stands in the mailbox."""
        found = self.site.lab.organization.home(pin.mailbox).find_mailbox(pin.mailbox.guid)
        assert found is not None
        return {(which, entry) for which, name in FIELDS.items() for entry in getattr(found, name)}

    def written(self, pin: Pin) -> list[Change]:
        """What Exchange was made to change in the mailbox, by its audit log: each id that was added or removed."""
        made: list[Change] = []
        for call in self.site.lab.audit:
            if call.parameters.get("Identity") != pin.mailbox.guid or not call.succeeded:
                continue
            for parameter, which in PARAMETERS.items():
                given = call.parameters.get(parameter)
                if given is not None:
                    assert given.whole is None, "a list was replaced"
                    made += [(entry, which, False) for entry in given.remove]
                    made += [(entry, which, True) for entry in given.add]
        return made

    def ownership(self, pin: Pin) -> dict[ListName, str]:
        """What the service's ledger calls the entries of the phone's id."""
        rows = self.site.query(
            "SELECT list, ownership FROM list_entries WHERE tenant_id = %s AND mailbox_guid = %s AND device_id = %s",
            pin.mailbox.guid,
            pin.phone.device_id,
        )
        return {ListName(row["list"]): row["ownership"] for row in rows}

    def rest(self, connector: Connector, after: str, seconds: float = SECONDS) -> None:
        """Wait until the service was told that all stands as published, and the connector has nothing left to do."""
        self.until(lambda: self._told() and self._idle(connector), f"rest after {after}", seconds)

    def _told(self) -> bool:
        rows = self.site.query(
            "SELECT result FROM desired WHERE tenant_id = %s AND (result_revision < revision OR result IS NULL "
            "OR result NOT IN ('applied', 'unchanged'))"
        )
        return not rows

    def _idle(self, connector: Connector) -> bool:
        """Whether its store is level with the service, and empty of work."""
        [head] = self.site.query("SELECT revision FROM desired_heads WHERE tenant_id = %s")
        path = connector.site.settings.folder / FILE
        standing = glance(path)
        with reading(path) as db:
            if db is None or standing.pending or standing.uncertain:
                return False
            [held] = db.execute("SELECT value FROM notes WHERE name = ?", (REVISION,)).fetchall() or [("",)]
            [(left,)] = db.execute("SELECT count(*) FROM outcomes")
        return held[0] == str(head["revision"]) and not left

    # -- the laws ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at rest: lists as desired, nothing foreign lost, each change made once, leases apart."""
        for pin in self.pins:
            assert self.entries(pin) == pin.wanted, (pin.mailbox, self.logs())
            assert sorted(self.written(pin)) == sorted(pin.changes), (self.written(pin), pin.changes, self.logs())
        self.check_leases()
        assert "a fault of the connector" not in self.logs()

    def check_leases(self) -> None:
        """No two connectors ever held a lease at the same time, and each write lay within its connector's."""
        held = {number: leases(each.service.passed) for number, each in enumerate(self.connectors)}
        for one, other in combinations(held, 2):
            for begin, end in held[one]:
                for since, until in held[other]:
                    assert end <= since or until <= begin, (held[one], held[other])
        for number, each in enumerate(self.connectors):
            for passed in list(each.exchange.passed):
                if "write" in passed.tags:
                    assert any(begin <= passed.asked_at <= end for begin, end in held[number]), (passed, held)


def leases(passed: list[Passed]) -> list[tuple[float, float]]:
    """The leases of one connector as they passed by: never shorter than what it believes, on either end.

    The request was sent before it came by, and the answer arrived after; a farewell ends the one that was held.
    """
    found: list[tuple[float, float]] = []
    not_before = 0.0
    for each in sorted(passed, key=lambda one: one.answered_at):
        if "farewell" in each.tags:
            found = [(begin, min(end, each.asked_at)) for begin, end in found]
            continue
        answer = json.loads(each.answer)
        if "lease_seconds" in answer:
            if "check-in" in each.tags:
                not_before = each.answered_at + answer.get("write_in_seconds", 0)
            begin, end = max(each.answered_at, not_before), each.asked_at + answer["lease_seconds"]
            if begin < end:
                found.append((begin, end))
    return found


def phones(site: Site) -> Iterator[tuple[Mailbox, Device]]:
    """Plain users' mailboxes without list entries, and a phone of each."""
    for mailbox in site.lab.organization.mailboxes:
        of_it = [each for each in mailbox.devices if each.device_id and each.handset.client_type == "EAS"]
        if of_it and mailbox.kind == "UserMailbox" and not mailbox.allowed + mailbox.blocked and not mailbox.protected:
            yield mailbox, of_it[0]


@contextmanager
def telling(
    make_site: MakeSite,
    lease: float | None = None,
    *,
    grace: float = 2.0,
    quick_every: float = 900.0,
    full_every: float = 86_400.0,
    watch_every: float = 12.0,
    **lab: object,
) -> Iterator[Story]:
    """A story in a fresh organization; every connector of it is killed at the end."""
    site = make_site(
        sync=SyncSettings(grace=grace, quick_every=quick_every, full_every=full_every, watch_every=watch_every),
        **{"devices": 120, "max_shells": 1_000, **lab},
    )
    if lease is not None:
        shorten_leases(site, lease)
    with ExitStack() as stack:
        yield Story(site, stack, lease)


def shorten_leases(site: Site, seconds: float) -> None:
    """The service counts with shorter leases for this tenant, in its own row, as ``ServiceRelay`` passes them on."""
    name = sql.Identifier(f"short_{site.tenant_id.hex}")
    body = sql.SQL(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "NEW.lease_until := least(NEW.lease_until, clock_timestamp() + {seconds} * interval '1 second'); "
        "RETURN NEW; END $$; "
        "CREATE TRIGGER {name} BEFORE UPDATE ON checkins FOR EACH ROW WHEN (NEW.tenant_id = {tenant}) "
        "EXECUTE FUNCTION {name}()"
    )
    with psycopg.connect(site.urls.superuser) as connection:
        connection.execute(body.format(name=name, seconds=seconds, tenant=str(site.tenant_id)))
