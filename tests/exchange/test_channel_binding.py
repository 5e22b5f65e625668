"""Extended Protection: a sign-in is bound to the TLS channel, and what opens TLS on the way is named."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from pypsrp.negotiate import HTTPNegotiateAuth

from gatepost.errors import SignInRefused
from gatepost.exchange.sessions import Session
from gatepost.lab.certificates import make_certificates
from gatepost.lab.dialects import DIALECTS
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings
from gatepost.wire.creating import Command
from tests.fixtures.lab import MakeLab
from tests.fixtures.samba import PASSWORD, READER, Forest


def pass_on(other: dict[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    """Pass on what either says until one hangs up; in one thread, for a TLS connection may be used by one at a time."""
    while True:
        for source in [each for each in other if each.pending()] or select.select(list(other), [], [])[0]:
            source.setblocking(False)
            try:
                data = source.recv(65_536)
            except ssl.SSLWantReadError:
                continue
            finally:
                source.setblocking(True)
            if not data:
                return
            other[source].sendall(data)


@contextmanager
def inspected(lab: Lab, folder: Path) -> Iterator[tuple[str, Path]]:
    """A middle that opens TLS and closes it again, with a certificate of its own: its address and its authority."""
    files = make_certificates(folder, ("localhost",))
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.load_cert_chain(files.server_file)
    back = ssl.create_default_context(cafile=str(lab.ca_file))
    port = int(lab.https_url.rpartition(":")[2].partition("/")[0])
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                raw, _ = server.accept()
                threading.Thread(target=between, args=(raw,), daemon=True).start()

    def between(raw: socket.socket) -> None:
        with suppress(OSError), front.wrap_socket(raw, server_side=True) as client:
            plain = socket.create_connection(("127.0.0.1", port))
            with back.wrap_socket(plain, server_hostname="localhost") as onward:
                pass_on({client: onward, onward: client})

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield lab.https_url.replace(str(port), str(server.getsockname()[1])), files.ca_file
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.fixture
def protected(make_lab: MakeLab) -> Lab:
    """A lab that requires Extended Protection."""
    return make_lab(dialect=DIALECTS["extended-protection"])


def attempt(lab: Lab, password: str, **changes: Any) -> int:
    """Sign in over TLS by Negotiate and run one cmdlet; how many objects it gave."""
    given: dict[str, Any] = {"url": lab.https_url, "auth": "negotiate", "user": lab.user, "ca_file": lab.ca_file}
    settings = ExchangeSettings(**(given | {"timeout": 20.0} | changes))
    with Session.open(settings, password) as session:
        return len(session.objects(Command("Get-ExchangeServer", {})))


def test_ntlm_is_bound_to_the_channel(protected: Lab) -> None:
    """Where the endpoint requires a binding, ours is there and right."""
    assert attempt(protected, protected.password) > 0


def test_the_requirement_is_real(protected: Lab) -> None:
    """A client that binds nothing is refused by the same endpoint; one that does, pypsrp's own, is let in."""
    for bound, status in ((False, 401), (True, 200)):
        sign_in = HTTPNegotiateAuth(
            protected.user, protected.password, auth_provider="ntlm", send_cbt=bound, service="HTTP"
        )
        with requests.Session() as session:
            answer = session.post(protected.https_url, auth=sign_in, verify=str(protected.ca_file), timeout=10)
        assert answer.status_code == status


def test_a_middle_that_opens_tls_breaks_ntlm_and_is_named(protected: Lab, tmp_path: Path) -> None:
    """The refusal names Extended Protection and who issued the certificate that was seen."""
    with inspected(protected, tmp_path) as (url, ca_file), pytest.raises(SignInRefused) as caught:
        attempt(protected, protected.password, url=url, ca_file=ca_file)
    assert "Extended Protection (channel binding) fails" in caught.value.remedy
    assert "issued by CN=Gatepost Lab CA" in caught.value.remedy
    assert protected.password not in str(caught.value)
    assert not protected.calls


def test_a_middle_does_no_harm_where_nothing_is_required(make_lab: MakeLab, tmp_path: Path) -> None:
    """The middle of these tests passes everything on: what breaks the sign-in is the binding alone."""
    lab = make_lab()
    with inspected(lab, tmp_path) as (url, ca_file):
        assert attempt(lab, lab.password, url=url, ca_file=ca_file) > 0


def test_basic_is_not_bound(protected: Lab) -> None:
    """Basic has nothing to bind; Extended Protection does not concern it."""
    assert attempt(protected, protected.password, auth="basic") > 0


@pytest.mark.needs("samba")
@pytest.mark.xdist_group("samba")
@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_kerberos_is_bound_to_the_channel(domain: Forest, make_lab: MakeLab, auth: str) -> None:
    """Kerberos carries the binding too."""
    lab = make_lab(dialect=DIALECTS["extended-protection"], keytab=domain.keytab)
    assert attempt(lab, PASSWORD, auth=auth, user=READER) > 0


@pytest.mark.needs("samba")
@pytest.mark.xdist_group("samba")
def test_kerberos_without_a_binding_is_refused(domain: Forest, make_lab: MakeLab) -> None:
    """The requirement is real for Kerberos too: a client that binds nothing is refused."""
    lab = make_lab(dialect=DIALECTS["extended-protection"], keytab=domain.keytab)
    for bound, status in ((False, 401), (True, 200)):
        sign_in = HTTPNegotiateAuth(READER, PASSWORD, auth_provider="kerberos", send_cbt=bound, service="HTTP")
        with requests.Session() as session:
            answer = session.post(lab.https_url, auth=sign_in, verify=str(lab.ca_file), timeout=10)
        assert answer.status_code == status


@pytest.mark.needs("samba")
@pytest.mark.xdist_group("samba")
def test_a_middle_that_opens_tls_breaks_kerberos_and_is_the_cause(
    domain: Forest, make_lab: MakeLab, tmp_path: Path
) -> None:
    """The domain vouched for the account, so the password is not blamed: something on the way opens TLS."""
    lab = make_lab(dialect=DIALECTS["extended-protection"], keytab=domain.keytab)
    with inspected(lab, tmp_path) as (url, ca_file), pytest.raises(SignInRefused) as caught:
        attempt(lab, PASSWORD, url=url, ca_file=ca_file, auth="kerberos", user=READER)
    assert "has given reader@EXAMPLE.TEST a ticket" in caught.value.cause
    assert "Extended Protection (channel binding) fails" in caught.value.cause
    assert "something on the way opens TLS" in caught.value.remedy
    assert not lab.calls
