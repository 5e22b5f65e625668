"""Every route there is, walked over HTTP: by each role, by nobody, by another site; and what every answer carries."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import requests

from gatepost.service.web.sessions import HEADERS
from tests.fixtures.database import Urls
from tests.fixtures.service import Replica, Service, new_tenant
from tests.service.web.conftest import Visitor, form_token

# What the guide says that each role may (docs/administrators-guide.md, Administrators).
READER = {
    "connections.read", "devices.read", "policies.read", "holds.read", "directory.read", "compliance.read",
    "entries.read", "notices.read", "account.own", "session.end",
}  # fmt: skip
MAY = {
    "reader": READER,
    "helpdesk": READER | {"connections.sync"},
    "operator": READER
    | {"connections.sync", "connections.accept", "connections.stop", "devices.pin", "alerts.manage", "audit.read"}
    | {"directory.write", "compliance.write", "entries.adopt"},
    "policy-author": READER | {"policies.write", "notices.manage", "audit.read"},
    "approver": READER | {"approvals.decide", "audit.read"},
}
EVERYTHING = "administrator"


@dataclass(frozen=True)
class Route:
    """One line of the table."""

    method: str
    path: str
    needs: str

    @property
    def permission(self) -> str:
        """The permission that a person needs; empty where the route is not for people with a session."""
        permission = self.needs.removesuffix(" + step-up")
        return "" if permission.startswith(("public", "connector")) else permission

    @property
    def proves(self) -> bool:
        """Whether a proof of who it is must be fresh."""
        return self.needs.endswith(" + step-up")

    @property
    def is_page(self) -> bool:
        """Whether it is for browsers."""
        return not self.path.startswith(("/api/", "/connector/"))

    def address(self, slug: str) -> str:
        """An address of it, of things that do not exist."""
        parts = self.path.replace("{slug}", slug).split("/")
        return "/".join(str(uuid4()) if part.startswith("{") else part for part in parts)


def _read(line: str) -> Route:
    name, needs = line.split(" -> ")
    method, path = name.split()
    return Route(method, path, needs)


ROUTES = [_read(line) for line in Path(__file__).with_name("routes.txt").read_text("utf-8").splitlines()]
FOR_PEOPLE = [route for route in ROUTES if route.permission]


class Person(Visitor):
    """Somebody with a role, signed in with the browser and with a script."""

    def __init__(self, service: Service, name: str) -> None:
        super().__init__(service.url)
        self.service = service
        assert self.sign_in(service, name=name).status_code == 303
        self.form_token = form_token(self.get("/account").text)
        body = {"tenant": service.slug, "name": name, "password": service.password}
        self.script = requests.Session()
        token = self.script.post(f"{service.url}/api/v1/sessions", json=body, timeout=30).json()["token"]
        self.script.headers["Authorization"] = f"Bearer {token}"

    def ask(self, route: Route, **headers: str) -> requests.Response:
        """Send a request to a route, with all that it takes to be let in."""
        address = route.address(self.service.slug)
        if route.is_page:
            data = {"form_token": self.form_token} if route.method == "POST" else None
            return self.send(route, address, data, {"Accept": "text/html", **headers})
        return self.script.request(route.method, self.url + address, json={}, headers=headers, timeout=30)

    def send(
        self, route: Route, address: str, data: dict[str, str] | None, headers: dict[str, str]
    ) -> requests.Response:
        """Send what a browser would."""
        url = self.url + address
        return self.http.request(route.method, url, data=data, headers=headers, allow_redirects=False, timeout=30)


@pytest.fixture(scope="module")
def tenant(replica: Replica, shared_urls: Urls) -> Service:
    """A tenant with somebody of each role."""
    service = new_tenant(replica, shared_urls, "routes")
    for role in (*MAY, EVERYTHING):
        service.add_administrator(role, role)
    return service


def let_proofs_grow_old(tenant: Service) -> None:
    """The last proof of everybody was six minutes ago."""
    with psycopg.connect(tenant.urls.superuser) as connection:
        connection.execute(
            "UPDATE sessions SET step_up_at = now() - interval '6 minutes' WHERE tenant_id = %s", [tenant.tenant_id]
        )


def came_of(answer: requests.Response, route: Route) -> str:
    """What a route made of a request: ``permission``, ``step-up``, ``session``, ``forgery``, or that it let it in."""
    if route.is_page:
        led = answer.headers.get("Location", "")
        words = {"Your role does not allow this": "permission", "This form could not be checked": "forgery"}
        found = [kind for text, kind in words.items() if answer.status_code == 403 and text in answer.text]
        if answer.status_code == 303:
            path = led.partition("?")[0]
            found += [{"/step-up": "step-up", "/": "session"}.get(path, "session" if path.startswith("/t/") else "")]
        return next(filter(None, found), "let in")
    kind = answer.json().get("type", "") if "json" in answer.headers.get("Content-Type", "") else ""
    return kind if kind in {"permission", "step-up", "session"} else "let in"


def carries_the_headers(answer: requests.Response) -> bool:
    """Whether the security headers are there and nothing is stored."""
    return answer.headers["Cache-Control"] == "no-store" and all(
        answer.headers[name] == HEADERS[name] for name in HEADERS
    )


@pytest.mark.parametrize("role", [*MAY, EVERYTHING])
def test_each_role_can_do_exactly_what_the_guide_says(tenant: Service, role: str) -> None:
    """On every route: refused without the permission, asked for a proof where that is needed, else let in."""
    person = Person(tenant, role)
    let_proofs_grow_old(tenant)
    for route in sorted(FOR_PEOPLE, key=lambda each: "session" in each.path or "sign-out" in each.path):
        allowed = role == EVERYTHING or route.permission in MAY[role]
        answer = person.ask(route)
        expected = "permission" if not allowed else "step-up" if route.proves else "let in"
        if route.permission != "session.end":
            assert came_of(answer, route) == expected, (role, route, answer.status_code)
        assert answer.status_code != 500, route
        assert carries_the_headers(answer), route


def test_nobody_is_let_in_without_a_session(tenant: Service) -> None:
    """Pages lead to the sign-in, scripts are told; a made-up session is as good as none."""
    forged = f"{tenant.tenant_id}.{uuid4()}.{'x' * 43}"
    nobody = Visitor(tenant.url)
    headers = {"Accept": "text/html", "Authorization": f"Bearer {forged}", "Cookie": f"gatepost={forged}"}
    for route in FOR_PEOPLE:
        for sent in (headers, {"Accept": "text/html"}):
            answer = nobody.http.request(
                route.method, nobody.url + route.address(tenant.slug), json={}, headers=sent, allow_redirects=False
            )
            assert came_of(answer, route) == "session", (route, answer.status_code)
            assert carries_the_headers(answer), route


def test_no_form_of_another_site_does_anything(tenant: Service) -> None:
    """Whatever posts: refused without the page's form token, and with it where the browser says who really sent it."""
    person = Person(tenant, EVERYTHING)
    posts = [route for route in ROUTES if route.is_page and route.method != "GET"]
    assert {route.method for route in posts} == {"POST"}
    others = ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"})
    for number, route in enumerate(posts):
        headers = others[number % len(others)]
        assert came_of(person.ask(route, **headers), route) == "forgery", (route, headers)
        if route.permission:
            page = {"Accept": "text/html"}
            bare = person.send(route, route.address(tenant.slug), {"form_token": "x" * 43}, page)
            assert came_of(bare, route) == "forgery", route


def test_reading_changes_nothing(tenant: Service) -> None:
    """No page or answer that a link can open is more than reading: with a session of everything, the rows stay."""
    person = Person(tenant, EVERYTHING)
    count = "SELECT (SELECT count(*) FROM events WHERE tenant_id = %s), (SELECT count(*) FROM sessions)"
    with psycopg.connect(tenant.urls.superuser, autocommit=True) as connection:
        before = connection.execute(count, [tenant.tenant_id]).fetchone()
        for route in FOR_PEOPLE:
            if route.method == "GET":
                assert carries_the_headers(person.ask(route)), route
        assert connection.execute(count, [tenant.tenant_id]).fetchone() == before
