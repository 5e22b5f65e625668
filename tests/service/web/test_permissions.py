"""Every route declares what it needs; roles allow what they say and nothing else."""

from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from gatepost.errors import ServiceError
from gatepost.service.app import create_app
from gatepost.service.database import Database
from gatepost.service.web import permissions
from gatepost.service.web.permissions import ROLES, Permission, permissions_of, public, requires
from tests.fixtures.service import SETTINGS, Service
from tests.service.speaker import Speaker
from tests.service.web.conftest import Visitor

TABLE = Path(__file__).parent / "routes.txt"

# What anybody may call. A new line here is a decision to write down.
PUBLIC = {
    "POST /connector/v1/enrolments",
    "GET /livez",
    "GET /readyz",
    "GET /static/{version}/{name}",
    "POST /api/v1/sessions",
    "GET /api/v1/openapi.json",
    "GET /",
    "GET /t/{slug}/",
    "POST /t/{slug}/",
    "POST /language",
    "POST /t/{slug}/passkey/ask",
    "POST /t/{slug}/passkey",
    "GET /t/{slug}/invitation",
    "POST /t/{slug}/invitation",
    "GET /help/t/{slug}",
}


@pytest.mark.anyio
async def test_every_route_declares_a_permission(database: Database) -> None:
    """The list of routes holds no blank, and the public ones are exactly these."""
    listing = permissions.listing(create_app(SETTINGS, database))
    assert all(listing.values())
    assert {name for name, declared in listing.items() if declared.startswith("public")} == PUBLIC
    for name, declared in listing.items():
        assert name in PUBLIC or " /connector/" in name or declared.removesuffix(" + step-up") in set(Permission), name


@pytest.mark.anyio
async def test_what_every_route_needs_stands_in_a_table(database: Database) -> None:
    """A new route, or another permission of one, changes the table on purpose: run ``tools/routes`` and read it."""
    assert permissions.table(create_app(SETTINGS, database)) == TABLE.read_text(encoding="utf-8")


def test_an_application_with_an_undeclared_route_does_not_start() -> None:
    """A forgotten declaration is an error that names the route."""
    app = FastAPI(openapi_url=None)

    @app.get("/open", dependencies=[public("a test")])
    async def declared() -> None: ...

    permissions.check(app)

    @app.get("/forgotten")
    async def forgotten(request: Request) -> None: ...

    with pytest.raises(ServiceError, match=r"GET /forgotten.*Give each one"):
        permissions.check(app)


def test_a_permission_that_does_not_exist_cannot_be_declared() -> None:
    """A slip of the pen is an error where it is made."""
    with pytest.raises(ValueError, match=r"devices\.raed"):
        requires("devices.raed")


def test_a_role_holds_what_the_table_says() -> None:
    """Readers read; an unknown role allows nothing."""
    assert permissions_of(["administrator"]) == set(Permission)
    assert Permission.DEVICES_READ in permissions_of(["reader"])
    assert not {Permission.CONNECTIONS_ACCEPT, Permission.DEVICES_PIN} & permissions_of(["reader"])
    assert permissions_of(["unheard-of"]) == frozenset()
    assert set(ROLES) == {"reader", "helpdesk", "operator", "policy-author", "approver", "administrator"}
    assert all(ROLES["reader"] <= held for held in ROLES.values())


def test_a_reader_sees_no_button_and_may_not_press_it(service: Service, speaker: Speaker) -> None:
    """The page offers no sync to a reader, and the service refuses the form too."""
    rita = Visitor(service.add_administrator("rita", "reader").url)
    assert rita.sign_in(service, name="rita").status_code == 303
    page = rita.get("/connection").text
    assert "Full sync" not in page.replace("Last full sync", "").replace("Next full sync", "")
    path = f"/connection/{speaker.identity['organization']}/sync"
    refused = rita.post(path, {"kind": "full", "form_token": rita.token()})
    assert refused.status_code == 403
    assert "Your role does not allow this" in refused.text
