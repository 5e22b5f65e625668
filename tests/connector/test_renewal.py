"""The certificate renewed: in time, with a new key, and cut off at every step without harm."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gatepost.connector import credentials
from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.keys import Certificate, new_key
from gatepost.connector.renewal import Renewal
from gatepost.connector.uplink import Uplink
from gatepost.errors import ServiceRefused, ServiceUnreachable, SettingsError
from gatepost.settings import UplinkSettings
from tests.fixtures.connector import Reply, Request, Stage, certified, problem
from tests.fixtures.relays import AFTER, BEFORE, ServiceRelay
from tests.fixtures.site import MakeSite, Site

DUE = timedelta(days=4, hours=17)  # more than two thirds of seven days


def key_in(request: Request) -> ec.EllipticCurvePublicKey:
    """The key that a certificate is asked for."""
    found = x509.load_pem_x509_csr(json.loads(request.body)["csr"].encode()).public_key()
    assert isinstance(found, ec.EllipticCurvePublicKey)
    return found


def certifies(request: Request) -> Reply:
    """A certificate for the key of a request, as the service gives it."""
    return Reply(body=json.dumps({"certificate": certified(new_key(), of=key_in(request))}).encode())


class Desk:
    """An identity in a folder, and the service on a stage; so much of the certificate's life is over."""

    def __init__(self, folder: Path, identity: Identity, stage: Stage, over: timedelta = DUE) -> None:
        if not (folder / credentials.IDENTITY).exists():
            credentials.save(folder, identity)
        self.keys = Credentials(credentials.load(folder), "i")
        self.keys.correct(datetime.now(UTC) + over)
        link = Uplink(UplinkSettings(url=stage.url), self.keys)
        self.renewal = Renewal(folder, credentials.load(folder), link, self.keys)


def test_a_certificate_is_left_alone_until_a_third_is_left(tmp_path: Path, identity: Identity, stage: Stage) -> None:
    """Nothing is asked before; after it, once, and then key and certificate are others and the old key is gone."""
    Desk(tmp_path, identity, stage, timedelta(days=4, hours=15)).renewal.look()
    assert stage.requests == []
    stage.answers = [certifies]
    desk = Desk(tmp_path, identity, stage)
    desk.renewal.look()
    desk.keys.correct(datetime.now(UTC))
    desk.renewal.look()
    assert [request.path for request in stage.requests] == ["/connector/v1/certificates"]
    kept = credentials.load(tmp_path)
    assert kept == replace(identity, key=kept.key, certificate=kept.certificate)
    assert kept.key != identity.key
    assert desk.keys.certificate.serial == Certificate(kept.certificate).serial
    assert identity.key not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert not (tmp_path / credentials.RENEWAL).exists()


def test_a_lost_answer_is_asked_for_with_the_same_key(tmp_path: Path, identity: Identity, stage: Stage) -> None:
    """Also by the next process; the old certificate goes on signing until there is a new one."""
    stage.answers = [lambda _: Reply(drop=True), certifies]
    Desk(tmp_path, identity, stage).renewal.look()
    assert credentials.load(tmp_path) == identity
    Desk(tmp_path, identity, stage).renewal.look()
    first, second = map(key_in, stage.requests)
    assert first == second == Certificate(credentials.load(tmp_path).certificate).public_key


def test_a_failure_waits_while_the_certificate_is_good(
    tmp_path: Path, identity: Identity, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and not tried at every document; once the certificate is over, it is what stands in the way."""
    stage.answers = [lambda _: Reply(500)]
    desk = Desk(tmp_path, identity, stage)
    for _ in range(3):
        desk.renewal.look()
    assert len(stage.requests) == 1
    assert [record.getMessage() for record in caplog.records] == ["the renewal of the certificate is away"]
    over = Desk(tmp_path, identity, stage, timedelta(days=7))
    with pytest.raises(ServiceUnreachable):
        over.renewal.look()


@pytest.mark.parametrize("body", ['{"certificate": "x"}', "{}", '{"certificate": "OTHER"}'])
def test_a_certificate_for_another_key_is_not_kept(tmp_path: Path, identity: Identity, stage: Stage, body: str) -> None:
    """What the service signs must also be what was asked for."""
    other = json.dumps(certified(new_key()))
    stage.answers = [lambda _: Reply(body=body.replace('"OTHER"', other).encode())]
    Desk(tmp_path, identity, stage).renewal.look()
    assert credentials.load(tmp_path) == identity


def test_requests_under_way_while_it_is_renewed_are_made_again(
    tmp_path: Path, identity: Identity, stage: Stage
) -> None:
    """One that was signed with the old key and arrives after the new one is refused: that is no end of a connector."""
    desk = Desk(tmp_path, identity, stage, timedelta())
    key = new_key()
    renewed = replace(identity, key=key, certificate=certified(key))

    def meanwhile(_: Request) -> Reply:
        desk.keys.use(renewed)
        return problem(403, "retired")

    head = {"incarnation": "h", "revision": 1, "orders": 0, "sync": "none", "lease_seconds": 1}
    stage.answers = [meanwhile, lambda _: Reply(body=json.dumps(head).encode())]
    link = Uplink(UplinkSettings(url=stage.url), desk.keys)
    assert link.wait(0).revision == 1
    serials = [request.headers["Gatepost-Key"].split("/")[2] for request in stage.requests]
    assert serials == [Certificate(each.certificate).serial for each in (identity, renewed)]
    stage.answers = [lambda _: problem(403, "retired")]
    with pytest.raises(ServiceRefused, match="403 retired"):
        link.wait(0)


def test_a_renewal_that_is_under_way_is_no_copy(tmp_path: Path, identity: Identity, stage: Stage) -> None:
    """The new identity is on the disk and another process has signed with it: a refusal of the old one waits."""
    desk = Desk(tmp_path, identity, stage, timedelta())
    renewed = replace(identity, key=(key := new_key()), certificate=certified(key))
    refused = Event()

    def refuse(_: Request) -> Reply:
        refused.set()
        return problem(403, "retired")

    head = {"incarnation": "h", "revision": 1, "orders": 0, "sync": "none", "lease_seconds": 1}
    stage.answers = [refuse, lambda _: Reply(body=json.dumps(head).encode())]
    link = Uplink(UplinkSettings(url=stage.url), desk.keys)
    with ThreadPoolExecutor(1) as pool:
        with desk.keys.changing:
            waiting = pool.submit(link.wait, 0)
            assert refused.wait(10)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            desk.keys.use(renewed)
        assert waiting.result(10).revision == 1


# -- with the real service ---------------------------------------------------------------------------------------------


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site whose connector's certificate has a day left."""
    return aged(make_site(devices=8).enrol(), timedelta(days=6))


def aged(site: Site, by: timedelta) -> Site:
    """The same, when its certificate has become so much older: both sides say so."""
    folder = site.settings.folder
    identity = credentials.load(folder)
    serial = Certificate(identity.certificate).serial
    certificate = certified(identity.key, datetime.now(UTC) - by, serial=serial)
    credentials.save(folder, replace(identity, certificate=certificate))
    site.execute(
        "UPDATE connector_certificates SET not_after = now() + interval '7 days' - %s WHERE tenant_id = %s", by
    )
    return site


def good(site: Site) -> list[str]:
    """The serials that may sign."""
    rows = site.query("SELECT serial FROM connector_certificates WHERE tenant_id = %s AND retired_at IS NULL")
    return [row["serial"] for row in rows]


def serial_of(site: Site) -> str:
    """Of the certificate in the folder."""
    return Certificate(credentials.load(site.settings.folder).certificate).serial


def test_a_connector_renews_before_it_says_anything_else(site: Site) -> None:
    """Commands do so as well; the service shows until when it is good, and what was before is retired."""
    before = serial_of(site)
    assert site.synchronise().state == "sealed"
    assert good(site) == [serial_of(site)] != [before]
    [row] = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    left = datetime.fromisoformat(row["status"]["certificate_until"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    names = [row["name"] for row in site.query("SELECT name FROM events WHERE tenant_id = %s")]
    assert names.count("connector:certificate:renewed") == 1


@pytest.mark.parametrize(
    ("tag", "side"),
    [("certificates", BEFORE), ("certificates", AFTER), ("check-in", BEFORE), ("check-in", AFTER)],
    ids=["key-kept", "certified", "new-identity-kept", "new-identity-used"],
)
def test_a_kill_at_any_step_of_a_renewal_leaves_an_identity_that_works(site: Site, tag: str, side: str) -> None:
    """Started again, the connector goes on by itself: with one key that is good, and nothing left over."""
    with ServiceRelay(int(site.service_url.rpartition(":")[2])) as relay:
        halt = relay.halt(tag, side)
        process = site.of(relay.url).connector("sync")
        halt.wait()
        process.kill()
        process.communicate()
        halt.let(go=False)
    site.configure()
    assert site.synchronise().state == "sealed"
    assert good(site) == [serial_of(site)]
    left = {path.name for path in site.settings.folder.iterdir()}
    assert credentials.IDENTITY in left
    assert credentials.RENEWAL not in left


def test_an_outage_longer_than_the_certificate_needs_an_administrator(site: Site) -> None:
    """Until then the connector keeps its identity and says what helps; allowed, it goes on by itself."""
    aged(site, timedelta(days=9))
    with pytest.raises(ServiceRefused, match=r"403 expired.*An administrator can allow its renewal on the console"):
        site.synchronise()
    before = serial_of(site)
    site.execute("UPDATE connectors SET late_renewal_until = now() + interval '1 hour' WHERE tenant_id = %s")
    assert site.synchronise().state == "sealed"
    assert serial_of(site) != before


def test_a_copy_of_the_folder_that_renews_first_is_seen_by_the_other(site: Site) -> None:
    """Two may not live on one identity: the one whose certificate was retired ends, and says why."""
    copy = site.beside("copy")
    copy.settings.folder.mkdir()
    credentials.save(copy.settings.folder, credentials.load(site.settings.folder))
    copy.synchronise()
    with pytest.raises(ServiceRefused, match=r"403 retired.*was renewed, and the new one is in use"):
        site.synchronise()
    with pytest.raises(SettingsError, match=r"was replaced: .*403 retired.*Enrol again with a new ticket"):
        credentials.load(site.settings.folder)
