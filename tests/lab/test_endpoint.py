"""The endpoint by bare HTTP, and the command that runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gatepost.cli.main import main
from gatepost.errors import SettingsError
from gatepost.lab import wsman
from gatepost.lab.dialects import DIALECTS, Fault
from gatepost.lab.server import Lab
from gatepost.settings import LabSettings
from tests.lab.peer import basic, post, run, session

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "lab.md"


def test_what_is_offered_depends_on_tls(lab: Lab) -> None:
    """Basic only where the password is not sent in clear."""
    offers = post(lab.https_url, lab.ca_file).headers.get_all("WWW-Authenticate")
    assert offers == ["Negotiate", "NTLM", 'Basic realm="lab.example"']
    assert post(lab.http_url).headers.get_all("WWW-Authenticate") == ["Negotiate", "NTLM"]


def test_other_paths_and_methods_are_answered_by_the_web_server(lab: Lab) -> None:
    """With its own pages, not with SOAP."""
    elsewhere = post(lab.https_url.replace("PowerShell", "owa"), lab.ca_file)
    browser = post(lab.https_url, lab.ca_file, method="GET")
    assert (elsewhere.status, elsewhere.headers.get_content_type()) == (404, "text/html")
    assert (browser.status, browser.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not xml", "The request is not well-formed XML"),
        (b"<x/>", "The request is not a SOAP 1.2 envelope."),
        (b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', "A document type declaration is not accepted."),
    ],
)
def test_what_is_no_request_is_answered_by_a_fault(lab: Lab, body: bytes, says: str) -> None:
    """The fault says what is wrong with it."""
    answer = post(lab.https_url, lab.ca_file, body=body, Authorization=basic(lab))
    assert (answer.status, answer.headers.get_content_type()) == (500, "application/soap+xml")
    assert says.encode() in answer.body


def envelope(action: str, body: str, resource: str = wsman.RESOURCE) -> bytes:
    """A bare request."""
    return (
        f'<s:Envelope xmlns:s="{wsman.SOAP}" xmlns:a="{wsman.ADDRESSING}" xmlns:w="{wsman.MANAGEMENT}" '
        f'xmlns:r="{wsman.SHELL}"><s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:1</a:MessageID>'
        f"<w:ResourceURI>{resource}</w:ResourceURI></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (envelope(wsman.CREATE, "<r:Shell/>", "http://schemas.microsoft.com/powershell/Other"), b"was not found"),
        (envelope(wsman.CREATE, "<r:Shell/>"), b"Create has no creationXml."),
        (envelope(wsman.RECEIVE, "<r:Receive/>"), b'Code="2150858843"'),
        (
            envelope(wsman.CREATE, f'<r:Shell><creationXml xmlns="{wsman.POWERSHELL}">AAAA</creationXml></r:Shell>'),
            b"The PowerShell message cannot be read",
        ),
    ],
)
def test_requests_that_cannot_be_served_leave_no_shell(lab: Lab, body: bytes, says: bytes) -> None:
    """Wrong resource, missing content, unknown shell, and bytes that are no message."""
    before = len(lab.shells)
    answer = post(lab.https_url, lab.ca_file, body=body, Authorization=basic(lab))
    assert answer.status == 500
    assert says in answer.body
    assert len(lab.shells) == before


@pytest.mark.parametrize(("length", "status"), [("99999999", 413), ("many", 400), ("-1", 400)])
def test_a_request_of_a_senseless_length_is_refused(lab: Lab, length: str, status: int) -> None:
    """Before it is read."""
    assert post(lab.https_url, lab.ca_file, Content_Length=length).status == status


def test_a_request_must_say_how_long_it_is(lab: Lab) -> None:
    """Bodies in chunks are not taken."""
    answer = post(lab.https_url, lab.ca_file, body=b"0\r\n\r\n", Transfer_Encoding="chunked")
    assert answer.status == 411


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT60.000S", 60.0), ("PT1M30S", 90.0), ("P1DT1H", 90_000.0), ("soon", 5.0), (None, 5.0)]
)
def test_durations_are_read_as_seconds(text: str | None, seconds: float) -> None:
    """As XML writes them; what is none is the default."""
    assert wsman.seconds(text, 5.0) == seconds


def test_a_profile_that_does_not_exist_is_refused() -> None:
    """With those that do."""
    with pytest.raises(SettingsError, match="Choose one of 2010sp1, 2013, 2016, 2019, se"):
        Lab(LabSettings(devices=1, profile="2007"))


def test_a_port_in_use_is_refused_in_words(tmp_path: Path) -> None:
    """And nothing stays open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1 port {port}"):
            Lab(LabSettings(devices=1, port=port, folder=tmp_path)).start()


def start(*options: str) -> subprocess.Popen[str]:
    """The command as a process."""
    command = [sys.executable, "-m", "gatepost", "lab", "exchange", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def handlers() -> Iterator[None]:
    """What the command sets for signals is undone: it runs in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_when_it_is_ready_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """One line of JSON, no password in it, a file that only its owner reads; then a clean end."""
    process = start("--devices", "40", "--folder", str(tmp_path), "--story-every", "0.5", "--dialect", "bom")
    assert process.stdout is not None
    line = process.stdout.readline()
    ready = json.loads(line)
    assert set(ready) == {"http_url", "https_url", "ca_file", "user", "password_file", "ews_url", "mail_account"}
    password_file = Path(ready["password_file"])
    password = password_file.read_text(encoding="utf-8").strip()
    assert oct(os.stat(password_file).st_mode & 0o777) == "0o600"
    answer = post(ready["https_url"], Path(ready["ca_file"]), Authorization="Basic x")
    assert answer.status == 401
    process.send_signal(number)
    rest, talk = process.communicate(timeout=20)
    assert process.returncode == 0
    assert password not in line + rest + talk
    assert "40 devices is ready" in talk
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(ready["http_url"]).port or 0))


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--profile", "2007"], "There is no profile '2007'."),
        (["--dialect", "klingon"], "There is no dialect 'klingon'."),
        (["--replication", "1000"], "replication is 1000 s."),
        (["--role", "Wizard"], "There is no management role 'Wizard' in the lab."),
        (["--fault", "earthquake"], "There is no such fault"),
        (["--password-file", "/nowhere/at/all"], "The secret file /nowhere/at/all cannot be read."),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    """In words, with the exit code of wrong usage."""
    monkeypatch.setattr(sys, "argv", ["gatepost", "lab", "exchange", "--devices", "1", *options])
    with pytest.raises(SystemExit) as left:
        main()
    out, talk = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert says in talk


def test_a_lab_in_a_folder_of_its_own_leaves_nothing_behind() -> None:
    """The temporary folder goes with it; the account's file was private."""
    with Lab(LabSettings(devices=5)) as made:
        folder = made.folder
        assert {path.stat().st_mode & 0o077 for path in folder.iterdir() if path.name != "ca.pem"} == {0}
    assert not folder.exists()


def test_two_labs_in_one_process_keep_their_accounts_apart(lab: Lab, tmp_path: Path) -> None:
    """The same user with another password signs in to one of them only."""
    secret = tmp_path / "secret"
    secret.write_text("another password\n", encoding="utf-8")
    with Lab(LabSettings(devices=5, password_file=secret)) as other:
        for one in (lab, other, lab):
            with session(one, auth="ntlm") as pool:
                assert len(run(pool, "Get-MobileDevice").rows) == one.settings.devices


def test_every_dialect_and_fault_is_documented() -> None:
    """By its name, in docs/lab.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (*DIALECTS, *Fault):
        assert f"`{name}`" in text, f"docs/lab.md does not mention {name}"
