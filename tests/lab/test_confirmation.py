"""Questions to a person, errors in the server's language, and the audit log, as an independent client meets them."""

from typing import Any

import pytest
from pypsrp.exceptions import WSManFaultError
from pypsrp.host import PSHost, PSHostUserInterface
from pypsrp.powershell import RunspacePool
from pypsrp.shell import SignalCode

from gatepost.lab.dialects import DIALECTS
from gatepost.lab.errors import DENIED_CODE
from gatepost.lab.server import Lab
from gatepost.lab.texts import TEXTS
from tests.fixtures.lab import MakeLab
from tests.lab.bench import Bench
from tests.lab.peer import COMPLETED, FAILED, Answer, connection, run, session


class Person(PSHostUserInterface):
    """Answers every question with one choice, and remembers what it was asked."""

    def __init__(self, choice: int) -> None:
        super().__init__()
        self.choice = choice
        self.asked: list[tuple[str, str]] = []

    def PromptForChoice(self, *given: Any) -> int:  # noqa: N802 - pypsrp's name
        """Choose."""
        _runspace, _pipeline, caption, message, *_ = given
        self.asked.append((caption, message))
        return self.choice


class Leaving(Person):
    """Ends the pipeline in place of an answer, and answers too late."""

    def PromptForChoice(self, *given: Any) -> int:  # noqa: N802 - pypsrp's name
        """Terminate, then say yes."""
        runspace, pipeline, *_ = given
        runspace.shell.signal(SignalCode.TERMINATE, str(pipeline.id).upper())
        return super().PromptForChoice(*given)


def with_a_person(lab: Lab, person: Person, cmdlet: str, **parameters: Any) -> Answer:
    """Run a cmdlet in a session whose client has somebody to ask."""
    host = PSHost(None, None, False, "test", None, person, "1.0")
    with connection(lab) as wsman, RunspacePool(wsman, configuration_name="Microsoft.Exchange", host=host) as pool:
        return run(pool, cmdlet, **parameters)


def device_of(lab: Lab, mailbox: str) -> str:
    """The guid of a mailbox's phone."""
    box = lab.organization.view().find_mailbox(mailbox)
    assert box is not None
    return box.devices[0].guid


@pytest.mark.parametrize("cmdlet", ["Remove-MobileDevice", "Clear-MobileDevice", "Remove-ActiveSyncDeviceAccessRule"])
def test_without_a_host_a_question_fails_the_pipeline(make_lab: MakeLab, cmdlet: str) -> None:
    """Nothing is changed, and the audit log says so."""
    lab = make_lab()
    identity = "WP8 (DeviceType)" if "Rule" in cmdlet else device_of(lab, "ahead")
    with session(lab) as pool:
        answer = run(pool, cmdlet, Identity=identity)
    assert (answer.state, answer.error_ids) == (FAILED, ["HostFunctionNotImplemented"])
    entry = lab.audit[-1]
    assert (entry.cmdlet, entry.succeeded, entry.user) == (cmdlet, False, lab.user)
    assert device_of(lab, "ahead")
    assert "WP8 (DeviceType)" in {rule.name for rule in lab.organization.view().rules}


@pytest.mark.parametrize(("choice", "gone"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_person_is_asked_and_decides(make_lab: MakeLab, choice: int, gone: bool) -> None:
    """Yes and yes to all go on; no does nothing; both end as completed."""
    lab, person = make_lab(), Person(choice)
    guid = device_of(lab, "partner")
    answer = with_a_person(lab, person, "Remove-MobileDevice", Identity=guid)
    assert (answer.state, answer.errors) == (COMPLETED, [])
    assert (lab.organization.view().find_device(guid) is None) is gone
    ((caption, question),) = person.asked
    assert caption == "Confirm"
    assert question.startswith("Are you sure you want to perform this action?\nRemoving ")


def test_a_write_that_does_not_ask_can_be_made_to(make_lab: MakeLab) -> None:
    """With ``-Confirm``; and what asks can be told not to."""
    lab, person = make_lab(), Person(2)
    with_a_person(lab, person, "Set-CASMailbox", Identity="ahead", ActiveSyncEnabled=False, Confirm=True)
    with_a_person(lab, person, "Remove-MobileDevice", Identity=device_of(lab, "partner"), Confirm=False)
    box, partner = (lab.organization.view().find_mailbox(name) for name in ("ahead", "partner"))
    assert len(person.asked) == 1
    assert box is not None
    assert box.enabled
    assert partner is not None
    assert partner.devices == []


def test_a_question_waits_until_the_pipeline_is_stopped(make_lab: MakeLab) -> None:
    """An answer that comes after the end is refused, and nothing is changed."""
    lab, person = make_lab(), Leaving(0)
    guid = device_of(lab, "partner")
    with pytest.raises(WSManFaultError):
        with_a_person(lab, person, "Remove-MobileDevice", Identity=guid)
    assert len(person.asked) == 1
    assert lab.organization.view().find_device(guid) is not None


def test_a_change_arrives_from_an_independent_client(make_lab: MakeLab) -> None:
    """A hashtable of pypsrp's is a change of the list; the log and the audit log have it as it was meant."""
    lab = make_lab()
    with session(lab) as pool:
        change = {"Add": ["new"], "Remove": "ÜBERID"}
        answer = run(pool, "Set-CASMailbox", Identity="ahead", ActiveSyncAllowedDeviceIDs=change)
        (row,) = run(pool, "Get-CASMailbox", Identity="ahead").rows
        cleared = run(pool, "Set-CASMailbox", Identity="ahead", ActiveSyncAllowedDeviceIDs=None)
    assert (answer.state, answer.errors, cleared.errors) == (COMPLETED, [], [])
    assert row["ActiveSyncAllowedDeviceIDs"] == ["android-work-profile-0001", "x" * 64, "new"]
    box = lab.organization.view().find_mailbox("ahead")
    assert box is not None
    assert box.allowed == ()
    entries = [entry for entry in lab.audit if entry.cmdlet == "Set-CASMailbox"]
    assert [entry.object for entry in entries] == [box.identity] * 2
    assert entries[0].parameters["ActiveSyncAllowedDeviceIDs"].add == ("new",)
    assert "Get-CASMailbox" not in {entry.cmdlet for entry in lab.audit}


@pytest.mark.parametrize(
    ("name", "missing", "denied"),
    [
        ("plain", "couldn't be found on 'dc1.lab.example'", "Insufficient access rights"),
        ("dutch", "niet is gevonden op 'dc1.lab.example'", "Onvoldoende toegangsrechten"),
        ("german", 'auf "dc1.lab.example" nicht gefunden wurde', "Die Zugriffsrechte reichen"),
    ],
)
def test_errors_are_in_the_servers_language(make_lab: MakeLab, name: str, missing: str, denied: str) -> None:
    """Ids, exception types and the directory's codes are the same in each."""
    with session(make_lab(dialect=DIALECTS[name])) as pool:
        nobody = run(pool, "Get-CASMailbox", Identity="nobody")
        refused = run(pool, "Set-CASMailbox", Identity="protected", ActiveSyncEnabled=False)
        unknown = run(pool, "Get-Weather")
    assert missing in nobody.errors[0][1]
    assert denied in refused.errors[0][1]
    assert DENIED_CODE in refused.errors[0][1]
    assert (refused.state, unknown.state) == (COMPLETED, FAILED)
    assert unknown.error_ids == ["CommandNotFoundException"]
    assert "[FailureCategory=Cmdlet-ADOperationException]" in refused.error_ids[0]


def test_error_ids_of_2010_name_neither_server_nor_kind(make_lab: MakeLab) -> None:
    """Only the exception's type tells there what went wrong."""
    with session(make_lab(profile="2010sp1")) as pool:
        answer = run(pool, "Get-CASMailbox", Identity="nobody")
    assert "FailureCategory" not in answer.error_ids[0]
    assert answer.error_ids[0].endswith(",Microsoft.Exchange.Management.Tasks.GetCASMailbox")


def test_every_text_has_the_same_fields_in_each_language() -> None:
    """So that no language fails where another does not."""
    for key, texts in TEXTS.items():
        fields = [{part.split("}")[0] for part in text.split("{")[1:]} for text in texts]
        assert fields[0] == fields[1] == fields[2], key


def test_warnings_are_in_the_servers_language_too() -> None:
    """A client that looks for the English warning of a cut listing does not find it here."""
    said = Bench(dialect=DIALECTS["dutch"]).run("Get-MobileDevice", ResultSize=1)
    assert said.warnings == [TEXTS["more-results"][1]]
