"""The forest: what each controller has while changes are under way, and that all become equal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.lab.organization import NotWritableError, Organization, UnknownControllerError, View
from gatepost.lab.rows import TICKS, AccessRule, Device, Mailbox, MailboxPolicy
from gatepost.lab.seeding import START, make_organization

DELAY = 60
DC1, DC2, FAR1, FAR2 = "dc1.lab.example", "dc2.lab.example", "dc1.emea.lab.example", "dc2.emea.lab.example"


class Clock:
    """A clock that tests set, in seconds."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Ticks."""
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * TICKS)


@dataclass
class World:
    """An organization whose time the test moves, and a mailbox of its first domain with a device."""

    organization: Organization
    clock: Clock
    box: Mailbox
    device: Device

    def views(self) -> Iterator[View]:
        """Each controller's."""
        return (self.organization.view(name) for name in self.organization.controllers)

    def see(self, what: Callable[[View], Any]) -> list[Any]:
        """The same of each controller."""
        return [what(view) for view in self.views()]


def allowed_of(box: Mailbox) -> Callable[[View], Any]:
    """Reads a mailbox's allowed list."""
    return lambda view: (found := view.find_mailbox(box.guid)) and found.allowed


def stamp_of(row: Mailbox | Device) -> Callable[[View], Any]:
    """Reads when a row changed, in seconds since the beginning."""

    def read(view: View) -> float | None:
        found = view.find_device(row.guid) if isinstance(row, Device) else view.find_mailbox(row.guid)
        return None if found is None else (found.changed - START) / TICKS

    return read


@pytest.fixture
def world() -> World:
    """A quiet forest of 60 devices with a delay of a minute, in which no phone talks by itself."""
    organization = make_organization(60)
    clock = Clock()
    organization.clock = clock
    organization.forest.replication = DELAY
    organization.phones.effect = 1e9
    box = next(box for box in organization.mailboxes if box.domain.name == "lab.example" and len(box.devices) == 1)
    return World(organization, clock, box, box.devices[0])


def test_there_are_two_domains_with_two_controllers_each(world: World) -> None:
    """And no others."""
    assert world.organization.controllers == (DC1, DC2, FAR1, FAR2)
    with pytest.raises(UnknownControllerError, match="dc9"):
        world.organization.view("dc9.lab.example")


def test_a_change_is_seen_where_it_was_made_and_later_elsewhere(world: World) -> None:
    """At the controller at once, at the others after the delay."""
    world.organization.view(DC2).change_mailbox(world.box, allowed=("A",))
    assert world.see(allowed_of(world.box)) == [(), ("A",), (), ()]
    world.clock.pass_by(DELAY - 0.1)
    assert world.see(allowed_of(world.box)) == [(), ("A",), (), ()]
    world.clock.pass_by(0.1)
    assert world.see(allowed_of(world.box)) == [("A",)] * 4
    assert world.organization.forest.quiet


def test_each_controller_stamps_for_itself(world: World) -> None:
    """When it was told: the stamps stay different, also through other changes."""
    world.clock.pass_by(100)
    before = stamp_of(world.device)(world.organization.view(DC1))
    world.organization.view(DC2).change_device(world.device, friendly_name="x")
    assert world.see(stamp_of(world.device)) == [before, 100, before, before]
    world.clock.pass_by(1_000)
    assert world.see(stamp_of(world.device)) == [160, 100, 160, 160]
    boxes = [view.find_mailbox(world.box.guid) for view in world.views()]
    assert [[(d.changed - START) / TICKS for d in box.devices] for box in boxes if box] == [[160], [100], [160], [160]]
    world.organization.view(DC1).change_mailbox(world.box, allowed=("A",))
    world.clock.pass_by(1_000)
    assert world.see(stamp_of(world.device)) == [160, 100, 160, 160]
    assert world.see(stamp_of(world.box)) == [1_100, 1_160, 1_160, 1_160]
    stamps = [START + seconds * TICKS for seconds in (160, 100, 160, 160)]
    assert [next(d.changed for d in view.devices if d.guid == world.device.guid) for view in world.views()] == stamps
    world.organization.view(DC1).change_device(world.device, friendly_name="y")
    world.clock.pass_by(1_000)
    assert world.see(stamp_of(world.device)) == [2_100, 2_160, 2_160, 2_160]


def test_attributes_travel_apart_and_the_last_writer_of_one_wins(world: World) -> None:
    """A list goes as a whole; another attribute of the same object is left alone."""
    world.organization.view(DC1).change_mailbox(world.box, allowed=("A",), blocked=("B",))
    world.clock.pass_by(1)
    world.organization.view(DC2).change_mailbox(world.box, allowed=("C",))
    lists = [(box.allowed, box.blocked) for view in world.views() if (box := view.find_mailbox(world.box.guid))]
    assert lists == [(("A",), ("B",)), (("C",), ()), ((), ()), ((), ())]
    world.clock.pass_by(DELAY - 1)
    assert allowed_of(world.box)(world.organization.view(DC2)) == ("C",)
    assert world.see(stamp_of(world.box)) == [0, DELAY, DELAY, DELAY]
    world.clock.pass_by(1)
    assert world.see(stamp_of(world.box)) == [DELAY + 1, DELAY, DELAY + 1, DELAY + 1]
    lists = [(box.allowed, box.blocked) for view in world.views() if (box := view.find_mailbox(world.box.guid))]
    assert lists == [(("C",), ("B",))] * 4


def test_changes_do_not_overtake_one_another(world: World) -> None:
    """Also when the delay has become shorter meanwhile, and when the clock was set back."""
    world.organization.view(DC1).change_mailbox(world.box, allowed=("A",))
    world.organization.forest.replication = 0
    world.organization.view(DC2).change_mailbox(world.box, allowed=("B",))
    assert world.see(allowed_of(world.box)) == [("A",), ("B",), (), ()]
    world.clock.pass_by(-30)
    world.organization.view(DC1).change_mailbox(world.box, allowed=("C",))
    assert world.see(allowed_of(world.box)) == [("C",), ("B",), (), ()]
    world.organization.finish()
    assert world.see(allowed_of(world.box)) == [("C",)] * 4
    assert world.organization.forest.quiet


def test_a_mailbox_is_written_in_its_own_domain_only(world: World) -> None:
    """Controllers of the other domain read it, and refuse to write."""
    view = world.organization.view(FAR1)
    assert not view.may_write(world.box)
    assert view.find_device(world.device.guid) is not None
    for change in (
        lambda: view.change_mailbox(world.box, allowed=("A",)),
        lambda: view.change_device(world.device, friendly_name="x"),
        lambda: view.remove_device(world.device),
    ):
        with pytest.raises(NotWritableError, match="DC=lab,DC=example"):
            change()
    assert world.see(allowed_of(world.box)) == [()] * 4


def test_devices_come_and_go_controller_by_controller(world: World) -> None:
    """In listings, under their mailbox and by their names; and a change of what was removed elsewhere is lost."""
    organization, box, old = world.organization, world.box, world.device
    identity, total = old.identity, len(organization.devices)
    organization.view(DC2).remove_device(old)
    organization.view(DC1).change_device(old, friendly_name="late")
    assert world.see(lambda view: len(view.devices)) == [total, total - 1, total, total]
    assert world.see(lambda view: view.find_device(identity) is None) == [False, True, False, False]
    assert world.see(lambda view: (found := view.find_mailbox(box.guid)) and found.has_devices) == [
        True, False, True, True,
    ]  # fmt: skip
    world.clock.pass_by(DELAY)
    assert world.see(lambda view: len(view.devices)) == [total - 1] * 4
    assert world.see(lambda view: view.find_device(identity)) == [None] * 4
    assert world.see(lambda view: (found := view.find_mailbox(box.guid)) and found.devices) == [[]] * 4


def test_rules_policies_and_settings_travel_too(world: World) -> None:
    """From any controller to all, for they belong to the forest."""
    far = world.organization.view(FAR2)
    rule = far.add_rule(AccessRule("r", "iPhone", "DeviceType", "Block"))
    policy = far.add_policy(MailboxPolicy("p"))
    far.change_settings(default_level="Quarantine")
    assert far.change_rule(rule, level="Allow").level == "Allow"
    assert far.change_policy(policy, settings={"AllowCamera": False}).settings == {"AllowCamera": False}

    def seen(view: View) -> tuple[object, ...]:
        found, made = view.find_rule("R"), view.find_policy(policy.guid)
        return view.settings.default_level, found and found.level, made and made.settings

    here, there = ("Allow", None, None), ("Quarantine", "Allow", {"AllowCamera": False})
    assert world.see(seen) == [here, here, here, there]
    world.clock.pass_by(DELAY)
    assert world.see(seen) == [there] * 4
    world.organization.view(DC1).remove_rule(rule)
    world.organization.view(DC1).remove_policy(policy)
    assert world.see(lambda view: view.find_rule("r") is None) == [True, False, False, False]
    world.clock.pass_by(DELAY)
    assert world.see(lambda view: (view.find_rule("r"), view.find_policy("p"))) == [(None, None)] * 4
    stamps = {view.settings.changed for view in world.views()}
    assert stamps == {START, START + DELAY * TICKS}


def test_what_is_new_arrives_as_it_was_made(world: World) -> None:
    """Its later changes arrive later."""
    far = world.organization.view(FAR1)
    rule = far.add_rule(AccessRule("r", "iPhone", "DeviceType", "Block"))
    world.clock.pass_by(10)
    far.change_rule(rule, level="Allow")

    def level(view: View) -> str | None:
        found = view.find_rule("r")
        return found.level if found else None

    assert world.see(level) == [None, None, "Allow", None]
    world.clock.pass_by(DELAY - 10)
    assert world.see(level) == ["Block", "Block", "Allow", "Block"]
    world.clock.pass_by(10)
    assert world.see(level) == ["Allow"] * 4


def test_a_new_name_is_known_where_it_was_given(world: World) -> None:
    """Elsewhere the old one is, until the change arrives; devices are called after their mailbox."""
    world.organization.view(DC1).change_mailbox(world.box, name="Quite, New", display_name="Quite New")
    names = world.see(lambda view: view.find_mailbox("Quite New") is not None)
    assert names == [True, False, False, False]
    device = world.organization.view(DC1).find_device(world.device.guid)
    assert device is not None
    assert "CN=Quite\\, New,OU=" in device.dn
    world.clock.pass_by(DELAY)
    assert world.see(lambda view: view.find_mailbox("Quite New") is not None) == [True] * 4


def test_without_a_delay_rows_are_changed_where_they_are(world: World) -> None:
    """Nothing is copied, and a clock that nothing waits for is not even read."""
    world.organization.forest.replication = 0
    world.organization.view(DC2).change_mailbox(world.box, allowed=("A",))
    world.organization.finish()
    assert world.see(lambda view: view.find_mailbox(world.box.guid) is world.box) == [True] * 4
    assert world.box.allowed == ("A",)
    assert world.box.changed == START

    def unread() -> int:
        raise AssertionError("the clock was read")

    world.organization.clock = unread
    assert world.see(lambda view: len(view.devices)) == [60] * 4


steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.0, 9.0, 10.0, 25.0]),
        st.sampled_from([DC1, DC2]),
        st.sampled_from(["allowed", "blocked", "display_name", "friendly_name", "remove", "default_level"]),
        st.integers(0, 9),
    ),
    max_size=25,
)


class Model:
    """What controllers should have: each knows its own writes at once and the others' ten seconds later."""

    def __init__(self) -> None:
        self.writes: list[tuple[float, str, str, object]] = []

    def value(self, controller: str, now: float, name: str, otherwise: object) -> object:
        """The last write of a field that the controller knows."""
        known = [value for at, origin, field, value in self.writes if field == name and (
            origin == controller or at + 10 <= now)]  # fmt: skip
        return known[-1] if known else otherwise

    def stamp(self, controller: str, now: float, names: set[str]) -> float:
        """When the controller learned last of a write to one of these fields; before the beginning if never."""
        learned = (at if origin == controller else at + 10 for at, origin, field, _ in self.writes if field in names)
        return max((at for at in learned if at <= now), default=-1)


@given(steps)
@settings(max_examples=60)
def test_whatever_the_interleaving_controllers_agree_when_it_is_quiet(happenings: list[Any]) -> None:
    """And until then each has what was written there, and what had time to arrive, the last writer's."""
    organization = make_organization(8)
    clock = Clock()
    organization.clock, organization.forest.replication, organization.phones.effect = clock, 10, 1e9
    box = next(box for box in organization.mailboxes if box.domain.name == "lab.example" and box.devices)
    device, model, now = box.devices[0], Model(), 0.0
    first = {"allowed": box.allowed, "blocked": box.blocked, "display_name": box.display_name,
             "friendly_name": device.friendly_name, "remove": False, "default_level": "Allow"}  # fmt: skip

    def seen(view: View) -> dict[str, object]:
        mine, phone = view.find_mailbox(box.guid), view.find_device(device.guid)
        assert mine is not None
        assert [row.guid for row in mine.devices] == ([device.guid] if phone else [])
        return {"allowed": mine.allowed, "blocked": mine.blocked, "display_name": mine.display_name,
                "friendly_name": phone and phone.friendly_name, "remove": phone is None,
                "default_level": view.settings.default_level}  # fmt: skip

    def compare() -> None:
        for view in (organization.view(name) for name in organization.controllers):
            wanted = {name: model.value(view.controller, now, name, before) for name, before in first.items()}
            if wanted["remove"]:
                wanted["friendly_name"] = None
            assert seen(view) == wanted
            for row, fields in ((box, {"allowed", "blocked", "display_name"}), (device, {"friendly_name"})):
                stamp = stamp_of(row)(view)
                assert stamp is None or max(stamp, -1) == model.stamp(view.controller, now, fields)

    for pause, controller, what, number in happenings:
        now += pause
        clock.pass_by(pause)
        view = organization.view(controller)
        value: object = (str(number),) if what in {"allowed", "blocked"} else str(number)
        if what == "remove":
            view.remove_device(device)
            value = True
        elif what == "friendly_name":
            view.change_device(device, friendly_name=value)
        elif what == "default_level":
            value = ("Allow", "Block", "Quarantine")[number % 3]
            view.change_settings(default_level=value)
        else:
            view.change_mailbox(box, **{what: value})
        model.writes.append((now, controller, what, value))
        compare()
    now += 10
    clock.pass_by(10)
    compare()
    assert organization.forest.quiet
    ends = [seen(organization.view(name)) for name in organization.controllers]
    assert ends == [ends[0]] * 4
