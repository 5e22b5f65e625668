"""kill -9 before every step of keeping, enrolling, renewing and being replaced, and then the same once more.

The states are those of the table in docs/administrators-guide.md: nothing, kept, enrolled; and at the end of a
connector's life: replaced, with nothing secret left.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.connector import credentials, secrets
from gatepost.connector.agent import Agent
from gatepost.connector.keys import Certificate
from gatepost.connector.secrets import Secrets
from gatepost.connector.setup import replies, steps
from gatepost.errors import GatepostError, SettingsError
from gatepost.settings import ConnectorSettings, load
from tests.connector.dying import killed_at
from tests.connector.test_renewal import aged, good, serial_of
from tests.fixtures.site import MakeSite, Site

PASSWORD = "hunter2-of-exchange"
UNFINISHED = re.compile(r"\.[\w.]+\.[0-9a-f]{8}")
ANSWERS = """
server = "https://mail.example.com/PowerShell"
auth = "kerberos"
exchange_user = "svc@EXAMPLE.COM"
keytab = "reader.keytab"
service = "https://gatepost.example.com"
service_proxy = "proxy.example.com:3128"
service_proxy_user = "clerk"
service_proxy_password_file = "password"
"""


def holding(folder: Path, *hidden: str) -> list[str]:
    """The files of a folder that hold one of these, and those that were never finished."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        path.name
        for path in files
        if UNFINISHED.fullmatch(path.name) or any(each.encode() in path.read_bytes() for each in hidden)
    ]


# -- what set-up writes ------------------------------------------------------------------------------------------------


def keep(machine: Path, answers: Path) -> None:
    """What set-up does once the answers were tried."""
    place = steps.Place(machine / "connector.toml", machine / "connector")
    given = replies.read(answers, replies.present(place.settings), replies.passwords_kept(place.settings))
    want = steps.wanted(place, given)
    with steps.alone(place):
        steps.keep(want, lambda *_: None)


def test_a_kill_before_any_step_of_keeping_leaves_nothing_or_all(tmp_path: Path) -> None:
    """No settings, or settings that work with passwords that open; never one without the other."""
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "reader.keytab").write_text("key table")
    answers = tmp_path / "answers.toml"
    answers.write_text(ANSWERS)
    kept = []
    for step in count(1):
        machine = tmp_path / f"machine-{step}"
        machine.mkdir()
        killed = killed_at(step, machine, keep, machine, answers)
        kept.append((machine / "connector.toml").exists())
        for again in (False, True):
            if again:
                keep(machine, answers)
            if again or kept[-1]:
                settings = load(ConnectorSettings, machine / "connector.toml")
                assert Secrets(settings.folder).find(secrets.SERVICE_PROXY) == PASSWORD
                assert settings.exchange.keytab is not None
                assert settings.exchange.keytab.read_text() == "key table"
        assert holding(machine, PASSWORD) == []
        if not killed:
            break
    assert kept == sorted(kept)
    assert len(kept) > 8
    assert kept.count(False) > 6


# -- enrolment, in the place of another connector ----------------------------------------------------------------------


def enrol(config: Path, ticket: Path, fingerprint: str) -> None:
    """The command; whichever way it ends, with its exit code as a number in SystemExit."""
    words = ("--config", config, "--ticket-file", ticket, "--service-fingerprint", fingerprint, "--replace")
    sys.argv = ["gatepost", "connector", "setup", *map(str, words)]
    with suppress(SystemExit):
        main()


def connectors(site: Site) -> list[int]:
    """The epochs of all that were ever enrolled, and which of them counts."""
    rows = site.query("SELECT epoch FROM connectors WHERE tenant_id = %s ORDER BY epoch")
    return [row["epoch"] for row in rows]


def test_a_kill_before_any_step_of_enrolment_leaves_one_connector(make_site: MakeSite) -> None:
    """Kept with a ticket that is good, or enrolled; again, it is the same one connector, in the place of the last."""
    site = make_site(devices=0).enrol()
    fingerprint, found = site.fingerprint, []
    for step in count(1):
        here = site.beside(f"host-{step}")
        folder, ticket, before = here.settings.folder, here.ticket(), connectors(site)
        killed = killed_at(step, here.folder, enrol, here.config, ticket, fingerprint)
        enrolled = (folder / credentials.IDENTITY).exists()
        found.append(enrolled)
        assert enrolled or ticket.exists()
        first = credentials.load(folder) if enrolled else None
        pending = folder / credentials.PENDING
        key = pending.read_bytes() if pending.exists() else None
        enrol(here.config, ticket, fingerprint)
        identity = credentials.load(folder)
        assert first in (None, identity)
        assert key is None or identity.key.encode() in key
        assert connectors(site) == [*before, before[-1] + 1]
        assert identity.epoch == before[-1] + 1
        assert not ticket.exists()
        with Agent(here.settings, patience=5) as agent:
            assert agent.courier.cycle().sequence == 1
        assert holding(folder) == [] if not killed or not enrolled else True
        if not killed:
            break
    assert found == sorted(found)
    assert len(found) > 12
    assert found.count(True) > 3


# -- renewal -----------------------------------------------------------------------------------------------------------


def check_in(config: Path) -> None:
    """A process of the connector that says one thing and ends; a refusal ends it too."""
    with suppress(GatepostError), Agent(load(ConnectorSettings, config), patience=5) as agent:
        agent.courier.cycle()


def renewals(site: Site) -> Iterator[tuple[int, str]]:
    """Renewals of a certificate, each of which is to be killed at another step; the serial before."""
    for step in count(1):
        aged(site, timedelta(days=6))
        yield step, serial_of(site)


def test_a_kill_before_any_step_of_a_renewal_leaves_an_identity_that_works(make_site: MakeSite) -> None:
    """Whatever is on the disk, the service takes it; afterwards one certificate is good and no key is left over."""
    site = make_site(devices=0).enrol()
    folder, renewed = site.settings.folder, []
    for step, before in renewals(site):
        killed = killed_at(step, folder, check_in, site.config)
        renewed.append(serial_of(site) != before)
        with Agent(site.settings, patience=5) as agent:
            assert agent.courier.cycle().lease_seconds > 0
        assert serial_of(site) != before
        assert good(site) == [serial_of(site)]
        assert not (folder / credentials.RENEWAL).exists()
        if not killed:
            break
    assert renewed == sorted(renewed)
    assert renewed.count(False) > 4
    assert renewed.count(True) > 3
    assert holding(folder, Certificate(credentials.load(folder).certificate).serial) == []


# -- being replaced ----------------------------------------------------------------------------------------------------


def test_a_kill_before_any_step_of_being_replaced_leaves_nothing_secret(make_site: MakeSite) -> None:
    """The next start goes on where the last one was cut off: to a connector that says by whom it was replaced."""
    site = make_site(devices=0).enrol()
    folder = site.settings.folder
    with Agent(site.settings, patience=5) as agent:
        agent.courier.cycle()
    identity = credentials.load(folder)
    hidden = [identity.key, credentials.next_key(folder, identity), credentials.key_for(folder, "t.x"), "key table"]
    Secrets(folder).keep(secrets.SERVICE_PROXY, PASSWORD)
    hidden.append((folder / secrets.KEY_FILE).read_text().strip())
    (folder / secrets.KEYTAB).write_text("key table")
    (folder / f".{credentials.IDENTITY}.0123abcd").write_text(identity.key)  # of a renewal that was killed
    site.beside("other").enrol()
    marked = []
    for step in count(1):
        here = site.beside(f"replaced-{step}")
        shutil.copytree(folder, here.settings.folder)
        killed = killed_at(step, here.settings.folder, check_in, here.config)
        marked.append(identity.key.encode() not in (here.settings.folder / credentials.IDENTITY).read_bytes())
        check_in(here.config)
        with pytest.raises(SettingsError, match=r"was replaced: .*403 superseded.*Enrol again with a new ticket"):
            credentials.load(here.settings.folder)
        assert holding(here.settings.folder, *hidden) == []
        if not killed:
            break
    assert marked == sorted(marked)
    assert marked.count(False) > 3
    assert marked.count(True) > 8
