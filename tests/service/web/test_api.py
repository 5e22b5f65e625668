"""The API: what scripts read and ask for."""

from typing import Any

import pytest

from gatepost.domain.contract import Scope as Extent
from gatepost.service.devices.queries import Filter
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device
from tests.service.web.conftest import Library, Script


def names(answer: Any) -> set[str]:
    """The device ids of a page."""
    return {row["device_id"] for row in answer.json()["devices"]}


@pytest.mark.parametrize("sort", ["newest", "changed"])
def test_pages_hold_every_device_once(library: Library, sort: str) -> None:
    """Following next leads through all of them, whatever the order, and ends."""
    path, seen = f"/api/v1/devices?limit=7&sort={sort}", []
    while path:
        page = library.script.get(path).json()
        assert len(page["devices"]) <= 7
        assert page["total"] == 60
        seen += [row["guid"] for row in page["devices"]]
        path = page["next"]
    assert len(seen) == len(set(seen)) == 60


def test_a_change_comes_first_where_changes_are_asked_for(script: Script, filled: Speaker) -> None:
    """The order changed begins with what changed last; newest does not move."""
    newest = [row["guid"] for row in script.get("/api/v1/devices").json()["devices"]]
    filled.synchronise([device(7, model="iPhone99C1")], scope=Extent.QUICK)
    assert script.get("/api/v1/devices", sort="changed").json()["devices"][0]["device_id"] == "DEV00007"
    assert [row["guid"] for row in script.get("/api/v1/devices").json()["devices"]] == newest


def test_filters_by_state_family_and_organization(library: Library) -> None:
    """Each alone has its count from a counter; together they narrow."""
    organization = library.organization
    blocked = library.script.get("/api/v1/devices", state="Blocked", limit=200).json()
    assert blocked["total"] == len(blocked["devices"]) > 0
    assert {row["access_state"] for row in blocked["devices"]} == {"Blocked"}
    android = library.script.get("/api/v1/devices", family="android", organization=organization, limit=200).json()
    assert android["total"] == len(android["devices"]) > 0
    both = library.script.get("/api/v1/devices", state="Blocked", family="android", limit=200).json()
    assert both["total"] == len(both["devices"]) > 0
    assert {row["guid"] for row in both["devices"]} == {row["guid"] for row in blocked["devices"]} & {
        row["guid"] for row in android["devices"]
    }
    assert (
        library.script.get("/api/v1/devices", organization="1b4e28ba-2fa1-4d2b-883f-0016d3cca427").json()["devices"]
        == []
    )


@pytest.mark.parametrize(
    ("typed", "count"),
    [("anneke", 2), ("VRIES", 2), ("de vr ann", 2), ("dev00012", 1), ("werk dev00012", 1), ("zoë", 57), ("nothing", 0)],
)
def test_a_search_finds_beginnings_of_words(library: Library, typed: str, count: int) -> None:
    """Of the mailbox, the name, the device id; all words must fit; case does not matter, accents do."""
    assert len(library.script.get("/api/v1/devices", q=typed, limit=200).json()["devices"]) == count


@pytest.mark.parametrize("typed", ["%", "_", "'", "\\", "\x00", "ワ", "📱", "\ud7ff", "*" * 200])
def test_odd_signs_in_a_search_are_only_text(library: Library, typed: str) -> None:
    """No wildcard, no error."""
    assert library.script.get("/api/v1/devices", q=typed).status_code == 200


def test_pages_of_a_search_follow_each_other(library: Library) -> None:
    """The next address keeps the search."""
    first = library.script.get("/api/v1/devices", q="zoë", limit=40).json()
    second = library.script.get(first["next"]).json()
    assert "q=zo%C3%AB" in first["next"]
    assert len(second["devices"]) == 17
    assert second["next"] is None


def test_a_device_has_every_field_its_mailbox_and_its_history(script: Script, filled: Speaker) -> None:
    """Times end in Z; history has before and after, newest first, page by page."""
    for number in (1, 2):
        filled.synchronise([device(0, os=f"iOS 18.{number}")], scope=Extent.QUICK)
    path = f"/api/v1/devices/{filled.identity['organization']}/00000000-0000-0000-0000-000000000001"
    found = script.get(path).json()
    assert found["first_sync_at"] == "2026-01-02T03:04:05Z"
    assert found["mailbox"]["display_name"] == "Anneke de Vries"
    assert found["mailbox"]["allowed_ids"] == ["DEV00000", "OTHER1"]
    first = script.get(f"{path}/history", limit=1).json()
    assert first["history"][0]["changes"]["os"] == ["iOS 18.1", "iOS 18.2"]
    second = script.get(first["next"]).json()
    assert second["history"][0]["changes"]["os"][1] == "iOS 18.1"
    assert second["next"] is None


@pytest.mark.parametrize("cursor", ["x", "eA", "W10", "WyJ4IiwgMV0", "é"])
@pytest.mark.parametrize("path", ["", "/{}/00000000-0000-0000-0000-000000000001/history"])
def test_a_cursor_that_no_page_gave_is_refused(library: Library, cursor: str, path: str) -> None:
    """The answer says what to do."""
    refused = library.script.get("/api/v1/devices" + path.format(library.organization), cursor=cursor)
    assert refused.status_code == 400
    assert refused.json()["detail"] == "The cursor is not one that a page gave. Start again without it."


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"sort": "random"}, {"organization": "x"}])
def test_a_query_that_cannot_be_is_refused(library: Library, query: dict[str, Any]) -> None:
    """With the place that is wrong."""
    refused = library.script.get("/api/v1/devices", **query)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["place"] == f"query.{next(iter(query))}"


def test_a_connection_tells_what_its_connector_told(library: Library) -> None:
    """Status, counts and the last syncs."""
    (found,) = library.script.get("/api/v1/connections").json()["connections"]
    assert found["status"] == "connected"
    assert found["connector_host"] == "mail1"
    assert (found["devices"], found["mailboxes"]) == (60, 30)
    assert sum(found["states"].values()) == sum(found["families"].values()) == 60
    assert found["recent"][0]["state"] == "sealed"
    assert found["last_full"].endswith("Z")
    assert found["last_quick"] is None


def test_a_requested_sync_reaches_the_connector(script: Script, speaker: Speaker, look: Look) -> None:
    """A waiting connector is told at once; a quick request does not take the place of a full one."""
    organization = speaker.identity["organization"]
    path = f"/api/v1/connections/{organization}/sync"
    for kind, wanted in (("quick", "quick"), ("full", "full"), ("quick", "full")):
        answer = script.post(path, {"kind": kind})
        assert answer.status_code == 202
        assert answer.json() == {"sync_requested": wanted}
    assert speaker.wait().json()["sync"] == "full"
    assert len(look("SELECT 1 FROM events WHERE name = 'console:sync:requested'")) == 2


@pytest.mark.parametrize("kind", ["", "half", None, 1])
def test_another_kind_of_sync_is_refused(script: Script, speaker: Speaker, kind: object) -> None:
    """Only quick and full exist."""
    path = f"/api/v1/connections/{speaker.identity['organization']}/sync"
    assert script.post(path, {"kind": kind}).status_code == 400


def test_the_description_names_each_calls_permission(library: Library) -> None:
    """OpenAPI, with our own mark; only the API is in it."""
    described = library.script.get("/api/v1/openapi.json").json()
    assert described["paths"]["/api/v1/devices"]["get"]["x-permission"] == "devices.read"
    assert described["paths"]["/api/v1/connections/{organization}/sync"]["post"]["x-permission"] == "connections.sync"
    assert described["paths"]["/api/v1/sessions"]["post"]["x-permission"].startswith("public")
    assert all(path.startswith("/api/v1/") for path in described["paths"])


def test_a_filter_as_a_query_leaves_out_what_is_not_set() -> None:
    """Addresses stay short."""
    assert Filter().query() == ""
    assert Filter(q="é &", sort="changed").query() == "q=%C3%A9+%26&sort=changed"
