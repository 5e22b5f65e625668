"""Fixtures of the web's tests: an administrator who signed in, as a script and as a browser would."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import psycopg
import pytest
import requests

from tests.fixtures.database import Urls
from tests.fixtures.service import Replica, Service, new_tenant
from tests.service.speaker import Speaker, device, mailbox


class _Form(HTMLParser):
    """Finds the form token of a page."""

    token = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "input" and values.get("name") == "form_token":
            self.token = values.get("value") or ""


def form_token(html: str) -> str:
    """The form token that a page carries."""
    parser = _Form()
    parser.feed(html)
    return parser.token


@dataclass
class Visitor:
    """A browser without a screen: keeps cookies, follows nothing by itself."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Ask for a page."""
        return self.http.get(self.url + path, allow_redirects=False, timeout=30, **options)

    def post(self, path: str, data: dict[str, str] | None = None, **options: Any) -> requests.Response:
        """Send a form."""
        return self.http.post(self.url + path, data=data or {}, allow_redirects=False, timeout=30, **options)

    def sign_in(self, service: Service, **form: str) -> requests.Response:
        """Send the sign-in form."""
        known = {"name": service.administrator, "password": service.password}
        return self.post(f"/t/{service.slug}/", {**known, **form})

    def token(self) -> str:
        """The form token of the signed-in pages."""
        return form_token(self.get("/connection").text)


@pytest.fixture
def administered(service: Service) -> Service:
    """The test's tenant with its administrator, anna."""
    return service.with_administrator()


@pytest.fixture
def visitor(administered: Service) -> Visitor:
    """Somebody who has not signed in."""
    return Visitor(administered.url)


@pytest.fixture
def anna(visitor: Visitor, service: Service) -> Visitor:
    """The administrator, signed in."""
    assert visitor.sign_in(service).status_code == 303
    return visitor


@dataclass
class Script:
    """A script with a token."""

    url: str
    token: str

    def get(self, path: str, **query: object) -> requests.Response:
        """Read."""
        return requests.get(self.url + path, params=query, headers=self.headers, timeout=30)  # type: ignore[arg-type]

    def post(self, path: str, body: object) -> requests.Response:
        """Ask for something."""
        return requests.post(self.url + path, json=body, headers=self.headers, timeout=30)

    @property
    def headers(self) -> dict[str, str]:
        """The bearer."""
        return {"Authorization": f"Bearer {self.token}"}


def open_session(service: Service) -> requests.Response:
    """Sign in as a script."""
    body = {"tenant": service.slug, "name": service.administrator, "password": service.password}
    return requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=30)


@pytest.fixture
def script(administered: Service) -> Script:
    """A script that signed in."""
    return Script(administered.url, open_session(administered).json()["token"])


STATES = ("Allowed", "Allowed", "Quarantined", "Blocked")


def fill(speaker: Speaker) -> Speaker:
    """Synchronise 60 devices: two families, three states, names of the world, one poisonous."""
    rows = [
        device(
            number,
            friendly_name=f"Telefoon {number} ワ📱" if number % 2 else f"Werk {number}",
            access_state=STATES[number % 4],
            **({"device_type": "Android", "os": "Android 15", "user_agent": None} if number % 3 else {}),
        )
        for number in range(60)
    ]
    rows[1] = device(1, friendly_name="<script>alert('x')</script> \x07bell", device_id="A" * 64, model="<b>bold</b>")
    rows[3] = device(3, friendly_name="Supercalifragilistic" * 8, mailbox_guid=None)
    boxes = [mailbox(number, display_name=f"Zoë {number}") for number in range(30)]
    boxes[0] = mailbox(0, display_name="Anneke de Vries", allowed_ids=["DEV00000", "OTHER1"], blocked_ids=["OTHER2"])
    speaker.synchronise(rows, boxes)
    return speaker


@pytest.fixture
def filled(speaker: Speaker) -> Speaker:
    """A connector that has synchronised its devices."""
    return fill(speaker)


@dataclass(frozen=True)
class Library:
    """A tenant with devices that tests only read; made once a test process."""

    service: Service
    script: Script
    organization: str


@pytest.fixture(scope="session")
def library(replica: Replica, shared_urls: Urls) -> Library:
    """The tenant that is only read."""
    service = new_tenant(replica, shared_urls, "library").with_administrator()
    speaker = Speaker(service.url)
    assert speaker.enrol(service.ticket()).status_code == 200
    fill(speaker)
    with psycopg.connect(shared_urls.superuser) as connection:  # nobody renews its lease while tests read
        connection.execute(
            "UPDATE checkins SET lease_until = now() + interval '1 hour' WHERE tenant_id = %s", [service.tenant_id]
        )
    return Library(
        service, Script(service.url, open_session(service).json()["token"]), speaker.identity["organization"]
    )
