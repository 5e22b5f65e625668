"""Enrolment with the real service: a ticket pays once, and nothing that gets lost on the way is a dead end."""

import base64
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost import __version__
from gatepost.connector import credentials
from gatepost.connector.agent import Agent
from gatepost.connector.enrolment import enrol
from gatepost.connector.keys import Certificate, Key
from gatepost.domain import signing
from gatepost.errors import (
    GatepostError,
    OrganizationOccupied,
    ServiceRefused,
    ServiceUnreachable,
    SettingsError,
    StoreError,
)
from tests.fixtures.connector import Reply, Stage
from tests.fixtures.relays import AFTER, ServiceRelay
from tests.fixtures.site import MakeSite, Site


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site whose connector is not enrolled yet."""
    return make_site(devices=20)


def test_a_ticket_becomes_an_identity_and_is_deleted(site: Site) -> None:
    """The identity is the service's, the key never left, and the ticket's file is gone."""
    ticket = site.ticket()
    identity = enrol(site.settings, ticket, site.fingerprint)
    assert not ticket.exists()
    assert credentials.load(site.settings.folder) == identity
    [row] = site.query("SELECT * FROM connectors WHERE tenant_id = %s")
    assert (str(row["connector_id"]), row["epoch"], identity.epoch) == (identity.connector, 1, 1)
    [kept] = site.query("SELECT certificate, first_used_at FROM connector_certificates WHERE tenant_id = %s")
    assert (kept["certificate"], kept["first_used_at"]) == (identity.certificate, None)
    assert base64.b64decode(identity.service_key) == site.keys.public
    assert identity.organization_name == site.name


def test_an_end_between_identity_and_ticket_is_no_dead_end(site: Site) -> None:
    """The ticket is still there, and so is its key: enrolling again gives the same identity and removes both."""
    ticket = site.ticket()
    text, folder = ticket.read_text(), site.settings.folder
    folder.mkdir(mode=0o700)
    credentials.key_for(folder, text.strip())
    pending = (folder / credentials.PENDING).read_bytes()
    identity = enrol(site.settings, ticket, site.fingerprint)
    assert not (folder / credentials.PENDING).exists()
    ticket.write_text(text)
    (folder / credentials.PENDING).write_bytes(pending)
    assert enrol(site.settings, ticket, site.fingerprint) == identity
    assert not ticket.exists()
    assert not (folder / credentials.PENDING).exists()


def test_a_ticket_that_cannot_be_removed_is_told(site: Site) -> None:
    """The connector is enrolled; what is left is a person's to remove."""
    ticket = site.ticket()
    with ticket.open() as held, pytest.raises(StoreError, match=r"cannot be removed: .* Remove it by hand"):
        enrol(site.settings, Path(f"/proc/self/fd/{held.fileno()}"), site.fingerprint)
    assert credentials.load(site.settings.folder).epoch == 1


def test_a_lost_answer_is_no_dead_end(site: Site) -> None:
    """The first attempt reached the service and its answer did not come back; the same ticket succeeds."""
    ticket = site.ticket()
    text = ticket.read_text()
    with ServiceRelay(int(site.service_url.rpartition(":")[2])) as relay:
        lost = relay.halt("enrolments", AFTER)
        there = site.of(relay.url)
        lost.let(go=False)
        with pytest.raises(ServiceUnreachable):
            enrol(there.settings, ticket, site.fingerprint, patience=0)
    assert ticket.exists()
    identity = enrol(site.configure().settings, ticket, site.fingerprint)
    assert identity.epoch == 1
    (site.settings.folder / credentials.IDENTITY).unlink()
    ticket.write_text(text)
    with pytest.raises(SettingsError, match="was used by another connector"):
        enrol(site.settings, ticket, site.fingerprint)


def test_a_used_ticket_is_refused_in_words(site: Site) -> None:
    """Another connector cannot enrol with it, and what is in the folder stays as it was."""
    ticket = site.ticket()
    text = ticket.read_text()
    enrol(site.settings, ticket, site.fingerprint)
    other = site.beside("other")
    ticket.write_text(text)
    with pytest.raises(SettingsError, match=r"was used by another connector\. If that was not you"):
        enrol(other.settings, ticket, site.fingerprint, replace=True)
    assert ticket.exists()
    with pytest.raises(SettingsError, match="is not enrolled"):
        credentials.load(other.settings.folder)


def test_a_ticket_that_was_used_up_is_told_from_a_wrong_path(site: Site) -> None:
    """Set-up a second time says why the file is gone; before the first one it says what to look at."""
    with pytest.raises(SettingsError, match=r"no ticket file .*nowhere\. A ticket is used once.* Check the path"):
        enrol(site.settings, site.folder / "nowhere", site.fingerprint)
    ticket = site.ticket()
    before = enrol(site.settings, ticket, site.fingerprint)
    with pytest.raises(SettingsError) as caught:
        enrol(site.settings, ticket, site.fingerprint)
    assert str(caught.value) == (
        f"There is no ticket file {ticket}. A ticket is used once, and its file is removed then."
        " This connector is enrolled already: nothing is left to do. To enrol anew, ask for a new ticket."
    )
    assert credentials.load(site.settings.folder) == before


@pytest.mark.parametrize("text", ["11111111-1111-4111-8111-111111111111.unknown", "junk"])
def test_an_unknown_ticket_is_refused_in_words(site: Site, text: str) -> None:
    """A person reads what to ask for."""
    ticket = site.folder / "ticket"
    ticket.write_text(text)
    with pytest.raises(SettingsError, match=r"unknown or has expired\. Ask for a new one"):
        enrol(site.settings, ticket, site.fingerprint)
    assert ticket.exists()


def test_a_second_enrolment_fences_the_first(site: Site) -> None:
    """The first connector may say nothing more, forgets its key, and the second one works."""
    first = site.enrol()
    first.synchronise()
    second = site.beside("second").enrol()
    with pytest.raises(ServiceRefused, match="403 superseded"):
        first.synchronise()
    with pytest.raises(SettingsError, match=r"was replaced: .*superseded.*Enrol again with a new ticket"):
        credentials.load(first.settings.folder)
    assert second.synchronise().state == "sealed"
    assert second.differences() == []


def test_the_same_folder_may_enrol_again(site: Site) -> None:
    """A new ticket makes a new epoch; the store of the old one is not used."""
    site.enrol().synchronise()
    site.enrol()
    assert credentials.load(site.settings.folder).epoch == 2
    assert site.synchronise().state == "sealed"
    assert site.differences() == []


def test_a_connector_at_work_is_not_enrolled_under_its_feet(site: Site) -> None:
    """Set-up takes the folder's lock."""
    site.enrol()
    ticket = site.ticket()
    with Agent(site.settings, patience=5), pytest.raises(StoreError, match="Another connector works on the folder"):
        enrol(site.settings, ticket, site.fingerprint)
    assert ticket.exists()


def test_a_service_that_is_away_is_told_and_the_ticket_kept(site: Site, stage: Stage) -> None:
    """A wrong address does not cost the ticket, and the same secret is used at the next attempt."""
    stage.answers = [lambda _: Reply(404, b"<h1>no</h1>", {"Content-Type": "text/html"})]
    ticket = site.ticket()
    wrong = site.of(stage.url)
    with pytest.raises(ServiceUnreachable, match="does not speak like the service"):
        enrol(wrong.settings, ticket, site.fingerprint, patience=0)
    assert ticket.exists()
    identity = enrol(site.configure().settings, ticket, site.fingerprint)
    assert Key(identity.key).fits(Certificate(identity.certificate))
    sent = x509.load_pem_x509_csr(json.loads(stage.requests[0].body)["csr"].encode())
    assert sent.public_key() == Certificate(identity.certificate).public_key


def test_any_other_refusal_is_told_as_it_is(site: Site) -> None:
    """What set-up has no words of its own for comes in the service's."""
    ticket = site.ticket()
    site.execute("UPDATE organizations SET state = 'removing' WHERE tenant_id = %s")
    with pytest.raises(ServiceRefused, match="403 removed"):
        enrol(site.settings, ticket, site.fingerprint)
    assert ticket.exists()


def test_another_connector_at_work_is_named_and_nothing_is_done(site: Site) -> None:
    """The person who sets up reads where it runs; the ticket stays good for when it is to be replaced."""
    site.enrol().synchronise()
    ticket = site.ticket()
    other = site.beside("other")
    with pytest.raises(OrganizationOccupied) as caught:
        enrol(other.settings, ticket, site.fingerprint)
    assert caught.value.host == socket.gethostname()
    assert caught.value.version == __version__
    assert caught.value.last_contact is not None
    assert caught.value.exit_code == 4
    assert f"Another connector is enrolled for this organization, on {socket.gethostname()} (last heard" in str(
        caught.value
    )
    assert site.synchronise().state == "sealed"
    assert enrol(other.settings, ticket, site.fingerprint, replace=True).epoch == 2


@pytest.mark.parametrize("told", ["", "12345678", "x" * 64, "zz" * 32])
def test_a_fingerprint_that_is_none_is_told_before_the_ticket_is_used(site: Site, told: str) -> None:
    """Half of one is none."""
    ticket = site.ticket()
    with pytest.raises(SettingsError, match=r"fingerprint is none: it has 64 hex digits\. Copy it whole"):
        enrol(site.settings, ticket, told)
    assert ticket.exists()


def test_a_service_with_another_key_is_not_believed(site: Site, make_site: MakeSite) -> None:
    """The person reads both ways out; nothing of the answer is kept."""
    other = make_site(devices=0)
    ticket = site.ticket()
    with pytest.raises(
        SettingsError, match=r"has another fingerprint than the one that was given: [0-9a-f]{8} "
    ) as caught:
        enrol(site.settings, ticket, other.fingerprint)
    assert site.fingerprint in str(caught.value)
    with pytest.raises(SettingsError, match="is not enrolled"):
        credentials.load(site.settings.folder)


class Forging(ServiceRelay):
    """A proxy that puts something else into the answer to an enrolment; ``key`` signs that."""

    def __init__(self, port: int, change: Mapping[str, Any], key: Ed25519PrivateKey | None = None) -> None:
        super().__init__(port)
        self._change = change
        self._key = key

    def answered(self, tags: set[str], answer: bytes) -> tuple[set[str], bytes]:
        """Something else."""
        return tags, json.dumps(json.loads(answer) | self._change).encode()

    def signed(self, status: int, body: bytes, about: str) -> str:
        """By a key of its own, or not at all."""
        data = signing.answer_bytes(status, body, about)
        return base64.b64encode(self._key.sign(data)).decode() if self._key else ""


PROXY_KEY = Ed25519PrivateKey.generate()
OWN = base64.b64encode(PROXY_KEY.public_key().public_bytes_raw()).decode()


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"organization": "11111111-1111-4111-8111-111111111111"}, None, "is not signed by the service"),
        ({"epoch": 7}, PROXY_KEY, "is not signed by the service"),
        ({"service_key": OWN}, PROXY_KEY, "has another fingerprint than the one that was given"),
        ({"service_key": "?"}, PROXY_KEY, "malformed at service_key"),
    ],
    ids=["changed", "signed-by-another", "another-key", "no-key"],
)
def test_an_enrolment_that_was_changed_on_the_way_is_not_believed(
    site: Site, change: dict[str, Any], key: Ed25519PrivateKey | None, said: str
) -> None:
    """A proxy that inspects TLS may read it; with its own key it has another fingerprint. The ticket's file stays."""
    ticket = site.ticket()
    with Forging(int(site.service_url.rpartition(":")[2]), change, key) as relay:
        there = site.of(relay.url)
        with pytest.raises(GatepostError, match=said):
            enrol(there.settings, ticket, site.fingerprint, patience=0)
    assert ticket.exists()
    assert enrol(site.configure().settings, ticket, site.fingerprint).epoch == 1


def test_a_stolen_ticket_used_twice_is_seen(site: Site, make_site: MakeSite) -> None:
    """Whoever comes second is refused and told so: a ticket that was used by somebody else does not go unnoticed."""
    ticket = site.ticket()
    thief = site.beside("thief")
    copy = thief.folder / "ticket"
    copy.write_text(ticket.read_text())
    enrol(thief.settings, copy, site.fingerprint)
    with pytest.raises(SettingsError, match=r"was used by another connector\. If that was not you, ask"):
        enrol(site.settings, ticket, site.fingerprint)
    with pytest.raises(SettingsError, match="has another fingerprint"):  # another tenant's, which it is not for
        enrol(site.settings, site.ticket(), make_site(devices=0).fingerprint)
