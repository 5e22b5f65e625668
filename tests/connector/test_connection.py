"""One open organization for all threads: kept while it works, opened anew where that can help."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost.connector.connection import Connection, connect
from gatepost.connector.stopping import Stopped
from gatepost.errors import CmdletFailed, ExchangeError, ExchangeUnreachable, SignInRefused
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import ConnectorSettings, ExchangeSettings, UplinkSettings
from tests.fixtures.lab import MakeLab


def settings(lab: Lab, password_file: Path | None = None) -> ConnectorSettings:
    """How to reach a lab; no service is there."""
    exchange = ExchangeSettings(
        url=lab.https_url,
        auth="basic",
        user=lab.user,
        password_file=password_file or lab.password_file,
        ca_file=lab.ca_file,
    )
    service = UplinkSettings(url="https://gatepost.example.com")
    return ConnectorSettings(folder=Path("nowhere"), exchange=exchange, service=service)


def opened_at(settings: ConnectorSettings) -> Organization:
    """An organization; nobody ends its opening."""
    return connect(settings, lambda _: None)


def using(connection: Connection, error: Exception) -> Organization:
    """The organization that was open when work on it met an error."""
    seen: list[Organization] = []

    def work() -> None:
        with connection.organization() as organization:
            seen.append(organization)
            raise error

    with pytest.raises(type(error)):
        work()
    return seen[0]


def test_it_is_opened_once_and_closed_at_the_end(make_lab: MakeLab) -> None:
    """Several threads share it; no shell is left."""
    lab = make_lab(devices=20)
    opened: list[str | None] = []
    connection = Connection(lambda: opened_at(settings(lab)), lambda seen: opened.append(seen.version))

    def use() -> None:
        with connection.organization() as organization:
            organization.settings()

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    connection.close()
    assert len(lab.shells) == 0
    with pytest.raises(Stopped), connection.organization():
        pass


def test_trouble_of_the_whole_opens_it_anew_with_the_password_as_it_is_then(make_lab: MakeLab, tmp_path: Path) -> None:
    """A cmdlet that fails keeps it; a refused sign-in is over once the file has the right password."""
    lab = make_lab(devices=20)
    file = tmp_path / "password"
    file.write_text("wrong")
    connection = Connection(lambda: opened_at(settings(lab, file)))
    with pytest.raises(SignInRefused), connection.organization():
        pass
    file.write_text(lab.password)
    first = using(connection, CmdletFailed("Get-CASMailbox", "one mailbox's trouble"))
    assert using(connection, ExchangeUnreachable("it is away")) is first
    with connection.organization() as organization:
        assert organization is not first
    connection.close()
    assert len(lab.shells) == 0


def test_what_others_use_is_not_closed_under_them(make_lab: MakeLab) -> None:
    """Renewed while it is in use: the user ends in peace, and the last one closes it."""
    lab = make_lab(devices=20)
    connection = Connection(lambda: opened_at(settings(lab)))
    with connection.organization() as first:
        connection.renew()
        with connection.organization() as second:
            assert second is not first
        assert first.settings().name
    connection.close()
    assert len(lab.shells) == 0


def test_closing_ends_also_the_work_on_what_was_renewed_meanwhile(make_lab: MakeLab) -> None:
    """A thread that waits for an answer on the organization of before is not waited for at the end."""
    lab = make_lab(devices=20)
    connection = Connection(lambda: opened_at(settings(lab)))
    ended = threading.Event()

    def wait_for_ever() -> None:
        with suppress(ExchangeError), connection.organization() as organization:
            lab.faults.add(Fault.SILENT)
            list(organization.list_devices())
        ended.set()

    thread = threading.Thread(target=wait_for_ever, daemon=True)
    thread.start()
    while not lab.faults.struck[Fault.SILENT]:
        time.sleep(0.01)
    connection.renew()
    connection.close()
    assert ended.wait(10)
    thread.join()
