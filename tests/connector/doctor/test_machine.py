"""What the doctor says of this machine and of the connector's folder."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost.connector import host
from gatepost.connector.doctor import examine
from gatepost.connector.doctor.examination import Checks, Patient, examine_parts
from gatepost.connector.doctor.machine import look
from gatepost.connector.secrets import Secrets
from gatepost.domain.checks import Check, Level, worst
from gatepost.errors import StoreError
from gatepost.lab.server import Lab
from tests.connector.doctor.conftest import settings_for


@pytest.fixture
def patient(lab: Lab, tmp_path: Path) -> Patient:
    """A patient whose folder is there and private."""
    folder = host.private_folder(tmp_path / "connector")
    return Patient(settings_for(lab, folder), Secrets(folder), datetime.now(UTC))


def found(patient: Patient) -> dict[str, Check]:
    """The checks by name."""
    return {check.name: check for check in look(patient)}


def test_a_machine_that_runs_these_tests_is_fit(patient: Patient) -> None:
    """Python, processors, memory and disk are told with their figures."""
    checks = found(patient)
    assert list(checks) == ["python", "processors", "memory", "disk", "folder"]
    assert checks["python"].what.startswith("Python 3.")
    assert " of memory." in checks["memory"].what
    assert " are free where the connector's folder is " in checks["disk"].what
    assert checks["folder"].what.endswith("is private and can be written. No connector works on it now.")


def test_a_folder_that_others_may_look_into_is_a_warning(patient: Patient) -> None:
    """The command that mends it is told, and mends it."""
    folder = patient.settings.folder
    folder.chmod(0o755)
    check = found(patient)["folder"]
    assert (check.level, check.remedy) == (Level.WARNING, f"chmod 700 {folder}")
    folder.chmod(0o700)
    assert found(patient)["folder"].level is Level.GOOD


def test_who_works_on_the_folder_is_told_and_not_disturbed(patient: Patient) -> None:
    """The lock stays with whoever has it."""
    with host.FolderLock(patient.settings.folder) as lock:
        assert found(patient)["folder"].what.endswith("A connector works on it now.")
        assert not host.FolderLock(patient.settings.folder).take()
        lock.release()


def test_a_part_that_breaks_is_a_check_and_the_others_go_on(patient: Patient) -> None:
    """An error of ours with its cause and remedy, a fault by its kind alone: its text may hold anything."""

    def broken(_: Patient) -> Checks:
        yield Check("first", Level.GOOD, "fine")
        raise StoreError("The disk is full.", "Make room.")

    def faulty(_: Patient) -> Checks:
        yield from ()
        raise RuntimeError("hunter2")

    heard: list[Check] = []
    checks = examine_parts(patient, {"machine": broken, "limits": faulty, "service": look}, heard.append, 20)
    assert [check.name for check in checks][:3] == ["first", "machine-failed", "limits-failed"]
    assert (checks[1].what, checks[1].remedy) == ("The disk is full.", "Make room.")
    assert checks[2].what == "The doctor itself failed here (RuntimeError)."
    assert "hunter2" not in str(checks)
    assert checks[-1].name == "folder"
    assert sorted(map(str, heard)) == sorted(map(str, checks))
    assert worst(checks) is Level.BAD


def test_a_secret_file_that_is_missing_is_told_and_nothing_is_raised(lab: Lab, tmp_path: Path) -> None:
    """By the sign-in that needs it, with the path."""
    checks = {check.name: check for check in examine(settings_for(lab, tmp_path, password_file=tmp_path / "nowhere"))}
    assert f"The secret file {tmp_path / 'nowhere'} cannot be read." in checks["exchange-sign-in"].what
    assert "gatepost connector setup --change account" in checks["exchange-sign-in"].remedy
