"""Set-up with a key table, against a real Active Directory: it is copied, used, and no password is anywhere."""

from pathlib import Path

import pytest

from gatepost.connector import secrets
from gatepost.connector.agent import Agent
from gatepost.connector.secrets import Secrets
from gatepost.domain.contract import Scope
from tests.connector.test_setup_silent import Host
from tests.fixtures.samba import READER, SERVER, Forest
from tests.fixtures.site import MakeSite

pytestmark = [pytest.mark.needs("samba"), pytest.mark.xdist_group("samba")]


def test_a_key_table_is_kept_in_the_folder_and_signs_in(domain: Forest, make_site: MakeSite, tmp_path: Path) -> None:
    """Its file may go once set-up is done; the copy serves on, and goes with the other secrets."""
    site = make_site(devices=20, keytab=domain.keytab)
    folder = tmp_path / "machine"
    folder.mkdir()
    given = folder / "reader.keytab"
    given.write_bytes(domain.reader_keytab.read_bytes())
    machine = Host(site, folder)
    machine.answers = {
        "server": site.lab.http_url.replace("localhost", SERVER),
        "auth": "kerberos",
        "exchange_user": READER,
        "keytab": "reader.keytab",
        "service": site.service_url,
        "ticket_file": str(site.ticket()),
        "service_fingerprint": site.fingerprint,
    }
    done = machine.run()
    assert done.returncode in (0, 3), done.stderr
    given.unlink()
    copy = machine.state / secrets.KEYTAB
    assert copy.stat().st_mode & 0o777 == 0o600
    assert machine.settings.exchange.keytab == copy
    with Agent(machine.settings, patience=10) as agent:
        assert agent.sync(Scope.FULL).state == "sealed"
    assert {call.user for call in site.lab.calls} == {READER}
    assert machine.run(keytab=None).returncode in (0, 3), "the copy goes on being used"
    Secrets(machine.state).forget()
    assert not copy.exists()
