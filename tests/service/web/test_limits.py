"""What anybody on the network may try: large bodies, odd texts, guessing, hanging up. None of it is a 5xx for ever."""

import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
import requests
from fastapi import FastAPI
from starlette.types import Message

from gatepost.domain.contract import Status
from gatepost.errors import SettingsError
from gatepost.service.administrators import passwords
from gatepost.service.app import Server, create_app
from gatepost.service.database import Database
from gatepost.service.web.limits import LARGEST_BODY
from gatepost.service.web.permissions import public
from gatepost.service.web.sessions import HEADERS
from gatepost.settings import ServiceSettings
from tests.fixtures.service import SETTINGS, Service
from tests.service.speaker import Speaker
from tests.service.web.conftest import Script, Visitor

OPEN = ("/api/v1/sessions", "/language")


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_is_refused_whether_it_says_so_or_not(service: Service, path: str, announced: bool) -> None:
    """More than 64 KiB is a 413; in pieces it is counted."""

    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * (LARGEST_BODY // 4)

    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
    body = b" " * (LARGEST_BODY + 1) if announced else pieces()
    answer = requests.post(service.url + path, data=body, headers=headers, timeout=30)
    assert answer.status_code == 413
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_refusal_of_a_large_body_says_what_fits(service: Service) -> None:
    """As a problem document, like every other."""
    answer = requests.post(service.url + OPEN[0], data=b" " * (LARGEST_BODY + 1), timeout=30)
    assert answer.json()["type"] == "too-large"
    assert answer.json()["detail"] == "The body of this request may have 65,536 bytes."


def as_script(service: Service, slug: str) -> requests.Response:
    """A guess at the API."""
    body = {"tenant": slug, "name": "bob", "password": "x" * 12}
    return requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=30)


def as_browser(service: Service, slug: str) -> requests.Response:
    """A guess at the form."""
    return requests.post(f"{service.url}/t/{slug}/", data={"name": "bob", "password": "x" * 12}, timeout=30)


@pytest.mark.parametrize("guess", [as_script, as_browser])
def test_a_known_and_an_unknown_tenant_are_answered_alike(
    service: Service, guess: Callable[[Service, str], requests.Response]
) -> None:
    """Ten tries at each: the same statuses in the same order, refused without hashing after five."""

    def tries(slug: str) -> list[int]:
        return [guess(service, slug).status_code for _ in range(10)]

    expected = [401] * 5 + [429] * 5
    assert tries(service.with_administrator().slug) == expected
    assert tries(f"nobody-{uuid4().hex[:8]}") == expected
    assert guess(service, f"nobody-{uuid4().hex[:8]}").status_code == 401, "another tenant is counted by itself"


def test_one_address_may_not_try_tenant_after_tenant(service: Service, visitor: Visitor) -> None:
    """However many tenants are tried, known or not, one address has 500 failures in the window."""
    many: LiteralString = (
        "INSERT INTO sign_in_attempts (address, slug_hash, name_hash) "
        "SELECT '127.0.0.1', sha256(n::text::bytea), sha256(n::text::bytea) FROM generate_series(1, 500) AS n"
    )
    with psycopg.connect(service.urls.owner, autocommit=True) as connection:
        connection.execute(many)
        try:
            assert as_script(service, "nobody-here").status_code == 429
            assert visitor.sign_in(service).status_code == 429
        finally:
            connection.execute("DELETE FROM sign_in_attempts")


def test_only_so_many_passwords_wait_to_be_hashed(service: Service) -> None:
    """When the line is full, the next one is told when to come back, and costs nothing."""
    with ExitStack() as line:
        for _ in range(passwords.WAITING):
            line.enter_context(passwords._ROOM)
        answer = as_script(service, "nobody-in-line")
        assert (answer.status_code, answer.json()["type"]) == (503, "busy")
        assert answer.headers["Retry-After"] == "5"
    assert as_script(service, "nobody-in-line").status_code == 401


ODD = ("a\0b", "a\ud800b", "\0", "💥" * 100)


@pytest.mark.parametrize("odd", ODD)
def test_odd_text_in_a_sign_in_is_no_right_one(service: Service, odd: str) -> None:
    """NUL in any field is refused like any other guess; half of a surrogate pair is not even a text."""
    known = {"tenant": service.with_administrator().slug, "name": "anna", "password": "x" * 12}
    for field in known:
        answer = requests.post(f"{service.url}/api/v1/sessions", json={**known, field: odd}, timeout=30)
        assert answer.status_code == (400 if "\ud800" in odd else 401), answer.text


def cursor(value: object) -> str:
    """A cursor that holds this."""
    return urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


HISTORY = f"/api/v1/devices/{UUID(int=1)}/{UUID(int=2)}/history"
ODD_QUERIES = [
    ("/api/v1/devices", "state", "\0"),
    ("/api/v1/devices", "family", "a\0"),
    ("/api/v1/devices", "cursor", cursor(b"[" * 20_000)),
    ("/api/v1/devices", "cursor", cursor(["0001-01-01T00:00:00+23:59", str(UUID(int=1)), str(UUID(int=1))])),
    (HISTORY, "cursor", cursor(b"[" * 20_000)),
    (HISTORY, "cursor", cursor(["2026-01-01T00:00:00Z", 2**70])),
    (HISTORY, "cursor", cursor(["2026-01-01T00:00:00Z", float("inf")])),
]


@pytest.mark.parametrize(("path", "name", "value"), ODD_QUERIES)
def test_odd_queries_are_the_callers_mistake(script: Script, path: str, name: str, value: str) -> None:
    """NUL, deep and huge cursors: 400 or 404, never a failure of the service."""
    assert script.get(path, **{name: value}).status_code in (400, 404)


@pytest.mark.parametrize("path", ["/devices?state=%00", "/devices?q=%00a", "/devices?cursor=W1tb", "/t/%00/", "/%00"])
def test_odd_addresses_of_pages_are_answered_in_words(anna: Visitor, path: str) -> None:
    """As in the API, with a page."""
    answer = anna.get(path, headers={"Accept": "text/html"})
    assert answer.status_code in (200, 400, 404)
    assert "text/html" in answer.headers["Content-Type"]


def test_a_huge_number_in_a_history_of_a_known_device_is_refused(
    script: Script, filled: Speaker, service: Service
) -> None:
    """It reaches the database, which cannot hold it."""
    row = script.get("/api/v1/devices", limit=1).json()["devices"][0]
    path = f"/api/v1/devices/{row['organization_id']}/{row['guid']}/history"
    answer = script.get(path, cursor=cursor(["2026-01-01T00:00:00Z", 2**70]))
    assert (answer.status_code, answer.json()["type"]) == (400, "malformed")
    assert answer.json()["detail"] == "The request holds a value that cannot be kept."


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "soon"])
def test_an_impossible_time_of_the_next_synchronisation_is_left_out(
    script: Script, speaker: Speaker, when: str
) -> None:
    """What a connector says of itself never breaks the page about it."""
    speaker.say(status=Status(version="1", host="h", next_syncs={"full": when}))
    answer = script.get("/api/v1/connections")
    assert answer.status_code == 200
    assert answer.json()["connections"][0]["next_full"] is None


async def call(app: FastAPI, method: str, path: str, sent: list[Message], *received: Message) -> None:
    """One request to the finished application, past any server; ``sent`` gets what it answers."""
    messages = list(received)

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 1),
        "server": ("localhost", 80),
    }
    await app(scope, receive, send)


@pytest.mark.anyio
async def test_a_failure_of_ours_carries_the_security_headers(database: Database) -> None:
    """The answer to an unexpected error is made outside of all middleware, and is no exception."""
    app = create_app(SETTINGS, database)

    @app.get("/broken", dependencies=[public("for this test")])
    async def broken() -> None:
        raise RuntimeError("a mistake")

    sent: list[Message] = []
    with pytest.raises(RuntimeError):
        await call(app, "GET", "/broken", sent)
    start = sent[0]
    assert start["status"] == 500
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= headers.items()
    assert b"a mistake" not in sent[1]["body"]


@pytest.mark.anyio
async def test_a_client_that_hangs_up_in_its_body_is_no_error(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there to read an answer, and there is nothing for the log."""
    half: Message = {"type": "http.request", "body": b'{"ticket": ', "more_body": True}
    app = create_app(SETTINGS, database)
    with caplog.at_level(logging.WARNING):
        for path in ("/connector/v1/enrolments", "/api/v1/sessions", "/t/somebody/"):
            await call(app, "POST", path, [], dict(half), {"type": "http.disconnect"})
    assert caplog.records == []


def test_only_named_proxies_say_for_whom_they_ask(tmp_path: Path) -> None:
    """Behind a public address, and from nobody but those that the settings name."""
    behind = ServiceSettings(data=tmp_path, public_url="https://x.example", trusted_proxies=("192.0.2.0/24",))
    config = Server(FastAPI(), behind, print).config
    assert (config.proxy_headers, config.forwarded_allow_ips) == (True, ["192.0.2.0/24"])
    assert Server(FastAPI(), SETTINGS, print).config.proxy_headers is False


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://gatepost.example", "https://gatepost.example"),
        ("HTTPS://Gatepost.Example:443/", "https://gatepost.example"),
        ("https://gatepost.example.:8443", "https://gatepost.example:8443"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ],
)
def test_the_public_address_is_kept_as_browsers_name_it(tmp_path: Path, typed: str, kept: str) -> None:
    """A passkey names the origin byte for byte: capitals and a port that is said twice would refuse every one."""
    assert ServiceSettings(data=tmp_path, public_url=typed).public_url == kept


@pytest.mark.parametrize(
    "typed",
    [
        "gatepost.example", "ftp://gatepost.example", "https://", "https://gatepost.example/console",
        "https://a:b@gatepost.example", "https://gatepost.example:99999", "https://gatep\u00f6st.example",
        "https://a b", "https://gatepost.example?x", "",
    ],
)  # fmt: skip
def test_a_public_address_that_is_none_is_refused(tmp_path: Path, typed: str) -> None:
    """Before anything is started, with an example."""
    with pytest.raises(SettingsError, match=r"--public-url is not the address of a host.*gatepost\.example\.com"):
        ServiceSettings(data=tmp_path, public_url=typed)
