"""The audit trail for people and scripts: who did what, when and from where, before and after."""

import csv
import io
import json
from dataclasses import replace

import pytest

from gatepost.domain.desired import ListName
from gatepost.domain.events import Event
from gatepost.service.web import happenings
from gatepost.service.web.i18n import LANGUAGES
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox
from tests.service.web.conftest import Script, Visitor, open_session
from tests.service.writing import Writer, wrote

PAGE = "/administration/audit"
POISON = "=cmd|' /C calc'!A0"


@pytest.mark.parametrize("event", Event)
def test_every_event_has_a_name_in_every_language(event: Event) -> None:
    """A new event without a name for people fails here."""
    source = happenings.EVENTS[event]
    assert all(language.text(source) for language in LANGUAGES.values())
    assert LANGUAGES["nl"].text(source) != source


@pytest.fixture
def pinned(anna: Visitor, writer: Writer) -> Visitor:
    """The administrator, after a device was pinned twice."""
    writer.pin("allow")
    writer.pin("block")
    return anna


def test_the_page_says_who_did_what_to_which_device_and_from_where(pinned: Visitor, service: Service) -> None:
    """Newest first, with the change in words, a link to the device, and the address of a sign-in."""
    html = pinned.get(PAGE).text.partition("<tbody>")[2]
    assert html.index("Level published") < html.index("Device pinned") < html.index("Signed in")
    assert "<bdi>allow</bdi> became <bdi>block</bdi>" in html
    assert 'href="/devices/' in html
    assert "<bdi>127.0.0.1</bdi>" in html
    assert "Apparaat vastgezet" in pinned.get(PAGE, headers={"Accept-Language": "nl"}).text


def test_what_a_synchronisation_says_is_in_words(anna: Visitor, filled: Speaker) -> None:
    """No name of a field is left as the program calls it."""
    html = anna.get(PAGE).text.partition("<tbody>")[2]
    assert "Part of a synchronisation taken in" in html
    assert {"part", "rows", "changed", "digest"} & happenings.FIELDS.keys() == {"part", "rows", "changed", "digest"}
    assert "<bdi>rows</bdi>" not in html


def test_events_are_found_by_actor_kind_and_day(pinned: Visitor) -> None:
    """Each filter narrows; a day on which nothing was is empty; nonsense is left out."""
    assert "Device pinned" in pinned.get(f"{PAGE}?actor=anna&event=console:pin:set").text
    assert pinned.get(f"{PAGE}?actor=nobody").text.count("<tr>") == 0
    only = pinned.get(f"{PAGE}?event=console:session:opened").text
    assert 'scope="row"' in only
    assert 'href="/devices/' not in only
    assert "No event fits" in pinned.get(f"{PAGE}?until=2001-01-01").text
    assert "Signed in" in pinned.get(f"{PAGE}?since=2001-01-01&organization=x&event=none").text
    assert pinned.get(f"{PAGE}?since=9999-12-31").status_code == 400
    assert pinned.get(f"{PAGE}?cursor=x").status_code == 400


def test_a_long_trail_comes_in_pages_that_leave_nothing_out(anna: Visitor, service: Service, look: Look) -> None:
    """Also where many events have one moment; script and page say the same."""
    add(look, service, 120)
    page, seen = f"{PAGE}?actor=many", 0
    for _ in range(3):
        html = anna.get(page).text
        seen += html.count('scope="row"')
        page = html.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert (seen, page) == (120, "")


def add(look: Look, service: Service, count: int, actor: str = "many") -> None:
    """Events behind everybody's back, all of one moment."""
    look(
        "INSERT INTO events (tenant_id, name, actor, body, body_hash) "
        "SELECT %s, 'console:pin:set', %s, jsonb_build_object('n', n), '' FROM generate_series(1, %s) AS n",
        service.tenant_id,
        actor,
        count,
    )


def test_a_script_reads_the_trail_in_pages(script: Script, service: Service, look: Look) -> None:
    """With the next page's address, until there is none."""
    add(look, service, 7)
    answer = script.get("/api/v1/events", actor="many", limit=5).json()
    following = script.get(answer["next"]).json()
    told = [event["body"]["n"] for event in (*answer["events"], *following["events"])]
    assert (sorted(told), following["next"]) == (list(range(1, 8)), None)
    assert set(answer["events"][0]) == {
        "event_id", "seq", "at", "name", "actor", "address", "organization_id", "body"
    }  # fmt: skip
    assert script.get("/api/v1/events", cursor="x").status_code == 400


def test_the_files_hold_all_that_fits_and_no_formula(anna: Visitor, service: Service, look: Look) -> None:
    """CSV that a spreadsheet does not run; JSON lines with the whole body."""
    add(look, service, 60)
    add(look, service, 1, POISON)
    answer = anna.get(f"{PAGE}/export?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert sum(row["actor"] == "many" for row in rows) == 60
    assert [row["actor"] for row in rows if "calc" in row["actor"]] == ["'" + POISON]
    lines = anna.get(f"{PAGE}/export?format=json&actor=many").text.splitlines()
    assert {json.loads(line)["body"]["n"] for line in lines} == set(range(1, 61))


def test_only_who_may_reads_the_trail(service: Service, visitor: Visitor) -> None:
    """A reader of devices does not."""
    service.add_administrator("rita", "reader")
    visitor.sign_in(service, name="rita")
    for path in (PAGE, f"{PAGE}/export"):
        assert visitor.get(path).status_code == 403
    token = open_session(replace(service, administrator="rita")).json()["token"]
    assert Script(service.url, token).get("/api/v1/events").status_code == 403


def test_what_somebody_else_wrote_is_shown_as_text(anna: Visitor, service: Service, look: Look) -> None:
    """Markup and control characters in an actor or a body do nothing."""
    add(look, service, 1, "<script>alert(1)</script>\x07")
    html = anna.get(PAGE).text
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "␇" in html


def test_every_entry_that_is_written_says_how_the_lists_were_before_and_after(
    anna: Visitor, writer: Writer, look: Look
) -> None:
    """The trail answers what a write changed."""
    writer.say()
    writer.pin("allow")
    writer.say()
    writer.say(wrote(ListName.ALLOW, writer.held))
    [row] = look("SELECT body FROM events WHERE name = 'connector:entry:written'")
    assert row["body"]["before"] != row["body"]["after"]
    assert "Entry written to a mailbox" in anna.get(PAGE).text


def test_the_actor_of_a_connectors_event_is_found_by_its_id(anna: Visitor, speaker: Speaker) -> None:
    """What a connector did is asked for by its id."""
    speaker.synchronise([device(0)], [mailbox(0)])
    html = anna.get(f"{PAGE}?actor={speaker.identity['connector']}").text
    assert "Synchronisation done" in html
    assert "Signed in" not in html.partition("<tbody>")[2]
