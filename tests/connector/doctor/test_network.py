"""What the doctor says of the way: names, proxies, certificates."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatepost.connector.doctor.network import Way, resolve, walk
from gatepost.domain.checks import Check, Level
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings
from tests.connector.doctor.conftest import Doctor
from tests.fixtures.connector import Stage
from tests.fixtures.lab import MakeLab
from tests.fixtures.squid import PASSWORD, USER, Squid


def walked(way: Way) -> dict[str, Check]:
    """The checks of a way, by name."""
    return {check.name: check for check in walk(way)}


def test_a_name_that_nobody_knows_skips_what_needs_it(lab: Lab, doctor: Doctor) -> None:
    """The name is told as it stands in the settings; all that follows says why it was not looked at."""
    found = doctor(lab, url="https://exchange.invalid/PowerShell")
    assert found["exchange-name"].level is Level.BAD
    assert found["exchange-name"].what.startswith("The name exchange.invalid is not known here:")
    for name in ("exchange-connection", "exchange-certificate", "exchange-clock"):
        assert (found[name].level, found[name].what) == (Level.SKIPPED, "Not looked at: the name is not known.")
    assert found["rights-read"].what == "Not looked at: the server was not reached."


def test_what_is_no_name_is_an_error_and_nothing_worse() -> None:
    """A label of a hundred letters cannot be asked for."""
    with pytest.raises(OSError, match="it is no name"):
        resolve("a" * 100 + ".example.com")


def test_a_certificate_that_is_not_trusted_is_described_and_nobody_signs_in(make_lab: MakeLab, doctor: Doctor) -> None:
    """For whom, from whom and until when, though nothing was sent there."""
    lab = make_lab(devices=10, faults={Fault.UNKNOWN_CA})
    found = doctor(lab)["exchange-certificate"]
    assert found.level is Level.BAD
    assert "The certificate of localhost is not trusted" in found.what
    assert "The certificate is for localhost, 127.0.0.1, from Gatepost Lab CA, and ends on " in found.what
    assert lab.calls == []


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[tuple[Stage, Path]]:
    """A web server whose certificate has ten days left, and the file to trust it by."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10, hours=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(secret + pem)
    (tmp_path / "ca.pem").write_bytes(pem)
    stage = Stage(tmp_path / "server.pem")
    yield stage, tmp_path / "ca.pem"
    stage.close()


def test_a_certificate_near_its_end_is_a_warning(ending: tuple[Stage, Path]) -> None:
    """With the days that are left."""
    stage, ca_file = ending
    url = stage.url.replace("127.0.0.1", "localhost")
    check = walked(Way("service", ExchangeSettings(url=url, ca_file=ca_file)))["service-certificate"]
    assert check.level is Level.WARNING
    assert "(in 10 days)" in check.what
    assert check.remedy == "Renew it on the server before that."


def test_a_certificate_for_another_name_is_bad(ending: tuple[Stage, Path]) -> None:
    """The names that it is for are told."""
    stage, ca_file = ending
    check = walked(Way("service", ExchangeSettings(url=stage.url, ca_file=ca_file)))["service-certificate"]
    assert check.level is Level.BAD
    assert "IP address mismatch" in check.what
    assert "The certificate is for localhost" in check.what


@pytest.mark.needs("squid")
def test_a_proxy_that_asks_for_a_sign_in_is_told_apart(
    make_lab: MakeLab, doctor: Doctor, basic_proxy: Squid, tmp_path: Path
) -> None:
    """Without a sign-in and with a wrong one it is the proxy's no; with the right one the way is good to its end."""
    lab = make_lab(devices=10)
    wanting = doctor(lab, proxy=basic_proxy.url)["exchange-proxy"]
    assert (wanting.level, wanting.what) == (Level.BAD, "The proxy localhost wants a sign-in.")
    assert wanting.remedy.endswith("gatepost connector setup --change proxy")
    secret = tmp_path / "proxy-password"
    secret.write_text("wrong")
    signed = {"proxy": basic_proxy.url, "proxy_user": USER, "proxy_password_file": secret}
    refused = doctor(lab, **signed)
    assert f"does not accept the sign-in of {USER} by basic" in refused["exchange-proxy"].what
    assert refused["exchange-connection"].level is Level.SKIPPED
    secret.write_text(PASSWORD)
    good = doctor(lab, **signed)
    assert good["exchange-proxy"].what == f"The proxy localhost takes the sign-in of {USER} and makes the way."
    assert good["exchange-certificate"].level is Level.GOOD
    assert good["rights-read"].level is Level.GOOD
