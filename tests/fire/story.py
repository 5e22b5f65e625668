"""No interleaving of people, sources, networks and power cuts cuts anybody off unasked: hypothesis looks for one.

The service, the connector's parts and the database are real; Exchange, its mail and the way between them are models.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gatepost.domain.desired import Level, ListName
from gatepost.service import directory, pins
from gatepost.service.access import holds
from gatepost.service.compliance import records, sources
from gatepost.service.database import Scope
from gatepost.service.policies import Ring, rollout, versions
from tests.connector.hall import ADDRESS, FAR, NEAR, quick_folder
from tests.fire.model import BY_COMPLIANCE, DAY, HOUR, Decided, Model
from tests.fire.office import House, Office
from tests.fire.site import DEVICES, Site
from tests.service.speaker import device

NAMED = st.sampled_from(DEVICES)
STATES = st.sampled_from(["compliant", "compliant", "noncompliant", "noncompliant", "unknown"])
SOURCES = ("one", "two")
RULE = {"id": "second", "name": "The second", "when": {"device_id": "^d2$"}}
POLICIES: dict[str, dict[str, Any]] = {
    "strict": {"unmanaged": "quarantine", "noncompliant": "block"},
    "mild": {"unmanaged": "allow", "noncompliant": "quarantine"},
    "patient": {"unmanaged": "quarantine", "noncompliant": "block", "grace": {"noncompliant": 86_400, "warn": 3_600}},
    "ruled": {"unmanaged": "quarantine", "noncompliant": "block", "rules": [{**RULE, "level": "block"}]},
    "off": {"unmanaged": "quarantine", "noncompliant": "block", "enabled": False},
}
KILLED = st.none() | st.none() | st.integers(0, 11)
FAULTS = st.sampled_from(["", "", "lost", "answer lost", "twice", "kept"])
TROUBLES = st.sampled_from(["", "", "killed before", "killed after", "lost before", "lost after", "away", "denied"])
AT_POST = st.sampled_from(["", "", "killed before", "killed after", "lost before", "lost after", "claim lost"])
FILLER = 60
LEAVE: Decided = ("leave", "")


class Fire(RuleBasedStateMachine):
    """One mailbox with two phones, and everybody who has to do with it."""

    house: House

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.ready = False

    @classmethod
    def within(cls, house: House) -> "type[Fire]":
        """Such stories in this service."""
        return type(cls.__name__, (cls,), {"house": house})

    @initialize(coupled=st.booleans(), delay=st.sampled_from([0.0, 60.0, 900.0]))
    def begin(self, coupled: bool, delay: float) -> None:
        """Exchange quarantines what it does not know; both phones comply, and are on the list of allowed devices."""
        self.office = Office(self.house)
        self.site = Site(self.stack.enter_context(quick_folder()), self.office, coupled=coupled)
        self.site.directory.delay = delay
        self.model = Model(POLICIES["strict"])
        self.take, self.give = 100, 100
        self.edits = self.lost = 0
        self.free: set[str] = set()
        self.seen_foreign: set[str] = set()
        self.changes = 0
        self.office.look("INSERT INTO guard_settings (take, give) VALUES (100, 100)")
        self.sources: dict[str, UUID] = {
            name: self.office.act(partial(sources.add, name=name, fresh_for=86_400, person=self.office.anna))
            for name in SOURCES
        }
        self.office.act(self._people)
        [row] = self.office.look("SELECT group_id FROM groups")
        self.group_id = str(row["group_id"])
        for name in SOURCES:
            self.tell(name, self.fillers("noncompliant"), complete=name == "one")
        self.site.sync()
        self.site.check_in()
        self.before = self._standing()
        self.ready = True
        self._policy("strict")
        for name in DEVICES:
            self.report("one", name, "compliant", "", None)
        self.work("", "")
        assert self.site.directory.by_us == {(ListName.ALLOW, name) for name in DEVICES}

    # -- what people and sources do --------------------------------------------------------------------------------

    @rule(name=st.sampled_from([*POLICIES, "strict", "excluding", "", ""]), killed=KILLED)
    def policy(self, name: str, killed: int | None) -> None:
        """An administrator lets another policy hold, or the one before."""
        if name:
            self._policy(name, killed)
        else:
            self._roll_back(killed)

    def _policy(self, name: str, killed: int | None = None) -> None:
        excluded = {"excluded": [self.group_id]} if name == "excluding" else {}
        self.model.policy = {"enabled": True, **POLICIES["strict" if excluded else name], **excluded}
        document = self.model.policy

        async def begin(scope: Scope) -> None:
            version = await versions.save(scope, document, "", self.office.anna)
            await rollout.begin(scope, version, Ring.ALL, None, None, self.office.anna)

        self.office.act(begin)
        self._follow(killed)

    def _roll_back(self, killed: int | None) -> None:
        """The version before the one that holds, for everybody, at once."""
        [row] = self.office.look("SELECT version FROM rollouts")
        older = row["version"] - 1
        if not older:
            return
        self.office.act(lambda scope: rollout.roll_back(scope, older, self.office.anna))
        found = self.office.look("SELECT document FROM policies WHERE version = %s", older)
        self.model.policy = found[0]["document"]
        if self.model.policy["grace"]["noncompliant"] == 0:
            del self.model.policy["grace"]
        self._follow(killed)

    @rule(excluded=st.booleans(), killed=KILLED)
    def group(self, excluded: bool, killed: int | None) -> None:
        """The person comes into the group, or leaves it."""
        self.model.excluded = excluded
        self.office.act(self._people)
        self._follow(killed)

    async def _people(self, scope: Scope) -> None:
        anna = self.office.anna
        group = [{"external_id": "out", "name": "Out"}]
        person = {"external_id": "p1", "smtp": [ADDRESS], "upn": None, "display_name": "Ann", "language": "nl"}
        told = [{**person, "enabled": True, "groups": ["out"] if self.model.excluded else []}]
        await directory.put_groups(scope, group, complete=False, may_remove=0, person=anna)
        await directory.put_people(scope, told, complete=False, may_remove=0, person=anna)

    @rule(
        source=st.sampled_from(SOURCES),
        device=NAMED,
        state=STATES,
        how=st.sampled_from(["", "", "twice", "late"]),
        killed=KILLED,
    )
    def report(self, source: str, device: str, state: str, how: str, killed: int | None) -> None:
        """A source tells of a phone: once, again, or of how it was an hour ago."""
        looked_at = self.site.now - (HOUR if how == "late" else 0)
        self.model.hear(source, device, state, looked_at)
        for _ in range(2 if how == "twice" else 1):
            self.tell(source, [self.record(device, state, looked_at)])
        if source == "two":
            self.model.fresh_at[source] = self.site.now
        self._follow(killed)

    @rule(what=st.sampled_from(["whole", "empty", "too good"]), killed=KILLED)
    def list_all(self, what: str, killed: int | None) -> None:
        """The first source tells of everything that it knows; succeeds with nothing; calls everybody compliant."""
        if what == "whole":
            self.whole_list()
        else:
            told = [self.record(name, "compliant", self.site.now) for name in DEVICES]
            self.tell("one", [*told, *self.fillers("compliant")] if what == "too good" else [], complete=True)
            self.model.held.add("one")
        self._follow(killed)

    def whole_list(self) -> None:
        """The first source tells of everything that it knows."""
        told = [
            self.record(about, word.state, word.looked_at)
            for (source, about), word in self.model.words.items()
            if source == "one"
        ]
        self.tell("one", [*told, *self.fillers("noncompliant")], complete=True)

    def fillers(self, state: str) -> list[dict[str, Any]]:
        """Records of phones that Exchange does not have."""
        return [self.record(f"x{number}", state, self.site.now) for number in range(FILLER)]

    def record(self, name: str, state: str, looked_at: float) -> dict[str, Any]:
        """What a source says of a phone."""
        about = {"managed_id": f"m-{name}", "state": state, "device_ids": [name], "user_name": "", "name": ""}
        return {**about, "checked_at": self.site.at(looked_at)}

    def tell(self, source: str, rows: list[dict[str, Any]], *, complete: bool = False) -> None:
        """A source reports."""
        source_id, anna = self.sources[source], self.office.anna
        done = self.office.act(lambda scope: records.report(scope, source_id, rows, complete=complete, person=anna))
        if complete and done.held is None:
            self.model.held.discard(source)
            self.model.fresh_at[source] = self.site.now
        elif not complete:
            self.model.fresh_at.setdefault(source, self.site.now)
            assert done.held is None, done

    @rule(device=NAMED, level=st.sampled_from(["allow", "block", None]))
    def pin(self, device: str, level: str | None) -> None:
        """An administrator pins a phone, or removes the pin."""
        guid, organization, anna = self._guid(device), self.office.organization_id, self.office.anna
        if level:
            self.free.add(device)
            self.model.pins[device] = level
            self.office.act(lambda scope: pins.set_pin(scope, organization, guid, level, "lost", None, anna))
        elif self.model.pins.pop(device, None):
            self.office.act(lambda scope: pins.remove_pin(scope, organization, guid, anna))

    @staticmethod
    def _guid(name: str) -> UUID:
        return UUID(device(DEVICES.index(name))[0])

    # -- what the guard and its people do --------------------------------------------------------------------------

    @rule(take=st.sampled_from([0, 0, 100]), give=st.sampled_from([0, 100, 100]))
    def budget(self, take: int, give: int) -> None:
        """Nobody may lose (or gain) access unasked, or everybody may."""
        self.take, self.give = take, give
        self.office.look("UPDATE guard_settings SET take = %s, give = %s", take, give)

    @rule(approved=st.booleans(), killed=KILLED)
    def answer(self, approved: bool, killed: int | None) -> None:
        """Another administrator approves or refuses what is held."""
        self.free |= self.office.held() if approved else set()
        for hold_id in self.holds("open"):
            self.office.act(partial(self.say, hold_id=hold_id, approved=approved))
        self._follow(killed)

    async def say(self, scope: Scope, hold_id: UUID, approved: bool) -> None:
        """Another administrator says so of one hold."""
        if approved:
            await holds.approve(scope, hold_id, await holds.digest(scope, hold_id), self.office.bert)
        else:
            await holds.refuse(scope, hold_id, "no", self.office.bert)

    def holds(self, state: str) -> list[UUID]:
        """The holds in a state, the oldest first."""
        found = self.office.look("SELECT hold_id FROM holds WHERE state = %s ORDER BY opened_at", state)
        return [row["hold_id"] for row in found]

    def _follow(self, killed: int | None) -> None:
        with self.office.killed(killed):
            self.office.follow()

    # -- what happens between the two, and at Exchange -------------------------------------------------------------

    @rule(fault=FAULTS, killed=KILLED, complete=st.booleans())
    def check_in(self, fault: str, killed: int | None, complete: bool) -> None:
        """The connector speaks to the service, and the way is bad, or the service is killed meanwhile."""
        self.site.check_in(fault=fault, killed=killed, complete=complete)

    @rule(trouble=TROUBLES)
    def run(self, trouble: str) -> None:
        """The connector works, and something may befall its write."""
        self.site.directory.trouble = trouble
        self.site.run()
        self.site.directory.trouble = ""

    @rule(trouble=TROUBLES, at_post=AT_POST)
    def work(self, trouble: str, at_post: str) -> None:
        """It hears, works, tells, sends."""
        self.site.check_in()
        self.run(trouble)
        self.site.check_in()
        self.site.mail(at_post)
        self.site.check_in(complete=False)

    @rule(controller=st.sampled_from([NEAR, FAR]), which=st.sampled_from(ListName), device=NAMED, there=st.booleans())
    def edit(self, controller: str, which: ListName, device: str, there: bool) -> None:
        """An administrator of Exchange edits the same lists by hand, at any controller."""
        self.edits += 1
        self.seen_foreign.add(device)
        entry = (which, device)
        self.site.directory.edit(controller, entry, there=there, doubtful=self.site.in_doubt(entry))

    @rule(seconds=st.sampled_from([1.0, 61.0, 301.0, 901.0, 3_601.0, DAY + 1]))
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.site.pass_time(seconds)

    @rule(what=st.sampled_from(["sync", "sync", "late", "restart", "store", "empty", "away", "back", "look"]))
    def mishap(self, what: str) -> None:
        """The mailbox is listed; an old document arrives; the connector is killed, or its store is deleted.

        Exchange answers with success and nothing; the service cannot be reached, so that no lease is renewed, or again;
        a replica looks, as it does each second.
        """
        self.lost += what == "store"
        if what in ("away", "back"):
            self.site.leased = what == "back"
        else:
            acts: dict[str, Callable[[], object]] = {
                "sync": self.site.sync,
                "late": self.site.late,
                "restart": self.site.restart,
                "store": self.site.lose_store,
                "empty": self.site.empty_inventory,
                "look": partial(self._follow, None),
            }
            acts[what]()
        assert self.office.look("SELECT count(*) AS n FROM devices WHERE gone_at IS NULL") == [{"n": 2}]

    # -- what must hold --------------------------------------------------------------------------------------------

    def _standing(self) -> dict[str, tuple[Decided, str]]:
        decided, published = self.office.decided(), self.office.published()
        return {name: (decided.get(name, LEAVE), published.get(name, "leave")) for name in DEVICES}

    @invariant()
    def decided_as_the_model_says(self) -> None:
        """What is decided is what the model says, or what it was; published is what is decided, or it is held."""
        if not self.ready:
            return
        now, held, rest = self._standing(), self.office.held(), self.office.due() == 0
        for name in DEVICES:
            (decided, published), (was_decided, was_published) = now[name], self.before[name]
            right = self.model.levels(name, was_decided, self.site.now)
            assert decided[0] in right | {was_decided[0]}, (name, decided, right)
            self.changes += decided != was_decided
            if rest:
                assert published == decided[0] or name in held, (name, published, decided)
            if was_published == "allow" != published:
                self._lost(name, right, published)
        self.before = now
        self.free.clear()

    def _lost(self, name: str, right: set[str], published: str) -> None:
        """Access that is taken away: because of what is so now, and not beyond the budget unless somebody said so."""
        assert published in right, (name, published, right)
        uses = self.office.look("SELECT 1 FROM budget_uses WHERE verb = 'take' AND at > now() - interval '1 hour'")
        assert self.take or uses or name in self.free | self.seen_foreign, (name, published)

    @invariant()
    def foreign_entries_stay(self) -> None:
        """Nothing that people made was taken off by a write of ours."""
        if self.ready:
            assert self.site.directory.overruled == []

    @invariant()
    def nobody_is_told_twice(self) -> None:
        """No mail is sent twice, and there are no more mails than decisions."""
        if self.ready:
            sent = self.site.post.sent
            assert all(count == 1 for count in sent.values()), sent
            assert sum(sent.values()) <= self.changes, (sent, self.changes)

    # -- the end ---------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Left alone, everything comes to rest; once what is held is approved, as the model says, at Exchange too."""
        if self.ready:
            self._rest()
        self.stack.close()

    def _rest(self) -> None:
        self.site.leased = True
        for _ in range(2):
            self._a_day()
        self.decided_as_the_model_says()
        self.budget(100, 100)
        self._agree()
        for _ in range(2):
            self._a_day()
        for hold_id in self.holds("refused"):
            if self.office.look("SELECT 1 FROM hold_items WHERE hold_id = %s AND state = 'held'", hold_id):
                self.office.act(partial(holds.reopen, hold_id=hold_id, person=self.office.bert))
        self.answer(True, None)
        self._a_day()
        self._a_day()
        written, sent = len(self.site.directory.writes), sum(self.site.post.sent.values())
        self._a_day()
        assert len(self.site.directory.writes) == written <= self._causes(), "it goes on writing"
        assert sum(self.site.post.sent.values()) == sent, "it goes on telling"
        assert self.site.directory.lists[NEAR] == self.site.directory.lists[FAR]
        self._check_end()
        self.site.close()

    def _agree(self) -> None:
        """The sources contradict each other no more, and nobody says that they do not know."""
        for name in DEVICES:
            said = [word.state for (_, about), word in self.model.words.items() if about == name]
            state = next((each for each in said if each != "unknown"), "noncompliant")
            for source, about in self.model.words:
                if about == name:
                    self.report(source, name, state, "", None)

    def _a_day(self) -> None:
        self.site.pass_time(DAY)
        self.whole_list()
        self.tell("two", self.fillers("noncompliant"))
        self.model.fresh_at["two"] = self.site.now
        self._follow(None)
        self.site.sync()
        self.site.check_in()
        self.run("")
        self.site.check_in(complete=False)
        self.site.mail()
        self.site.pass_time(301)
        self.site.check_in(complete=False)
        self.run("")
        self.site.mail()
        self.site.check_in(complete=False)

    def _causes(self) -> int:
        [row] = self.office.look("SELECT count(*) AS n FROM events WHERE name = 'service:level:published'")
        return int(row["n"]) + self.edits + 2 * self.lost

    def _check_end(self) -> None:
        standing, told = self.site.directory.lists[NEAR], self.site.told()
        for name, (decided, published) in self._standing().items():
            right = self.model.levels(name, decided, self.site.now)
            if len(right) > 1:
                right = {str(self.model.policy["noncompliant"])}  # days have passed
            assert {decided[0], published} == right, (name, decided, published, right)
            assert (decided[1] in BY_COMPLIANCE) == (name not in self.model.pins and self._asks(name)), decided
            if name not in told:
                assert published == "leave"
                continue
            assert told[name] in ("applied", "unchanged", "conflict"), (name, told)
            if told[name] != "conflict" and published in (Level.ALLOW, Level.BLOCK):
                assert (ListName(published), name) in standing
                assert (ListName(published).opposite, name) not in standing
            elif told[name] != "conflict" and not self.lost:
                assert not {each for each in self.site.directory.by_us & standing if each[1] == name}

    def _asks(self, name: str) -> bool:
        """Whether compliance is what decides of a phone without a pin."""
        policy = self.model.policy
        outside = self.model.excluded and policy.get("excluded")
        return bool(policy["enabled"] and not outside and not (policy.get("rules") and name == "d2"))
