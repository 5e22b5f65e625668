"""Administrators among each other: invitations, roles, keeping out, and the proof that is asked for again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import pytest
import requests

from gatepost.service.administrators.approving import Refusal, may_approve
from gatepost.service.administrators.sessions import Token
from gatepost.service.database import Database
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.web.authenticator import Authenticator, asked
from tests.service.web.conftest import Library, Script, Visitor, form_token

HERE = "/administration/administrators"
NEW = "another horse battery"
STALE = "UPDATE sessions SET step_up_at = now() - interval '301 seconds'"


def send(visitor: Visitor, path: str, **form: Any) -> requests.Response:
    """Send a form of the signed-in pages."""
    token = form_token(visitor.get("/account").text)
    return visitor.post(path, {"form_token": token, **form})


def identity(look: Look, name: str) -> UUID:
    """The id of an administrator."""
    found: UUID = look("SELECT administrator_id FROM administrators WHERE name = %s", name)[0]["administrator_id"]
    return found


def code_of(answer: requests.Response) -> str:
    """The code in the invitation that a page shows."""
    assert answer.status_code == 200, answer.text
    address = answer.text.split('value="http')[1].split('"')[0]
    return unquote(urlsplit(f"http{address}").fragment)


def accept(service: Service, code: str, password: str = NEW) -> tuple[Visitor, requests.Response]:
    """Use an invitation, in a browser of its own."""
    visitor = Visitor(service.url)
    form = {"code": code, "password": password, "again": password}
    return visitor, visitor.post(f"/t/{service.slug}/invitation", form)


def bodies(look: Look, name: str) -> list[dict[str, Any]]:
    """What the events of a name say."""
    return [row["body"] for row in look("SELECT body FROM events WHERE name = %s ORDER BY at", name)]


# Invitations ---------------------------------------------------------------------------------------------------------


def test_an_invitation_lets_a_person_set_a_password_once(anna: Visitor, service: Service, look: Look) -> None:
    """Its code is shown once, stands in no address that is sent, works once, and is kept as a hash only."""
    answer = send(anna, HERE, name="bob", roles=["helpdesk", "approver"])
    code = code_of(answer)
    assert f"/t/{service.slug}/invitation#" in answer.text
    assert code not in str(look("SELECT * FROM invitations")) + str(look("SELECT body FROM events"))
    assert "Invited" in anna.get(HERE).text
    bob, first = accept(service, code)
    assert first.headers["Location"] == "/account"
    assert "Help desk, Approver" in bob.get("/account").text
    _, again = accept(service, code)
    assert again.status_code == 401
    assert "This invitation is not right, was used already, or is older than 24 hours." in again.text
    assert Visitor(service.url).sign_in(service, name="bob", password=NEW).status_code == 303
    assert bodies(look, "console:administrator:added")[0]["after"] == {"roles": ["helpdesk", "approver"]}
    assert bodies(look, "console:invitation:used") == [{"made_by": "anna"}]


def test_an_invitation_is_not_used_up_by_a_password_that_cannot_be(anna: Visitor, service: Service, look: Look) -> None:
    """Too short, or not the same twice: said in words, and the code stays good, until its time is over."""
    code = code_of(send(anna, HERE, name="bob", roles=["reader"]))
    assert "The password must have 12 to 1,024 characters." in accept(service, code, "short")[1].text
    form = {"code": code, "password": NEW, "again": f"{NEW}x"}
    assert (
        "The two passwords are not the same." in Visitor(service.url).post(f"/t/{service.slug}/invitation", form).text
    )
    look("UPDATE invitations SET expires_at = now() - interval '1 second'")
    assert accept(service, code)[1].status_code == 401
    assert "Invitation ran out" in anna.get(HERE).text


def test_guessing_codes_is_slowed_and_hinders_no_sign_in(anna: Visitor, service: Service) -> None:
    """Five wrong codes, then a pause; who signs in from the same address is not slowed."""
    for _ in range(5):
        assert accept(service, "guess")[1].status_code == 401
    assert accept(service, "guess")[1].status_code == 429
    assert Visitor(service.url).sign_in(service).status_code == 303
    nowhere = {"code": "guess", "password": NEW, "again": NEW}
    assert anna.post("/t/nowhere/invitation", nowhere).status_code == 401


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "roles": ["reader"]}, "A name has 1 to 200 visible characters."),
        ({"name": "ANNA", "roles": ["reader"]}, "There is an administrator with this name already."),
        ({"name": "bob", "roles": []}, "Choose at least one role."),
        ({"name": "bob", "roles": ["emperor"]}, "Choose at least one role."),
    ],
)
def test_what_cannot_be_an_administrator_is_said(anna: Visitor, look: Look, form: dict[str, Any], words: str) -> None:
    """The form comes back with one sentence, and nobody was made."""
    refused = send(anna, HERE, **form)
    assert refused.status_code in {400, 409}
    assert words in refused.text
    assert len(look("SELECT 1 FROM administrators")) == 1


# Roles and keeping out -----------------------------------------------------------------------------------------------


@pytest.fixture
def bob(anna: Visitor, service: Service) -> Visitor:
    """A reader, signed in."""
    visitor = Visitor(service.add_administrator("bob", "reader").url)
    assert visitor.sign_in(service, name="bob").status_code == 303
    return visitor


def test_other_roles_end_the_sessions_and_begin_the_cool_down(anna: Visitor, bob: Visitor, look: Look) -> None:
    """Whoever is allowed more signs in anew; whoever is allowed less, too; only more counts as a promotion."""
    path = f"{HERE}/{identity(look, 'bob')}"
    assert send(anna, f"{path}/roles", roles=["reader", "approver"]).status_code == 303
    assert bob.get("/account").status_code == 303
    promoted = look("SELECT promoted_at FROM administrators WHERE name = 'bob'")[0]["promoted_at"]
    assert promoted is not None
    assert send(anna, f"{path}/roles", roles=["reader"]).status_code == 303
    assert look("SELECT promoted_at FROM administrators WHERE name = 'bob'")[0]["promoted_at"] == promoted
    assert bodies(look, "console:administrator:roles-changed")[0] == {
        "name": "bob",
        "before": {"roles": ["reader"]},
        "after": {"roles": ["reader", "approver"]},
    }


def test_a_disabled_administrator_is_out_until_enabled(
    anna: Visitor, bob: Visitor, service: Service, look: Look
) -> None:
    """At once, with every session; a reset needs the account enabled."""
    path = f"{HERE}/{identity(look, 'bob')}"
    assert send(anna, f"{path}/disable").status_code == 303
    assert bob.get("/account").status_code == 303
    assert bob.sign_in(service, name="bob").status_code == 401
    assert "This administrator is disabled. Enable the account first." in send(anna, f"{path}/reset").text
    assert send(anna, f"{path}/enable").status_code == 303
    assert bob.sign_in(service, name="bob").status_code == 303
    assert send(anna, f"{path}/sessions/end").status_code == 303
    assert bob.get("/account").status_code == 303


def test_a_reset_takes_password_and_sessions_and_invites_anew(
    anna: Visitor, bob: Visitor, service: Service, look: Look
) -> None:
    """The old password is worth nothing from then on, and the person cannot approve for a day."""
    code = code_of(send(anna, f"{HERE}/{identity(look, 'bob')}/reset"))
    assert bob.get("/account").status_code == 303
    assert bob.sign_in(service, name="bob").status_code == 401
    assert look("SELECT promoted_at FROM administrators WHERE name = 'bob'")[0]["promoted_at"] is not None
    assert accept(service, code)[1].status_code == 303


def test_nobody_changes_their_own_account_here_and_the_last_one_stays(
    anna: Visitor, service: Service, look: Look
) -> None:
    """Not one's own roles; and where the others cannot sign in, the last tenant administrator stays as it is."""
    own = f"{HERE}/{identity(look, 'anna')}"
    for action in ("roles", "disable", "enable", "reset", "sessions/end"):
        refused = send(anna, f"{own}/{action}", roles=["reader"])
        assert refused.status_code == 409
        assert "Nobody changes this of their own account." in refused.text
    service.add_administrator("carl", "administrator")
    carl = f"{HERE}/{identity(look, 'carl')}"
    look("UPDATE administrators SET password_hash = NULL WHERE name = 'anna'")
    for action in ("roles", "disable", "reset"):
        refused = send(anna, f"{carl}/{action}", roles=["reader"])
        assert refused.status_code == 409
        assert "This is the last tenant administrator who can sign in" in refused.text


def test_who_may_not_administer_is_refused_everything(bob: Visitor, look: Look) -> None:
    """A reader sees neither the page nor a colleague, and changes nothing."""
    path = f"{HERE}/{identity(look, 'anna')}"
    assert bob.get(HERE).status_code == 403
    assert bob.get(path).status_code == 403
    for action in ("/roles", "/disable", "/reset"):
        assert send(bob, f"{path}{action}", roles=["reader"]).status_code == 403
    assert send(bob, HERE, name="eve", roles=["administrator"]).status_code == 403
    assert len(look("SELECT 1 FROM administrators WHERE disabled_at IS NULL")) == 2


def test_an_administrator_of_another_tenant_is_not_found(anna: Visitor, library: Library, look: Look) -> None:
    """Its id is of no use here."""
    session = Token.read(library.script.token)
    assert session is not None
    assert send(anna, f"{HERE}/{uuid4()}/disable").status_code == 404
    assert send(anna, f"/account/sessions/{session.session_id}/end").status_code == 303
    assert library.script.get("/api/v1/devices").status_code == 200


# The rule for passkeys -----------------------------------------------------------------------------------------------


def test_a_tenant_may_require_passkeys_of_everybody(service: Service, bob: Visitor, look: Look) -> None:
    """Who has none is led to add one and can do nothing else, also by a script; then everything is as before."""
    url = service.url.replace("127.0.0.1", "localhost")
    anna = Visitor(url)
    anna.sign_in(service)
    assert send(anna, f"{HERE}/passkeys", required="yes").status_code == 303
    assert bob.get("/devices").headers["Location"] == "/account"
    assert "Your organization requires a passkey of every administrator." in bob.get("/account").text
    token = requests.post(
        f"{url}/api/v1/sessions",
        json={"tenant": service.slug, "name": "bob", "password": service.password},
        timeout=30,
    ).json()["token"]
    refused = Script(url, token).get("/api/v1/devices")
    assert refused.status_code == 403
    assert refused.json()["type"] == "passkey-needed"
    passkey = Authenticator(url)
    answer = passkey.create(asked(send(anna, "/account/passkeys", name="Laptop").text))
    assert send(anna, "/account/passkeys/register", name="Laptop", credential=answer).status_code == 303
    assert anna.get("/devices").status_code == 200
    assert (
        "You could not sign in any more without this."
        in send(anna, f"/account/passkeys/{look('SELECT passkey_id FROM passkeys')[0]['passkey_id']}/remove").text
    )
    assert bodies(look, "console:sign-in:rules-changed") == [
        {"before": {"passkeys_required": False}, "after": {"passkeys_required": True}}
    ]


# The proof that is asked for again -----------------------------------------------------------------------------------


def test_what_is_dangerous_asks_again_who_it_is_and_leads_back(anna: Visitor, service: Service, look: Look) -> None:
    """Five minutes after the last proof; the right password leads back under a new token, and the old one is dead."""
    look(STALE)
    led = anna.post(HERE, {"form_token": anna.token(), "name": "bob"}, headers={"Referer": f"{service.url}{HERE}?x=1"})
    assert led.status_code == 303
    assert led.headers["Location"] == f"/step-up?next={HERE.replace('/', '%2F')}%3Fx%3D1"
    before = anna.http.cookies["gatepost"]
    wrong = send(anna, "/step-up", password="wrong", next=HERE)
    assert wrong.status_code == 401
    assert "The password is not right." in wrong.text
    assert send(anna, "/step-up", password=service.password, next="//evil.example").headers["Location"] == "/connection"
    assert anna.http.cookies["gatepost"] != before
    old = requests.get(
        f"{service.url}/account", headers={"Cookie": f"gatepost={before}"}, allow_redirects=False, timeout=30
    )
    assert old.status_code == 303
    assert code_of(send(anna, HERE, name="bob", roles=["reader"]))
    assert bodies(look, "console:session:stepped-up") == [{"factors": "password"}]


def test_a_part_of_a_page_leads_the_whole_page_to_the_proof(anna: Visitor, service: Service, look: Look) -> None:
    """A request of a script inside a page is answered with where the browser shall go."""
    look(STALE)
    headers = {"HX-Request": "true", "HX-Current-URL": f"{service.url}{HERE}"}
    led = anna.post(HERE, {"form_token": anna.token()}, headers=headers)
    assert led.status_code == 204
    assert led.headers["HX-Redirect"] == f"/step-up?next={HERE.replace('/', '%2F')}"


def test_guessing_the_password_of_an_open_session_is_slowed(anna: Visitor, service: Service, look: Look) -> None:
    """An unattended screen is no place to try passwords; the colleague at the same address confirms as ever."""
    for _ in range(5):
        assert send(anna, "/step-up", password="wrong").status_code == 401
    slowed = send(anna, "/step-up", password=service.password)
    assert slowed.status_code == 429
    assert int(slowed.headers["Retry-After"]) <= 15
    colleague = Visitor(service.add_administrator("bob", "reader").url)
    assert colleague.sign_in(service, name="bob").status_code == 303
    assert send(colleague, "/step-up", password=service.password).status_code == 303


# One's own account ---------------------------------------------------------------------------------------------------


def test_another_password_ends_the_other_sessions(anna: Visitor, service: Service, script: Script, look: Look) -> None:
    """This one goes on; short ones and slips of the pen are said."""
    assert "not the same" in send(anna, "/account/password", password=NEW, again="x").text
    assert "12 to 1,024 characters" in send(anna, "/account/password", password="short", again="short").text
    assert send(anna, "/account/password", password=NEW, again=NEW).status_code == 303
    assert anna.get("/account").status_code == 200
    assert script.get("/api/v1/devices").status_code == 401
    assert Visitor(service.url).sign_in(service, password=NEW).status_code == 303
    assert bodies(look, "console:password:changed") == [{"after": "another password"}]


def test_sessions_are_shown_with_their_address_and_can_be_ended(anna: Visitor, script: Script, look: Look) -> None:
    """One by one, or all others at once."""
    page = anna.get("/account").text
    assert page.count("127.0.0.1") >= 2
    own = Token.read(anna.http.cookies["gatepost"])
    assert own is not None
    other = look("SELECT session_id FROM sessions WHERE session_id <> %s", own.session_id)[0]["session_id"]
    assert send(anna, f"/account/sessions/{other}/end").status_code == 303
    assert script.get("/api/v1/devices").status_code == 401
    assert send(anna, "/account/sessions/end").status_code == 303
    assert anna.get("/account").status_code == 200


# Forged sessions -----------------------------------------------------------------------------------------------------


def test_a_forged_session_opens_nothing(anna: Visitor, service: Service, library: Library, look: Look) -> None:
    """Another secret, another tenant's session under ours and ours under theirs, cut off, or somebody disabled."""
    own, other = Token.read(anna.http.cookies["gatepost"]), Token.read(library.script.token)
    assert own is not None
    assert other is not None
    forged = [
        Token(own.tenant_id, own.session_id, other.secret),
        Token(own.tenant_id, other.session_id, other.secret),
        Token(other.tenant_id, own.session_id, own.secret),
        Token(own.tenant_id, uuid4(), own.secret),
        Token(own.tenant_id, own.session_id, own.secret[:-1]),
        Token(own.tenant_id, own.session_id, ""),
    ]

    def status(token: Token) -> int:
        cookie = {"Cookie": f"gatepost={token}"}
        return requests.get(f"{service.url}/account", headers=cookie, allow_redirects=False, timeout=30).status_code

    assert status(own) == 200
    assert {status(token) for token in forged} == {303}
    look("UPDATE administrators SET disabled_at = now()")
    assert status(own) == 303


# Who may approve -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_who_may_approve(service: Service, database: Database, shared_urls: Any) -> None:
    """Not the requester, nobody new, nobody without the role; alone, the same person after a day with a passkey."""
    long_ago, just_now = datetime.now(UTC) - timedelta(days=2), datetime.now(UTC)
    add = (
        "INSERT INTO administrators (administrator_id, name, password_hash, roles, made_at, promoted_at) "
        "VALUES (%s, %s, 'x', %s, %s, %s)"
    )
    anna, bob, carl, dora = (uuid4() for _ in range(4))
    people = (
        (anna, "anna", ["administrator"], long_ago, None),
        (bob, "bob", ["approver"], long_ago, None),
        (carl, "carl", ["approver"], long_ago, just_now),
        (dora, "dora", ["reader"], long_ago, None),
    )
    async with await Database.open(shared_urls.app) as kept, kept.tenant(service.tenant_id) as scope:
        for person in people:
            await scope.connection.execute(add.encode(), person)
        assert await may_approve(scope, bob, anna) is None
        assert await may_approve(scope, anna, anna) is Refusal.REQUESTER
        assert await may_approve(scope, carl, anna) is Refusal.NEW
        assert await may_approve(scope, dora, anna) is Refusal.NO_APPROVER
        assert await may_approve(scope, uuid4(), anna) is Refusal.NO_APPROVER
        await scope.connection.execute(b"UPDATE administrators SET disabled_at = now() WHERE name IN ('bob', 'carl')")
        assert await may_approve(scope, anna, anna) is Refusal.TOO_SOON
        assert await may_approve(scope, anna, anna, requested_at=just_now) is Refusal.TOO_SOON
        assert await may_approve(scope, anna, anna, requested_at=long_ago) is Refusal.NO_FRESH_PASSKEY
        assert await may_approve(scope, anna, anna, requested_at=long_ago, fresh_passkey=True) is None
