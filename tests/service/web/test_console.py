"""The pages as they are sent: empty states, states of a connection, a held inventory, history."""

import html
import re

import pytest

from gatepost.domain.contract import Facts, Kind, Status
from gatepost.domain.contract import Scope as Extent
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox
from tests.service.web.conftest import Visitor


def test_an_empty_tenant_is_told_how_to_begin(anna: Visitor, service: Service) -> None:
    """The way to the set-up package and what to run with it; who may not download it is told who does."""
    page = anna.get("/connection").text
    assert 'href="/administration/exchange/setup">Set up Exchange connection' in page
    assert "python3 gatepost-connector.pyz connector setup --config connector.toml" in page
    assert "No devices yet" in anna.get("/devices").text
    rita = Visitor(service.add_administrator("rita", "reader").url)
    assert rita.sign_in(service, name="rita").status_code == 303
    assert "An administrator with the role tenant administrator does that." in rita.get("/connection").text


def test_an_organization_waits_for_its_connector(anna: Visitor, service: Service) -> None:
    """Between the ticket and the enrolment the page says what to do, with a package and with a ticket made by hand."""
    service.ticket("Amsterdam")
    page = anna.get("/connection").text
    assert "Waiting for its connector" in page
    assert "python3 gatepost-connector.pyz connector setup --config connector.toml" in page
    assert f"gatepost connector setup --service {service.url} --ticket-file ticket --service-fingerprint" in page
    assert "connector.toml holds the address of Exchange" in page


def test_several_organizations_are_tabs(anna: Visitor, service: Service) -> None:
    """Each has its own connection; one that is not of this tenant is not found."""
    service.ticket("Amsterdam")
    service.ticket("Rotterdam <1>")
    page = anna.get("/connection").text
    assert "Amsterdam" in page
    assert "Rotterdam &lt;1&gt;" in page
    assert "Rotterdam" in anna.get("/devices").text


def test_a_connection_shows_what_the_connector_told(anna: Visitor, filled: Speaker) -> None:
    """Server, versions, host, next syncs, failure and findings."""
    status = Status(
        version="0.1.0",
        host="GATE01",
        exchange={"server": "EX01.example.test", "version": "2019 CU14", "domain_controller": "DC2"},
        next_syncs={"full": "2026-12-01T03:00:00Z", "quick": "nonsense"},
        failure="EX01 did not answer.",
    )
    finding = {"code": "not-granted", "subject": "Get-X", "cause": "No right to use Get-X.", "remedy": "Grant it."}
    filled.say(Kind.CYCLE, status=status, facts=Facts(findings=(finding,)))
    anna.http.cookies.set("gatepost-zone", "Europe/Amsterdam")
    page = anna.get("/connection").text
    for text in ("EX01.example.test", "2019 CU14", "GATE01", "DC2", "1 Dec 2026, 04:00:00 CET", "EX01 did not answer."):
        assert text in page
    assert "No right to use Get-X." in page
    assert "Grant it." in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE checkins SET lease_until = now() - interval '1 second'", "The connector is not connected"),
        ("UPDATE checkins SET last_at = NULL, lease_until = NULL", "It is set up and has not been started yet."),
        ("UPDATE organizations SET state = 'replaced'", "Another connector has taken over"),
        ("UPDATE organizations SET state = 'removing'", "Being removed"),
    ],
)
def test_a_connection_that_is_not_well_says_so(
    anna: Visitor, filled: Speaker, look: Look, change: str, words: str
) -> None:
    """Silence, a replacement and a removal each have their words."""
    look(change)
    assert words in anna.get("/connection").text


def test_a_connector_that_said_farewell_is_not_connected(anna: Visitor, filled: Speaker) -> None:
    """At once, with the time of the last contact; a requested sync says what it waits for."""
    assert "Connected" in anna.get("/connection").text
    assert filled.farewell().status_code == 200
    page = anna.get("/connection").text
    assert re.search(r"<span>Not connected</span></span><small class=\"since\">since <time", page)
    assert "A sync that you ask for begins when it is back." in page
    path = f"/connection/{filled.identity['organization']}/sync"
    assert anna.post(path, {"kind": "full", "form_token": anna.token()}).headers["Location"].endswith("#full")
    page = anna.get("/connection").text
    assert "The sync that was asked for begins when it is back." in page
    assert "aria-disabled" not in page
    assert "Nothing needs your attention." not in page


def test_a_failed_attempt_is_told_and_can_be_asked_for_again(anna: Visitor, filled: Speaker, look: Look) -> None:
    """Its sentence stands as the last attempt, nothing says that all is well, and another press is another request."""
    path, form = f"/connection/{filled.identity['organization']}/sync", {"kind": "full", "form_token": anna.token()}
    anna.post(path, form)
    first = look("SELECT sync_requested_at FROM organizations")
    assert "Nothing needs your attention." in anna.get("/connection").text
    anna.post(path, form)
    assert look("SELECT sync_requested_at FROM organizations") == first
    filled.say(Kind.CYCLE, status=Status(host="GATE01", failure="EX01 did not answer."))
    page = anna.get("/connection").text
    assert '<span>Failed</span></span> <span lang="en"><bdi>EX01 did not answer.</bdi>' in page
    assert "Last sync that arrived" in page
    assert "Nothing needs your attention." not in page
    assert "the last attempt failed. The connector tries again by itself" in page
    assert "aria-disabled" not in page
    anna.post(path, form)
    assert look("SELECT sync_requested_at FROM organizations") != first


def test_devices_without_a_version_are_proof_of_exchange(anna: Visitor, filled: Speaker) -> None:
    """A connector that just started does not know the version yet; Exchange was reached all the same."""
    filled.say(Kind.CYCLE, status=Status(host="GATE01", exchange={"server": "EX01"}))
    page = anna.get("/connection").text
    assert "Exchange has not been reached yet" not in page
    assert "Exchange on <bdi>EX01</bdi>" in page


def test_a_running_sync_shows_how_far_it_is(anna: Visitor, speaker: Speaker) -> None:
    """Rows received of rows announced."""
    rows = [device(number) for number in range(10)]
    sync, _ = speaker.begin(rows, [mailbox(0)])
    speaker.part(sync, 1, rows[:4])
    page = anna.get("/connection").text
    assert "4 of 11 rows received" in page
    assert '<progress id="progress" max="11" value="4">' in page


def test_a_held_inventory_is_explained_and_accepted(anna: Visitor, speaker: Speaker, look: Look) -> None:
    """The button makes the next full sync of that size go, asks for it, and is written down."""
    rows = [device(number) for number in range(120)]
    speaker.synchronise(rows)
    assert speaker.synchronise(rows[:40])[0]["state"] == "held"
    page = anna.get("/connection").text
    assert "An inventory is held back" in page
    assert "has 40 devices; 120 are known here, and 80 of them" in page
    assert "Nothing merged: 80 known devices were missing." in page
    assert "Nothing needs your attention." not in page
    sync_id = look("SELECT sync_id FROM syncs WHERE state = 'held'")[0]["sync_id"]
    path = f"/connection/{speaker.identity['organization']}/accept"
    form = {"sync_id": sync_id, "form_token": anna.token()}
    assert anna.post(path, form).status_code == 303
    again = anna.post(path, form)
    assert again.status_code == 409
    assert "This inventory is not held any more" in again.text
    event = look("SELECT actor, body FROM events WHERE name = 'console:sync:accepted'")[0]
    assert event["actor"] == "anna"
    assert event["body"]["devices"] == 40
    assert look("SELECT sync_requested FROM organizations")[0]["sync_requested"] == "full"
    assert "An inventory is held back" not in anna.get("/connection").text
    assert speaker.synchronise(rows[:40])[-1]["state"] == "sealed"
    assert "40 devices" in anna.get("/devices").text


def test_a_device_shows_its_lists_and_history(anna: Visitor, filled: Speaker) -> None:
    """Every field, whether the device is on its mailbox's lists, and what was before and after."""
    changed = device(0, os="iOS 18.1", access_state="Quarantined", friendly_name="Werk 0")
    filled.synchronise([changed], scope=Extent.QUICK)
    path = f"/devices/{filled.identity['organization']}/00000000-0000-0000-0000-000000000001"
    page = anna.get(path, headers={"Accept-Language": "nl"}).text
    for text in ("Anneke de Vries", "OTHER1", "OTHER2", "Dit apparaat staat erop.", "iOS 18.1", "Toegestaan"):
        assert text in page
    assert page.count("Dit apparaat staat erop.") == 1


def test_a_time_in_the_history_is_written_as_every_other_time(anna: Visitor, filled: Speaker) -> None:
    """In the person's language and zone; what is no time stays as Exchange told it."""
    filled.synchronise(
        [device(0, last_policy_update_at="2026-02-03T04:05:06Z", policy_status="Odd")], scope=Extent.QUICK
    )
    anna.http.cookies.set("gatepost-zone", "Europe/Amsterdam")
    page = anna.get(f"/devices/{filled.identity['organization']}/{device(0)[0]}").text
    history = page[page.index('class="timeline"') :]
    assert '<time datetime="2026-02-03T04:05:06+00:00">3 Feb 2026, 05:05:06 CET</time>' in history
    assert "<bdi>Odd</bdi>" in history


def test_a_device_without_a_system_names_its_family_once(anna: Visitor, filled: Speaker) -> None:
    """And still its model below."""
    filled.synchronise([device(0, os=None, model="iPhone17C1")], scope=Extent.QUICK)
    page = anna.get("/devices?q=dev00000").text
    [system] = re.findall(r'<td data-label="System">(.*?)</td>', page)
    assert system == '<span><bdi>iPhone and iPad</bdi></span><span class="under"><bdi>iPhone17C1</bdi></span>'


def test_devices_of_mailboxes_elsewhere_are_labelled(anna: Visitor, speaker: Speaker) -> None:
    """In the list and on their page, which offers no pin and says why."""
    boxes = [mailbox(1, kind="disabled", primary_smtp=None, display_name=None), mailbox(2, kind="remote")]
    speaker.synchronise([device(n, mailbox_guid=mailbox(n)[0]) for n in (1, 2)], boxes)
    page = anna.get("/devices").text
    assert "Disabled account" in page
    assert "Remote mailbox" in page
    assert "No mailbox in view" not in page
    [path] = re.findall(rf'href="(/devices/[^"?]*{device(2)[0]})', page)
    page = anna.get(path).text
    assert "Remote mailbox" in page
    assert "Its mailbox moved away or was disabled" in page


def test_statistics_that_were_never_read_are_not_told_as_empty(anna: Visitor, filled: Speaker) -> None:
    """No group of dashes that reads as if no wipe was requested; once one is known, all are shown."""
    path = f"/devices/{filled.identity['organization']}/00000000-0000-0000-0000-000000000001"
    page = anna.get(path).text
    assert "whether a wipe was requested is not known here" in page
    assert "Wipe requested" not in page
    assert [word for word in ("Policy status", "Policy last sent") if word in page] == []
    filled.synchronise([device(0, wipe_requested_at="2026-02-03T04:05:06Z")], scope=Extent.QUICK)
    page = anna.get(path).text
    assert "3 Feb 2026, 04:05:06 UTC" in page
    assert "Wipe sent" in page
    assert "is not known here" not in page


@pytest.mark.parametrize(
    ("back", "leads"),
    [
        ("q=a+b&state=Allowed", "/devices?q=a+b&amp;state=Allowed"),
        ("//evil.example", "/devices"),
        ("javascript:alert(1)", "/devices"),
        ("q=%22%3E%3Cb%3E&next=https://evil.example", "/devices?q=%22%3E%3Cb%3E"),
    ],
)
def test_the_way_back_leads_to_a_list_only(anna: Visitor, filled: Speaker, back: str, leads: str) -> None:
    """Whatever the address says."""
    path = f"/devices/{filled.identity['organization']}/00000000-0000-0000-0000-000000000001"
    assert f'<p class="crumb"><a href="{leads}">' in anna.get(path, params={"back": back}).text


MANY = """
WITH made AS (
    INSERT INTO device_facts (facts_id, family, os_version) VALUES (gen_random_uuid(), 'other', '{}') RETURNING facts_id
), devices AS (
    INSERT INTO devices (organization_id, guid, device_id, family, facts_id, words, row_hash, first_seen, last_seen,
                         changed_seen_at)
    SELECT %s, gen_random_uuid(), 'D' || n, 'other', facts_id,
           ARRAY[CASE WHEN n %% 2 = 0 THEN 'even' ELSE 'odd' END, CASE WHEN n <= 3000 THEN 'old' ELSE 'new' END], n,
           now() - (21000 - n) * interval '1 second', now(), now() - (21000 - n) * interval '1 second'
    FROM made, generate_series(1, 21000) n RETURNING organization_id, guid, words
)
INSERT INTO device_words (organization_id, device_guid, word)
SELECT organization_id, guid, unnest(words) FROM devices
"""


def test_a_search_for_common_words_looks_so_far_and_offers_to_look_further(
    anna: Visitor, speaker: Speaker, look: Look
) -> None:
    """Totals are told up to 1,000; two common words that never meet end the search, not the service."""
    look(MANY, speaker.identity["organization"])
    assert "More than 1,000 devices" in anna.get("/devices?q=odd").text
    assert "More than 1,000 devices" in anna.get("/devices?family=other&state=&q=new&sort=changed").text
    for order in ("newest", "changed"):
        page = anna.get(f"/devices?q=odd+even&sort={order}").text
        assert "Not found among the 20,000 devices looked at." in page
        further = re.search(r'rel="next" href="([^"]*)">Look further', page)
        assert further
        page = anna.get(html.unescape(further[1])).text
        assert "Try fewer letters, or remove a filter." in page
        assert "Look further" not in page


def test_an_address_may_wrap_before_its_at_sign(anna: Visitor, filled: Speaker) -> None:
    """A place to break is markup, and what the address says stays text."""
    assert "<bdi>user1<wbr>@example.test</bdi>" in anna.get("/devices?q=dev00002").text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; ␇bell" in anna.get("/devices?q=bell").text


def test_a_device_that_is_gone_says_since_when(anna: Visitor, filled: Speaker, look: Look) -> None:
    """It has its own filter, and its page a notice."""
    look("UPDATE devices SET gone_at = now() WHERE device_id = 'DEV00004'")
    assert "No device fits" in anna.get("/devices?q=dev00004").text
    assert "DEV00004" in anna.get("/devices?state=gone").text
    path = f"/devices/{filled.identity['organization']}/00000000-0000-0000-0000-000000000005"
    page = anna.get(path).text
    assert "This device is no longer in Exchange" in page
    assert "Last known state" in page


def test_a_page_that_did_not_change_is_not_sent_again(anna: Visitor, filled: Speaker) -> None:
    """A refreshing page tells what it has; the answer is 304 until something changes."""
    first = anna.get("/devices")
    same = {"If-None-Match": first.headers["ETag"], "Gatepost-Poll": "1"}
    assert anna.get("/devices", headers=same).status_code == 304
    filled.synchronise([device(200)], scope=Extent.QUICK)
    assert anna.get("/devices", headers=same).status_code == 200


def test_a_refreshing_page_whose_session_ended_goes_to_the_sign_in(anna: Visitor, look: Look) -> None:
    """The whole page, not a sign-in inside a table."""
    look("DELETE FROM sessions")
    headers = {"HX-Request": "true", "HX-Current-URL": f"{anna.url}/devices?q=x"}
    answer = anna.get("/devices", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"].endswith("/?next=%2Fdevices%3Fq%3Dx")


@pytest.mark.parametrize(
    "path", ["/devices/x/y", "/devices?cursor=x", "/connection?organization=zz", "/devices?sort=x"]
)
def test_addresses_that_are_not_quite_right_are_answered_in_words(anna: Visitor, path: str) -> None:
    """Never a stack of JSON, never a failure of ours."""
    answer = anna.get(path)
    assert answer.status_code in {200, 400, 404}
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_start_asks_for_the_tenant_and_remembers_it(visitor: Visitor, service: Service) -> None:
    """First the prompt, then the tenant's own sign-in, with a session the pages."""
    assert "Which tenant do you work for?" in visitor.get("/").text
    assert visitor.get(f"/?tenant={service.slug.upper()}").headers["Location"] == f"/t/{service.slug}/"
    visitor.sign_in(service)
    assert visitor.get("/").headers["Location"] == "/connection"
    visitor.post("/sign-out", {"form_token": visitor.token()})
    assert visitor.get("/").headers["Location"] == f"/t/{service.slug}/"
