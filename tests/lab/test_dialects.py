"""Lawful oddities: an independent client sees the same organization through each."""

import xml.etree.ElementTree as ET
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from pypsrp.powershell import RunspacePool

from gatepost.errors import SettingsError
from gatepost.lab import wsman
from gatepost.lab.dialects import DIALECTS, Dialect, dialect_named
from gatepost.lab.fragments import BOM, FRAGMENT, MESSAGE
from tests.fixtures.lab import MakeLab
from tests.lab.peer import COMPLETED, FAILED, basic, post, run, session

FIELDS = ["Guid", "DeviceId", "DistinguishedName", "DeviceModel", "DeviceAccessState", "FirstSyncTime"]
STREAM = f"{{{wsman.SHELL}}}Stream"


def watch(pool: RunspacePool) -> list[bytes]:
    """From now on, every answer as it came."""
    answers: list[bytes] = []
    transport = pool.connection.transport
    real: Callable[..., bytes] = transport.send

    def watched(message: bytes, **options: Any) -> bytes:
        answers.append(real(message, **options))
        return answers[-1]

    transport.send = watched  # type: ignore[method-assign]
    return answers


def elements(answers: list[bytes]) -> list[bytes]:
    """The stream elements of all answers, decoded."""
    return [b64decode(item.text or "") for answer in answers for item in ET.fromstring(answer).iter(STREAM)]


@pytest.mark.parametrize("name", [name for name in DIALECTS if not name.startswith("redirect")])
def test_each_dialect_shows_the_same_organization(make_lab: MakeLab, name: str) -> None:
    """Devices and their values are the same, whatever the wire looks like."""
    lab = make_lab(dialect=DIALECTS[name])
    with session(lab) as pool:
        selected = run(pool, "Get-MobileDevice", select=FIELDS)
        whole = run(pool, "Get-MobileDevice")
    wanted = [(d.guid, d.device_id, d.dn, d.handset.model, d.state) for d in lab.organization.devices]
    rows = whole.rows
    if name != "narrow-select":
        assert [tuple(map(str, row.values()))[:3] for row in selected.rows] == [row[:3] for row in wanted]
    found = [
        (str(row["Guid"]), row["DeviceId"], row["DistinguishedName"], row["DeviceModel"], row["DeviceAccessState"])
        for row in rows
    ]
    assert found == wanted


def test_shuffled_objects_differ_in_their_order(make_lab: MakeLab) -> None:
    """Not only from the usual order, but from one object to the next."""
    with session(make_lab(dialect=DIALECTS["shuffled"])) as pool:
        rows = run(pool, "Get-MobileDevice").rows
    assert len({tuple(row) for row in rows}) == 3


def test_tiny_fragments_cut_messages_over_elements(make_lab: MakeLab) -> None:
    """No fragment is larger than a kilobyte, so most objects span several."""
    with session(make_lab(dialect=DIALECTS["tiny-fragments"])) as pool:
        answers = watch(pool)
        run(pool, "Get-MobileDevice")
    found = elements(answers)
    assert max(map(len, found)) <= 1_024
    assert sum(FRAGMENT.unpack_from(element)[2] == 0 for element in found) > 10


def test_tiny_envelopes_need_many_receives(make_lab: MakeLab) -> None:
    """Whatever the client would take, an answer has at most 8 kB."""
    with session(make_lab(dialect=DIALECTS["tiny-envelopes"])) as pool:
        answers = watch(pool)
        run(pool, "Get-MobileDevice")
    assert len(answers) > 20
    assert max(map(len, answers)) <= 8_192


def test_shared_streams_hold_several_messages(make_lab: MakeLab) -> None:
    """One element may carry the fragments of more than one message."""
    with session(make_lab(dialect=DIALECTS["shared-streams"])) as pool:
        answers = watch(pool)
        run(pool, "Get-MobileDevice")
    numbers = [FRAGMENT.unpack_from(element)[3] + FRAGMENT.size < len(element) for element in elements(answers)]
    assert any(numbers)


def test_messages_may_begin_with_a_byte_order_mark(make_lab: MakeLab) -> None:
    """Every message's text then does."""
    with session(make_lab(dialect=DIALECTS["bom"])) as pool:
        answers = watch(pool)
        run(pool, "Get-MobileDevice")
    starts = [element for element in elements(answers) if FRAGMENT.unpack_from(element)[2] & 1]
    assert all(element[FRAGMENT.size + MESSAGE.size :].startswith(BOM) for element in starts)


def test_soap_may_have_other_prefixes(make_lab: MakeLab) -> None:
    """None of the usual ones is used."""
    with session(make_lab(dialect=DIALECTS["prefixes"])) as pool:
        answers = watch(pool)
        run(pool, "Get-MobileDevice")
    assert all(answer.startswith(b"<env:Envelope") for answer in answers)
    assert not any(b"<rsp:" in answer or b"<s:" in answer for answer in answers)


def test_properties_may_be_missing_or_more(make_lab: MakeLab) -> None:
    """As in older and in newer versions."""
    with session(make_lab(dialect=dialect_named("missing-properties, extra-properties"))) as pool:
        row = run(pool, "Get-MobileDevice").rows[0]
    assert "DeviceImei" not in row
    assert row["LabExtraMap"] == {"key": "value"}
    assert row["LabExtraList"] == ["one", "two"]
    assert row["LabExtraNull"] is None


def test_type_names_and_identities_may_be_others(make_lab: MakeLab) -> None:
    """A hoster's types; identities in the short form."""
    lab = make_lab(dialect=dialect_named("other-types,short-identity"))
    with session(lab) as pool:
        answer = run(pool, "Get-MobileDevice")
    assert answer.types[0] == "Vendor.Hosting.Data.Directory.SystemConfiguration.MobileDevice"
    assert [row["Identity"] for row in answer.rows] == [d.short_identity for d in lab.organization.devices]


def test_a_narrow_endpoint_takes_eleven_names(make_lab: MakeLab) -> None:
    """More end the pipeline with the number that is allowed."""
    with session(make_lab(dialect=DIALECTS["narrow-select"])) as pool:
        few = run(pool, "Get-MobileDevice", select=[*"abcdefghijk"])
        many = run(pool, "Get-MobileDevice", select=[*"abcdefghijkl"])
    assert few.state == COMPLETED
    assert (many.state, many.error_ids) == (FAILED, ["ParameterArgumentValidationError,Select-Object"])
    assert "maximum number of allowed arguments (11)" in many.errors[0][1]


def test_a_session_may_hang_on_a_cookie(make_lab: MakeLab) -> None:
    """A request for a shell without the cookie finds no shell."""
    lab = make_lab(dialect=DIALECTS["cookies"])
    with session(lab) as pool:
        assert len(run(pool, "Get-MobileDevice").rows) == 80
        http = pool.connection.transport.session
        assert http is not None
        assert http.cookies.get("X-BackEndCookie")
        body = (
            f'<s:Envelope xmlns:s="{wsman.SOAP}" xmlns:w="{wsman.MANAGEMENT}"><s:Header><w:SelectorSet>'
            f'<w:Selector Name="ShellId">{pool.id}</w:Selector></w:SelectorSet></s:Header><s:Body/></s:Envelope>'
        )
        answer = post(lab.https_url, lab.ca_file, body=body.encode(), Authorization=basic(lab))
    assert answer.status == 500
    assert b'Code="2150858843"' in answer.body
    assert answer.headers["Set-Cookie"].startswith("X-BackEndCookie=")


@pytest.mark.parametrize("name", ["redirect-path", "redirect-port"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_endpoint_may_send_elsewhere(make_lab: MakeLab, name: str, scheme: str) -> None:
    """To another path, or another port, on either scheme; there it answers."""
    lab = make_lab(dialect=DIALECTS[name])
    url = lab.https_url if scheme == "https" else lab.http_url
    moved = post(f"{url}?serializationLevel=Full", lab.ca_file)
    target = moved.headers["Location"]
    assert moved.status == 302
    assert target.startswith(f"{scheme}://localhost")
    assert target.endswith("?serializationLevel=Full")
    assert (urlsplit(target).port != urlsplit(url).port) == (name == "redirect-port")
    assert post(target, lab.ca_file).status == 401
    if scheme == "https":
        with session(lab, url=target, path=urlsplit(target).path.strip("/")) as pool:
            assert len(run(pool, "Get-MobileDevice").rows) == 80


def test_dialects_are_combined_by_name() -> None:
    """Names joined by commas; an unknown one is refused with those that exist."""
    assert dialect_named("bom,shuffled") == Dialect(bom=True, shuffled=True)
    assert dialect_named("") == Dialect()
    with pytest.raises(SettingsError, match=r"There is no dialect 'klingon'\. Choose from plain, shuffled"):
        dialect_named("klingon")
