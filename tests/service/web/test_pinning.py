"""Pins for people and for scripts: the form, the states beside each other, the API, and what is refused in words."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from gatepost.domain.contract import Facts, Kind, Status
from gatepost.domain.contract import Scope as Extent
from gatepost.domain.desired import ListName, Result
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.web.conftest import Script, Visitor, open_session
from tests.service.writing import DEVICE, GUID, MAILBOX, NEITHER, START, Writer, outcome, saw, wrote

REASON = "Lost <b>in</b> the train"


def text(answer: requests.Response) -> str:
    """What a page says, without markup and line ends."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text.replace("<wbr>", ""))))


def path(writer: Writer) -> str:
    """The page of the first device."""
    return f"/devices/{writer.organization}/{GUID}"


def form(anna: Visitor, **fields: str) -> dict[str, str]:
    """The form as the page sends it."""
    return {"level": "block", "reason": REASON, "until": "", "form_token": anna.token(), **fields}


def test_a_pin_is_set_and_removed_on_the_page(anna: Visitor, writer: Writer, look: Look) -> None:
    """The page says who, why and until when; the form leads back to the list that led there."""
    before = text(anna.get(path(writer)))
    assert "Nothing was ever published for this device." in before
    assert "Pin this device" in before
    sent = anna.post(f"{path(writer)}/pin?back=q%3Dzoe", form(anna))
    assert (sent.status_code, sent.headers["Location"]) == (303, f"{path(writer)}?back=q%3Dzoe#access")
    shown = text(anna.get(path(writer)))
    assert f"Pinned Level Block Reason {REASON} Until Until it is removed By anna" in shown
    assert "Not worked on yet" in shown
    assert look("SELECT level, reason, by FROM pins") == [{"level": "block", "reason": REASON, "by": "anna"}]
    assert anna.post(f"{path(writer)}/unpin", form(anna)).status_code == 303
    shown = text(anna.get(path(writer)))
    assert "Desired Hands off The policy is switched off, so Gatepost leaves its hands off." in shown
    assert "Remove the pin" not in shown


def test_the_end_is_in_the_time_zone_of_the_person(anna: Visitor, writer: Writer, look: Look) -> None:
    """As the browser's field tells it."""
    anna.http.cookies.set("gatepost-zone", "America/New_York")
    year = datetime.now(UTC).year + 1
    assert anna.post(f"{path(writer)}/pin", form(anna, until=f"{year}-01-15T12:00")).status_code == 303
    assert look("SELECT until FROM pins") == [{"until": datetime(year, 1, 15, 17, 0, tzinfo=UTC)}]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"level": ""}, "Choose whether to allow or to block."),
        ({"level": "wipe"}, "Choose whether to allow or to block."),
        ({"reason": "  "}, "Say why, in at most 500 characters on one line."),
        ({"reason": "x" * 501}, "Say why, in at most 500 characters on one line."),
        ({"reason": "two\nlines"}, "Say why, in at most 500 characters on one line."),
        ({"until": "2020-01-01T00:00"}, "The end must be a date and time in the future, within ten years."),
        ({"until": "9999-12-31T23:59"}, "The end must be a date and time in the future, within ten years."),
        ({"until": "tomorrow"}, "The end must be a date and time in the future, within ten years."),
    ],
)
def test_a_form_that_cannot_be_says_what_is_wrong(
    anna: Visitor, writer: Writer, look: Look, fields: dict[str, str], said: str
) -> None:
    """Beside the form, which keeps what was typed; nothing is pinned."""
    refused = anna.post(f"{path(writer)}/pin", form(anna, **fields))
    assert refused.status_code == 400
    assert said in text(refused)
    kept = fields.get("reason", REASON)
    assert f'value="{html.escape(kept)}"' in refused.text or "\n" in kept
    assert look("SELECT count(*) AS n FROM pins") == [{"n": 0}]


def test_a_form_of_another_site_pins_nothing(anna: Visitor, writer: Writer, look: Look) -> None:
    """Without the session's token, or sent by another site, it is refused."""
    token = anna.token()
    for answer in (
        anna.post(f"{path(writer)}/pin", form(anna, form_token="x")),
        anna.post(f"{path(writer)}/pin", form(anna, form_token=token), headers={"Sec-Fetch-Site": "cross-site"}),
        anna.post(f"{path(writer)}/unpin", {}),
    ):
        assert answer.status_code == 403
        assert "This form could not be checked" in text(answer)
    assert look("SELECT count(*) AS n FROM pins") == [{"n": 0}]


def test_a_reader_sees_the_states_and_no_form(service: Service, writer: Writer, look: Look) -> None:
    """And may not send it either, by browser or script."""
    writer.pin()
    rita = Visitor(service.add_administrator("rita", "reader").url)
    assert rita.sign_in(service, name="rita").status_code == 303
    shown = text(rita.get(path(writer)))
    assert "Pinned Level Allow" in shown
    assert "Change the pin" not in shown
    assert "Remove the pin" not in shown
    for action in ("pin", "unpin"):
        refused = rita.post(f"{path(writer)}/{action}", form(rita))
        assert refused.status_code == 403
        assert "Your role does not allow this" in text(refused)
    body = {"tenant": service.slug, "name": "rita", "password": service.password}
    token = requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=30).json()["token"]
    address = f"{service.url}/api/v1{path(writer)}/pin"
    bearer = {"Authorization": f"Bearer {token}"}
    assert requests.get(address, headers=bearer, timeout=30).json()["level"] == "allow"
    assert requests.delete(address, headers=bearer, timeout=30).json()["type"] == "permission"
    put = requests.put(address, headers=bearer, json={"level": "block", "reason": "x"}, timeout=30)
    assert put.json()["type"] == "permission"
    assert look("SELECT level FROM pins") == [{"level": "allow"}]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mailbox_guid": None}, "Exchange shows no mailbox for it"),
        ({"client_type": "REST"}, "Outlook's cloud shows all phones of a person under this one ID"),
    ],
)
def test_where_no_pin_can_be_the_form_is_not_offered(
    anna: Visitor, writer: Writer, fields: dict[str, Any], why: str
) -> None:
    """The page says why; who sends the form all the same is told that too."""
    writer.speaker.synchronise([device(0, **fields)], scope=Extent.QUICK)
    shown = text(anna.get(path(writer)))
    assert f"This device cannot be pinned. {why}" in shown
    assert "Pin this device" not in shown
    refused = anna.post(f"{path(writer)}/pin", form(anna))
    assert refused.status_code == 409
    assert "This device cannot be pinned Its page says why." in text(refused)


def test_what_the_connector_says_stands_in_words(anna: Visitor, writer: Writer) -> None:
    """From observed over written to a conflict, with what helps."""
    writer.pin()
    writer.say(mode="observe")
    writer.say(outcome(Result.OBSERVED, writer.held, before=NEITHER), mode="observe")
    shown = text(anna.get(path(writer)))
    assert "Applied No entry of ours" in shown
    assert "The connector observes: nothing is written." in shown
    writer.say(wrote(ListName.ALLOW, writer.held, at=START + timedelta(1), controller="dc7.example.test"))
    shown = text(anna.get(path(writer)))
    assert "Applied Allowed by our entry since" in shown
    assert "dc7.example.test" in shown
    assert "nothing is written" not in shown
    writer.pin("block", number=2)
    writer.say()
    other = {"mailbox": mailbox(1)[0], "device_id": "DEV00002"}
    writer.say(saw(ListName.ALLOW, writer.held, Result.CONFLICT, why="The list holds it.", **other))
    shown = text(anna.get(f"/devices/{writer.organization}/{device(2)[0]}"))
    assert "In conflict" in shown
    assert "The mailbox's list of allowed devices names this device by somebody else's hand" in shown
    assert "The list holds it." not in shown, "the sentence above says it"
    assert "Entry in the list of allowed devices: Somebody else's, not touched" in shown


@pytest.mark.parametrize(
    ("language", "said", "asked"),
    [
        (
            "en",
            "is shown as of the last sync, at",
            "An administrator may ask for a quick sync on the page Connection .",
        ),
        ("nl", "staat hier zoals bij de laatste synchronisatie, op", "kan op de pagina Verbinding een snelle"),
    ],
)
def test_the_effective_state_says_as_of_when_it_is(
    anna: Visitor, writer: Writer, language: str, said: str, asked: str
) -> None:
    """The time of the last synchronisation, and the way to a newer one."""
    anna.http.headers["Accept-Language"] = language
    [first] = re.findall(rf"{said} ([^.]+)\.", text(anna.get(path(writer))))
    writer.speaker.synchronise([device(1)], scope=Extent.QUICK)
    page = anna.get(path(writer))
    [second] = re.findall(rf"{said} ([^.]+)\.", text(page))
    assert ":" in first
    assert ":" in second
    assert asked in text(page)
    assert "talks to Exchange. The effective" in text(page) or "met Exchange spreekt. De werkelijke" in text(page)
    assert f'href="/connection?organization={writer.organization}#quick"' in page.text


@pytest.mark.parametrize(
    ("language", "trouble", "said"),
    [
        ("en", "Refused by Exchange · Desired: Allow", "Exchange denies the connector's account this write."),
        ("nl", "Geweigerd door Exchange · Gewenst: Toestaan", "Exchange weigert het account van de connector deze"),
    ],
)
def test_a_finding_about_a_device_leads_to_it_in_the_language_of_the_person(
    anna: Visitor, writer: Writer, language: str, trouble: str, said: str
) -> None:
    """Its name and mailbox instead of Guids; only what Exchange said stays as it came."""
    writer.pin()
    writer.say()
    writer.say(outcome(Result.REFUSED, writer.held, before=NEITHER, why="No role for Set-CASMailbox."))
    anna.http.headers["Accept-Language"] = language
    page = anna.get("/connection")
    shown = text(page)
    assert f"Phone 0 · user0@example.test {trouble} {said}" in shown
    assert "No role for Set-CASMailbox. write-refused" in shown
    assert '<p class="small" lang="en"><bdi>No role for Set-CASMailbox.</bdi></p>' in page.text
    assert f'href="{path(writer)}#access">' in page.text
    assert str(MAILBOX) not in shown


def test_a_conflict_and_a_presumed_entry_are_findings_in_words(anna: Visitor, writer: Writer) -> None:
    """Which list, and what helps; a conflict of another kind keeps the connector's reason."""
    writer.pin("block")
    writer.say()
    writer.say(saw(ListName.ALLOW, writer.held, Result.CONFLICT, why="the allow list has an entry that is not ours"))
    shown = text(anna.get("/connection"))
    assert "In conflict · Desired: Block The mailbox's list of allowed devices names this device" in shown
    assert "not ours" not in shown
    odd = outcome(Result.CONFLICT, writer.held, at=START + timedelta(1), before=NEITHER, after=NEITHER, why="odd ids")
    writer.say(odd)
    shown = text(anna.get("/connection"))
    assert "contradicts what is desired, so nothing was written." in shown
    assert "odd ids list-conflict" in shown


def test_a_finding_about_something_else_stays_as_it_was_told(anna: Visitor, writer: Writer) -> None:
    """Marked as English; a subject that names no known device is shown as it is."""
    told = [
        {"code": "x", "subject": subject, "cause": f"Amiss {subject}.", "remedy": "Mend it."}
        for subject in ("mail1", "a/b", f"{MAILBOX}/GONE", f"{GUID}/{DEVICE}")
    ]
    writer.say(kind=Kind.CYCLE, facts=Facts(findings=tuple(told)))
    page = anna.get("/connection")
    for finding in told:
        assert f"{finding['cause']} Mend it. x · {finding['subject']}" in text(page)
    assert page.text.count('lang="en">') >= 2 * len(told)


def test_the_connection_shows_the_limits_that_the_connector_works_in(anna: Visitor, writer: Writer) -> None:
    """Mode, scope and ceiling, as it last said."""
    status = Status("0.1.0", "mail1", ceiling={"limit": 1000, "used": 12}, mode="observe", scope=("@a.test", "@b.test"))
    writer.say(status=status)
    shown = text(anna.get("/connection"))
    assert "Mode Observes, writes nothing Scope @a.test , @b.test Ceiling 12 of 1,000 writes" in shown
    writer.say()
    assert "Mode Enforces Scope Every mailbox Ceiling 0 of 1,000" in text(anna.get("/connection"))


def test_a_script_pins_and_reads_the_states(script: Script, writer: Writer) -> None:
    """PUT, GET and DELETE; desired, applied and effective in the device's document."""
    address = f"/api/v1{path(writer)}"
    assert script.get(address).json()["desired"] is None
    assert script.get(f"{address}/pin").json()["detail"] == "This device is not pinned."
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
    put = requests.put(
        f"{script.url}{address}/pin",
        json={"level": "allow", "reason": "the chair's", "until": until},
        headers=script.headers,
        timeout=30,
    )
    assert (put.status_code, put.json()["until"], put.json()["by"]) == (200, until, "anna")
    writer.say()
    writer.say(wrote(ListName.ALLOW, writer.held))
    found = script.get(address).json()
    assert (found["pin"]["level"], found["pin"]["reason"]) == ("allow", "the chair's")
    assert (found["desired"]["level"], found["desired"]["revision"]) == ("allow", 1)
    assert (found["applied"]["level"], found["applied"]["result"]) == ("allow", "applied")
    assert found["applied"]["entries"] == {"allow": "ours"}
    assert found["effective"] == {"state": "Allowed", "reason": "Global"}
    for expected in (204, 404):
        gone = requests.delete(f"{script.url}{address}/pin", headers=script.headers, timeout=30)
        assert gone.status_code == expected
    assert script.get(address).json()["desired"]["level"] == "leave"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"level": "wipe", "reason": "x"}, "'allow' or 'block'"),
        ({"level": "allow"}, "Field required"),
        ({"level": "allow", "reason": ""}, "Say why: the reason is kept with the pin."),
        ({"level": "allow", "reason": "x" * 501}, "The reason has at most 500 visible characters, on one line."),
        ({"level": "allow", "reason": "a\0b"}, "The reason has at most 500 visible characters, on one line."),
        ({"level": "allow", "reason": "x", "until": "2020-01-01T00:00:00Z"}, "The end must be in the future"),
        ({"level": "allow", "reason": "x", "until": "2030-01-01T00:00:00"}, "timezone"),
    ],
)
def test_a_pin_that_cannot_be_is_refused_in_words(
    script: Script, writer: Writer, look: Look, body: dict[str, str], said: str
) -> None:
    """With the place that is wrong."""
    put = requests.put(f"{script.url}/api/v1{path(writer)}/pin", json=body, headers=script.headers, timeout=30)
    assert put.status_code == 400
    assert said in put.text
    assert look("SELECT count(*) AS n FROM pins") == [{"n": 0}]


def test_a_device_that_is_not_there_cannot_be_pinned(writer: Writer, look: Look, service: Service) -> None:
    """Nor read, nor unpinned."""
    other = service.with_administrator()
    token = open_session(other).json()["token"]
    address = f"{other.url}/api/v1/devices/{GUID}/{GUID}/pin"
    for method in ("GET", "PUT", "DELETE"):
        body = {"level": "allow", "reason": "x"} if method == "PUT" else None
        answer = requests.request(method, address, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such device.")
    assert look("SELECT count(*) AS n FROM pins") == [{"n": 0}]
