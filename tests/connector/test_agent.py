"""The connector as a process: commands, exit codes, what it says, and the cycle with what goes wrong in days."""

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gatepost.connector import credentials, host
from gatepost.connector.agent import Agent, Scope, status
from gatepost.connector.answers import Head
from gatepost.connector.store import FILE
from gatepost.domain.contract import ContractError
from gatepost.errors import ServiceRefused, UsageError, WireError
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import Fault
from gatepost.settings import SyncSettings
from tests.fixtures.connector import Stage, problem
from tests.fixtures.database import Cluster
from tests.fixtures.lab import MakeLab
from tests.fixtures.site import MakeSite, Service, Site, free_port

SECONDS = 30


def until(true: Callable[[], object], what: str, site: Site, seconds: float = SECONDS) -> None:
    """Wait for something to become true; it is asked for again and again, and a failure shows the log."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s:\n{site.log()}"
        time.sleep(0.05)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command's end."""
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


@contextmanager
def running(site: Site) -> Iterator[subprocess.Popen[str]]:
    """``gatepost connector run``, ended at the end by SIGTERM, which must be clean."""
    process = site.connector("run")
    try:
        yield process
    finally:
        process.terminate()
        try:
            code, _ = finish(process)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
    assert code == 0, site.log()


def sealed(site: Site, kind: str) -> int:
    """How many synchronisations of a kind were sealed."""
    return sum(sync["kind"] == kind and sync["state"] == "sealed" for sync in site.syncs())


def ask(site: Site, kind: str) -> None:
    """Ask for a synchronisation as the console does."""
    site.execute("UPDATE organizations SET sync_requested = %s, sync_requested_at = now() WHERE tenant_id = %s", kind)


def events(site: Site) -> list[str]:
    """What the connector's log tells, line by line."""
    return [json.loads(line)["event"] for line in site.log().splitlines() if line.startswith("{")]


# -- commands ----------------------------------------------------------------------------------------------------------


def test_sync_prints_what_was_sent(site: Site) -> None:
    """``--json`` prints one object; without it a person reads the same."""
    code, output = finish(site.connector("sync", "--full", "--json"))
    report = json.loads(output)
    assert (code, report["state"], report["devices"], report["sent_devices"]) == (0, "sealed", 80, 80)
    assert set(report["seconds"]) == {"list", "send", "total"}
    here, elsewhere = report["mailboxes"] - report["elsewhere"], report["elsewhere"]
    assert elsewhere > 0
    code, output = finish(site.connector("sync", "--quick"))
    assert code == 0
    assert "quick synchronisation sealed" in output
    assert "0 devices and 0 mailboxes told" in output
    assert f"80 devices, {here} mailboxes in Exchange, {elsewhere} elsewhere" in output
    assert site.differences() == []


def test_a_held_synchronisation_has_its_own_exit_code(make_site: MakeSite) -> None:
    """Refused by a guard is 4, and the reason is printed."""
    site = make_site(devices=100).enrol()
    site.synchronise()
    for device in site.lab.organization.devices[:70]:
        site.lab.organization.remove_device(device)
    code, output = finish(site.connector("sync"))
    assert code == 4
    assert "of 100 devices are missing" in output


def test_status_tells_what_the_folder_knows(site: Site) -> None:
    """Enrolled, when it last worked, when it will again; and never the secret."""
    code, output = finish(site.connector("status", "--json"))
    before = json.loads(output)
    assert (code, before["enrolled"], before["last_full"], before["running"]) == (0, True, None, False)
    site.synchronise()
    code, output = finish(site.connector("status", "--json"))
    after = json.loads(output)
    assert after["last_full"] < after["next_quick"] < after["next_full"]
    assert (after["unsent"], after["failure"], after["mode"]) == (0, None, "observe")
    assert credentials.load(site.settings.folder).key not in output


@pytest.mark.parametrize("command", ["sync", "run", "status"])
def test_a_folder_that_is_not_enrolled_is_wrong_usage(make_site: MakeSite, command: str) -> None:
    """The command that is needed first is named."""
    site = make_site(devices=20)
    code, _ = finish(site.connector(command))
    assert code == 2
    assert "run `gatepost connector setup`" in " ".join(site.log().split())


def test_a_wrong_password_of_exchange_is_not_permitted(site: Site) -> None:
    """Exit code 6, nothing told to the service but that it failed, and no password in what is printed."""
    wrong = site.folder / "wrong"
    wrong.write_text("not the password")
    text = site.config.read_text().replace(str(site.lab.password_file), str(wrong))
    config = site.folder / "wrong.toml"
    config.write_text(text)
    code, _ = finish(site.connector("sync", "--config", str(config)))
    assert code == 6
    assert "not the password" not in site.log()
    assert site.syncs() == []
    assert status(site.settings).failure is not None


def test_two_commands_on_one_folder_are_refused(site: Site) -> None:
    """One process at a time."""
    with Agent(site.settings):
        code, _ = finish(site.connector("sync"))
    assert code == 1
    assert "Another connector works on the folder" in site.log()


def test_a_damaged_store_says_that_it_may_be_deleted(site: Site) -> None:
    """And once deleted, the next synchronisation is a full one."""
    store = site.settings.folder / FILE
    store.write_bytes(b"damaged" * 2_000)
    code, _ = finish(site.connector("sync"))
    assert code == 1
    assert "delete it: the next full synchronisation rebuilds it" in " ".join(site.log().split())
    store.unlink()
    assert site.synchronise().state == "sealed"


def test_a_service_that_is_away_is_exit_code_5(make_site: MakeSite) -> None:
    """After some patience the command says where it tried."""
    site = make_site(devices=20).enrol()
    away = site.of("http://127.0.0.1:9")
    with Agent(away.settings, patience=0.5) as agent, pytest.raises(Exception, match="cannot be reached") as caught:
        agent.sync(Scope.FULL)
    assert getattr(caught.value, "exit_code", None) == 5


# -- the cycle ---------------------------------------------------------------------------------------------------------


def test_run_synchronises_checks_in_and_stops_cleanly(make_site: MakeSite) -> None:
    """Full at once, quick when due, told to the service, and on SIGTERM no shell stays open at Exchange."""
    site = make_site(devices=60, sync=SyncSettings(quick_every=0.5)).enrol()
    with running(site):
        until(lambda: sealed(site, "full") == 1 and sealed(site, "quick") >= 1, "the first synchronisations", site)
        site.lab.organization.change_device(site.lab.organization.devices[0], state="Blocked", reason="Individual")
        until(lambda: not site.differences(), "the change's arrival", site)
        [checkin] = site.query("SELECT * FROM checkins WHERE tenant_id = %s")
        assert checkin["status"]["host"]
        assert set(checkin["status"]["next_syncs"]) == {"full", "quick"}
        assert checkin["status"]["exchange"]["version"]
        assert status(site.settings).running
    assert len(site.lab.shells) == 0
    [checkin] = site.query("SELECT lease_until > now() AS leased FROM checkins WHERE tenant_id = %s")
    assert not checkin["leased"]
    assert all(json.loads(line) for line in site.log().splitlines())
    assert credentials.load(site.settings.folder).key not in site.log()


def test_what_is_known_of_exchange_outlives_a_restart(site: Site) -> None:
    """A connector that starts with no sync due still tells the version of Exchange that it last saw."""
    assert finish(site.connector("sync", "--full"))[0] == 0
    site.execute("UPDATE checkins SET status = '{}', last_at = NULL WHERE tenant_id = %s")
    with running(site):
        until(lambda: site.query("SELECT last_at FROM checkins WHERE tenant_id = %s")[0]["last_at"], "a check-in", site)
    [checkin] = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    assert checkin["status"]["exchange"]["version"].startswith("Version 15")
    assert sealed(site, "full") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_any_signal_to_end_is_clean(site: Site, number: signal.Signals) -> None:
    """Ctrl-C and a closed terminal end it as SIGTERM does."""
    process = site.connector("run")
    until(lambda: sealed(site, "full"), "the first synchronisation", site)
    process.send_signal(number)
    assert finish(process)[0] == 0
    assert len(site.lab.shells) == 0


def test_it_stops_in_the_middle_of_a_silent_listing(site: Site) -> None:
    """Exchange says nothing and may not for minutes: the connector ends soon all the same, and closes its shells."""
    process = site.connector("run")
    until(lambda: sealed(site, "full"), "the first synchronisation", site)
    site.lab.faults.add(Fault.SILENT)
    ask(site, "full")
    until(lambda: site.lab.faults.struck[Fault.SILENT], "a command without an answer", site)
    begun = time.monotonic()
    process.terminate()
    assert finish(process)[0] == 0
    assert time.monotonic() - begun < 10
    assert len(site.lab.shells) == 0
    assert status(site.settings).failure is None


def test_a_request_of_the_service_wakes_it(site: Site) -> None:
    """A synchronisation asked for on the console is taken at once, not at the next check-in."""
    with running(site):
        until(lambda: sealed(site, "full") == 1, "the first synchronisation", site)
        ask(site, "quick")
        until(lambda: sealed(site, "quick") == 1, "the quick one", site, 15)
        ask(site, "full")
        until(lambda: sealed(site, "full") == 2, "the full one", site, 15)
    [row] = site.query("SELECT sync_requested FROM organizations WHERE tenant_id = %s")
    assert row["sync_requested"] == "none"


def test_an_exchange_that_is_away_is_told_once_and_recovered_from(
    make_site: MakeSite, make_lab: MakeLab, tmp_path: Path
) -> None:
    """The failure stands in the status while it lasts; afterwards the inventory arrives by itself."""
    (tmp_path / "lab").mkdir()
    same: dict[str, Any] = {"devices": 40, "https_port": free_port(), "folder": tmp_path / "lab"}
    site = make_site(sync=SyncSettings(quick_every=0.5), **same).enrol()
    site.lab.stop()
    with running(site):
        until(lambda: _failure(site), "the failure's arrival", site)
        site.lab = make_lab(**same)
        until(lambda: sealed(site, "full"), "the inventory", site)
        until(lambda: not _failure(site), "the end of the failure", site)
    assert site.differences() == []
    assert [line for line in events(site) if "Exchange" in line] == ["Exchange is away", "Exchange is back"]


@pytest.mark.parametrize("fault", [Fault.MALFORMED_SOAP, Fault.TRUNCATED_FRAGMENT, Fault.BREAK_OFF, Fault.SHELL_LOST])
def test_a_damaged_answer_is_told_and_recovered_from(make_site: MakeSite, fault: Fault) -> None:
    """What Exchange sends may be damaged: the connector says so, keeps running, and takes the inventory afterwards."""
    site = make_site(devices=40).enrol()
    site.lab.faults.add(fault)
    with running(site):
        until(lambda: _failure(site), "the failure's arrival", site)
        site.lab.faults.discard(fault)
        until(lambda: sealed(site, "full"), "the inventory", site)
        until(lambda: not _failure(site), "the end of the failure", site)
    assert site.differences() == []
    assert len(site.lab.shells) == 0


class Unlucky(Agent):
    """A connector whose first attempts at Exchange end with errors that no lab can bring about."""

    errors: ClassVar = [UsageError("-Identity is empty."), WireError("Half a fragment."), ContractError("x", "odd")]

    def _connect(self) -> Organization:
        """Fail as long as there are errors left."""
        if self.errors:
            raise self.errors.pop()
        return super()._connect()


def test_no_error_of_an_attempt_ends_the_inventory(site: Site) -> None:
    """Whatever an attempt ends with is told and tried again; only a broken store and a successor end a connector."""
    with Unlucky(site.settings, patience=5) as agent:
        work = threading.Thread(target=agent.cycle.guarded, args=(agent.cycle.syncs,))
        work.start()
        until(lambda: sealed(site, "full"), "the inventory", site)
        agent.stop.ask()
        agent.cycle.due.set()
        work.join(SECONDS)
        assert (work.is_alive(), agent.cycle.error, agent.errors) == (False, None, [])


def test_the_service_is_told_which_host_exchange_is_and_no_more(site: Site) -> None:
    """An address may hold what is nobody's business; until Exchange has answered, its host's name is all there is."""
    with Agent(site.settings, patience=5) as agent:
        agent.courier.cycle()
    [checkin] = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    assert checkin["status"]["exchange"] == {"server": "localhost"}


def test_a_service_of_another_contract_is_told_and_waited_for(site: Site, stage: Stage) -> None:
    """``status`` names both sides' versions, the program goes on, and the document does not stay in the way."""
    stage.sign = site.keys.sign
    stage.answers = [lambda _: problem(422, "contract", supported=[2])]
    with running(site.of(stage.url)):
        until(lambda: status(site.settings).failure, "the failure", site)
        assert "speaks version 2 of the contract, this connector version 1" in str(status(site.settings).failure)
    assert not site.syncs()
    assert site.configure().synchronise().state == "sealed"


def _failure(site: Site) -> str | None:
    rows = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    return rows[0]["status"].get("failure") if rows else None


def test_a_service_that_restarts_is_waited_for(
    postgres: Cluster, make_site: MakeSite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The outage is logged once when it starts and once when it ends; changes made meanwhile arrive."""
    database = postgres.make()
    own = Service(postgres.urls(database), tmp_path_factory.mktemp("own"))
    own.start()
    try:
        site = make_site(own.urls, own.url, SyncSettings(quick_every=0.5), devices=60).enrol()
        with running(site):
            until(lambda: sealed(site, "quick"), "the first synchronisations", site)
            own.stop()
            until(lambda: '"the service is away"' in site.log(), "the outage's line", site)
            site.lab.organization.change_device(site.lab.organization.devices[5], state="Blocked", reason="Individual")
            own.start()
            until(lambda: '"the service is back"' in site.log(), "the end of the outage", site)
            until(lambda: not site.differences(), "the change's arrival", site)
        assert [line for line in events(site) if line.startswith("the service")] == [
            "the service is away",
            "the service is back",
        ]
    finally:
        own.stop()
        postgres.drop(database)


def test_a_copy_of_the_folder_waits_for_the_lease(site: Site) -> None:
    """While the first holds its lease a copy may say nothing; after the first's farewell it works."""
    copy = site.beside("copy")
    with Agent(site.settings, patience=5) as first:
        first.sync(Scope.FULL)
        host.private_folder(copy.settings.folder)
        credentials.save(copy.settings.folder, credentials.load(site.settings.folder))
        with pytest.raises(ServiceRefused, match="409 lease-held"):
            copy.synchronise(patience=0.5)
    assert copy.synchronise().state == "sealed"
    assert copy.differences() == []


def test_a_folder_put_back_from_a_copy_becomes_another_instance(site: Site) -> None:
    """A store that is behind the service was rolled back: a new instance, a finding, and a full synchronisation."""
    site.synchronise()
    folder = site.settings.folder
    shutil.copytree(folder, site.folder / "kept")
    site.synchronise()
    before = credentials.instance(folder)
    shutil.rmtree(folder)
    shutil.copytree(site.folder / "kept", folder)
    site.lab.organization.change_device(site.lab.organization.devices[0], state="Blocked", reason="Individual")
    assert site.synchronise(Scope.QUICK).scope is Scope.FULL
    assert credentials.instance(folder) != before
    assert site.differences() == []


def test_a_restored_database_is_met_afresh(site: Site) -> None:
    """Another incarnation makes the connector forget what it knew and tell everything."""
    site.synchronise()
    with Agent(site.settings, patience=5) as agent:
        agent.store.meet("11111111-0000-4000-8000-000000000000")
    assert site.synchronise(Scope.QUICK).scope is Scope.FULL
    assert site.differences() == []


def test_another_history_gives_no_lease_to_who_waits(site: Site) -> None:
    """A held-open request that names another incarnation renews nothing, and wakes check-in, which starts afresh."""
    with Agent(site.settings, patience=5) as agent:
        lease, now = agent.courier.lease, agent.courier.lease.now()
        agent.cycle.learn(Head("11111111-0000-4000-8000-000000000000", agent.store.revision, 0, "none", 120), now)
        assert lease.remaining() == 0
        assert agent.cycle.wake.is_set()
        agent.cycle.wake.clear()
        agent.cycle.learn(Head(agent.store.incarnation, agent.store.revision, 0, "none", 120), now)
        assert lease.remaining() > 100
        assert not agent.cycle.wake.is_set()


def test_a_lease_granted_to_an_older_question_is_asked_for_again(site: Site) -> None:
    """Writing was stopped while a request was held open and is released by its answer: check-in is woken at once."""
    with Agent(site.settings, patience=5) as agent:
        lease, asked_at = agent.courier.lease, agent.courier.lease.now()
        lease.hear(lease.now(), 0)
        agent.cycle.learn(Head(agent.store.incarnation, agent.store.revision, 0, "none", 120), asked_at)
        assert lease.remaining() == 0
        assert agent.cycle.wake.is_set()


def test_a_replaced_connector_ends_with_its_reason(site: Site) -> None:
    """A running connector that is fenced stops by itself: exit code 6, status "replaced", no secret left."""
    process = site.connector("run")
    until(lambda: sealed(site, "full"), "the first synchronisation", site)
    secret = credentials.load(site.settings.folder).key
    site.beside("second").enrol()
    ask(site, "quick")
    assert finish(process)[0] == 6
    assert "superseded" in site.log()
    assert len(site.lab.shells) == 0
    assert "superseded" in str(status(site.settings).ended)
    files = [path for path in site.settings.folder.iterdir() if path.is_file()]
    assert all(secret.encode() not in path.read_bytes() for path in files)
