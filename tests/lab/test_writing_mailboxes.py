"""Set-CASMailbox: the two lists, by change and as a whole, at the right controller, and where it is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gatepost.lab.dialects import DIALECTS
from gatepost.lab.errors import DENIED_CODE, CmdletError
from gatepost.lab.rows import ON_PREMISES
from gatepost.lab.values import Multi
from tests.lab.bench import CHILD, ROOT, Bench

ALLOWED, BLOCKED = "ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs"
AHEAD = ("android-work-profile-0001", "ÜBERID", "x" * 64)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"Add": "new"}, (*AHEAD, "new")),
        ({"add": ["a", "b"], "REMOVE": ["überid"]}, (AHEAD[0], AHEAD[2], "a", "b")),
        ({"Add": "ANDROID-work-profile-0001"}, AHEAD),
        ({"Remove": "never there"}, AHEAD),
        ({"Add": None, "Remove": "ÜBERID"}, (AHEAD[0], AHEAD[2])),
        (["one", "two"], ("one", "two")),
        ("one", ("one",)),
        ([], ()),
        (None, ()),
    ],
)
def test_a_list_is_changed_or_written_as_a_whole(given: Any, allowed: tuple[str, ...]) -> None:
    """A hashtable adds and removes, without regard to case; a plain value overwrites; null clears."""
    bench = Bench()
    said = bench.run("Set-CASMailbox", Identity="ahead", **{ALLOWED: given})
    assert said.errors == []
    box = bench.mailbox("ahead")
    assert (box.allowed, box.blocked) == (allowed, ("LOST-0001",))
    assert bool(said.warnings) is (allowed == AHEAD)


def test_what_is_so_already_is_not_written() -> None:
    """The stamp stays, a warning says that nothing was modified, and the audit log has the attempt."""
    bench = Bench()
    before = bench.mailbox("ahead").changed
    said = bench.run("Set-CASMailbox", Identity="ahead", ActiveSyncEnabled=True, **{ALLOWED: {"Add": "ÜBERID"}})
    assert bench.mailbox("ahead").changed == before
    assert said.warnings == [
        "The command completed successfully but no settings of 'lab.example/Gebruikers/Listed Ahead' have been "
        "modified."
    ]
    assert [entry.cmdlet for entry in bench.engine.audit] == ["Set-CASMailbox"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["twice", "TWICE"], 'The value "TWICE" is already present in the collection.'),
        ({"Insert": "x"}, 'The keys that are allowed are "Add" and "Remove".'),
        ({}, 'The keys that are allowed are "Add" and "Remove".'),
        ([["nested"]], 'Cannot convert value "System.Object[]"'),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(given: Any, says: str) -> None:
    """Before anything is written."""
    bench = Bench()
    with pytest.raises(CmdletError, match="Cannot process argument transformation") as refused:
        bench.run("Set-CASMailbox", Identity="ahead", **{ALLOWED: given})
    assert says in str(refused.value)
    assert refused.value.error_id == "ParameterArgumentTransformationError,Set-CASMailbox"
    assert bench.mailbox("ahead").allowed == AHEAD


@pytest.mark.parametrize(("identity", "kind"), [(None, "NullNotAllowed"), ("", "TransformationError")])
def test_a_write_needs_an_identity(identity: str | None, kind: str) -> None:
    """Null and empty text are refused, where a reading would answer with everything."""
    bench = Bench()
    with pytest.raises(CmdletError) as refused:
        bench.run("Set-CASMailbox", Identity=identity, ActiveSyncEnabled=False)
    assert kind in refused.value.error_id
    here = [box for box in bench.organization.mailboxes if box.kind in ON_PREMISES]
    assert len(bench.run("Get-CASMailbox", Identity=identity, ResultSize="Unlimited").rows) == len(here)


@pytest.mark.parametrize("name", ["nobody", "moved", "left"])
def test_who_has_no_mailbox_here_is_not_found(name: str) -> None:
    """An error beside a completed pipeline."""
    assert Bench().run("Set-CASMailbox", Identity=name, ActiveSyncEnabled=False).kinds == [
        "ManagementObjectNotFoundException"
    ]


def test_a_protected_account_refuses_the_write() -> None:
    """As the directory does: the code is the same in every language, and nothing is changed."""
    bench = Bench()
    said = bench.run("Set-CASMailbox", Identity="protected", **{BLOCKED: {"Add": "x"}})
    assert said.kinds == ["ADOperationException"]
    assert DENIED_CODE in str(said.errors[0])
    assert bench.mailbox("protected").blocked == ()
    assert not bench.engine.audit[-1].succeeded


def test_a_write_is_made_at_the_controller_that_is_named() -> None:
    """And is seen there at once, and at the others after replication."""
    bench = Bench()
    bench.organization.forest.replication = 600.0
    bench.run("Set-CASMailbox", Identity="ahead", DomainController=ROOT[1].upper(), **{ALLOWED: {"Add": "new"}})
    there = bench.run("Get-CASMailbox", Identity="ahead", DomainController=ROOT[1]).rows[0][ALLOWED]
    elsewhere = bench.run("Get-CASMailbox", Identity="ahead", DomainController=ROOT[0]).rows[0][ALLOWED]
    assert there == [*AHEAD, "new"]
    assert elsewhere == [*AHEAD]
    assert bench.engine.audit[-1].controller == ROOT[1].upper()


def test_a_controller_of_another_domain_does_not_know_the_mailbox() -> None:
    """Neither for reading nor for writing; without naming one, its own domain's is chosen."""
    bench = Bench()
    for cmdlet, rest in (("Get-CASMailbox", {}), ("Set-CASMailbox", {"ActiveSyncEnabled": True})):
        said = bench.run(cmdlet, Identity="easoff", DomainController=ROOT[0], **rest)
        assert said.kinds == ["ManagementObjectNotFoundException"]
    bench.run("Set-ADServerSettings", PreferredServer=ROOT[1])
    bench.run("Set-CASMailbox", Identity="easoff", ActiveSyncEnabled=True)
    assert bench.mailbox("easoff", CHILD).enabled
    assert bench.engine.audit[-1].controller == CHILD


def test_a_controller_that_does_not_exist_is_an_error() -> None:
    """And nothing is written anywhere."""
    bench = Bench()
    said = bench.run("Set-CASMailbox", Identity="ahead", DomainController="dc9.lab.example", **{ALLOWED: None})
    assert said.kinds == ["ManagementObjectNotFoundException"]
    assert bench.mailbox("ahead").allowed == AHEAD


def test_two_writers_at_a_time_lose_nothing() -> None:
    """Each adds its ids one by one; all are there in the end, each once."""
    bench = Bench()
    ids = [f"phone-{number:03d}" for number in range(160)]
    with ThreadPoolExecutor(8) as writers:
        answers = list(
            writers.map(lambda one: bench.run("Set-CASMailbox", Identity="ahead", **{ALLOWED: {"Add": one}}), ids)
        )
    assert [answer.errors for answer in answers] == [[]] * len(ids)
    assert sorted(bench.mailbox("ahead").allowed) == sorted((*AHEAD, *ids))


@pytest.mark.parametrize("exclusive", [False, True])
def test_in_a_dialect_an_id_leaves_the_other_list(exclusive: bool) -> None:
    """Only ids that are new in one list leave the other; nobody knows which way Exchange does it."""
    bench = Bench(dialect=DIALECTS["exclusive-lists" if exclusive else "plain"])
    bench.run("Set-CASMailbox", Identity="ahead", **{ALLOWED: {"Add": "lost-0001"}})
    box = bench.mailbox("ahead")
    assert box.allowed == (*AHEAD, "lost-0001")
    assert box.blocked == (() if exclusive else ("LOST-0001",))


def test_what_if_writes_nothing() -> None:
    """And leaves the same trace in the call log as the real thing."""
    bench = Bench()
    bench.run("Set-CASMailbox", Identity="ahead", WhatIf=True, **{ALLOWED: None})
    assert bench.mailbox("ahead").allowed == AHEAD
    assert bench.engine.calls[-1].parameters == {"Identity": "ahead", "WhatIf": True, ALLOWED: Multi(())}


def test_a_policy_is_assigned_and_taken_back() -> None:
    """One that does not exist is an error, and nothing else of the call is written then."""
    bench = Bench()
    said = bench.run("Set-CASMailbox", Identity="ahead", ActiveSyncMailboxPolicy="Nowhere", ActiveSyncEnabled=False)
    assert said.kinds == ["ManagementObjectNotFoundException"]
    assert bench.mailbox("ahead").enabled
    bench.run("Set-CASMailbox", Identity="ahead", ActiveSyncMailboxPolicy="strict", ActiveSyncEnabled=False)
    assert (bench.mailbox("ahead").policy, bench.mailbox("ahead").enabled) == ("Strict", False)
    bench.run("Set-CASMailbox", Identity="ahead", ActiveSyncMailboxPolicy=None)
    assert bench.mailbox("ahead").policy == "Default"


@pytest.mark.parametrize(
    ("parameters", "error_id"),
    [
        ({"Identity": "ahead", "ActiveSyncEnabled": "$true"}, "ParameterArgumentTransformationError"),
        ({"Identity": "ahead", "Colour": "red"}, "NamedParameterNotFound"),
        ({"ActiveSyncEnabled": True}, "MissingMandatoryParameter"),
    ],
)
def test_what_the_cmdlet_does_not_take_ends_the_pipeline(parameters: dict[str, Any], error_id: str) -> None:
    """As for any cmdlet."""
    with pytest.raises(CmdletError) as refused:
        Bench().run("Set-CASMailbox", **parameters)
    assert refused.value.error_id == f"{error_id},Set-CASMailbox"
