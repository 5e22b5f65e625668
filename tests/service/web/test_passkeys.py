"""Passkeys: registered, used and removed; and every way in which one must not count."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.web.authenticator import PRESENT, Authenticator, asked
from tests.service.web.conftest import Library, Visitor, form_token, open_session

REFUSED = "This passkey was not accepted, or it took too long. Try again."


@dataclass
class Person:
    """Somebody at a browser whose address has a name, with a passkey."""

    visitor: Visitor
    service: Service
    name: str
    passkey: Authenticator

    def send(self, path: str, **form: str) -> requests.Response:
        """Send a form of the signed-in pages."""
        token = form_token(self.visitor.get("/account").text)
        return self.visitor.post(path, {"form_token": token, **form})

    def register(self, passkey: Authenticator, name: str = "Laptop") -> requests.Response:
        """Add a passkey."""
        options = asked(self.send("/account/passkeys", name=name).text)
        return self.send("/account/passkeys/register", name=name, credential=passkey.create(options))

    def password(self) -> requests.Response:
        """Send the right password."""
        return self.visitor.sign_in(self.service, name=self.name)

    def prove(self, page: requests.Response, **how: Any) -> requests.Response:
        """Answer a page that asks for the passkey."""
        return self.answer(self.passkey.get(asked(page.text), **how))

    def answer(self, answer: str) -> requests.Response:
        """Send an answer of a passkey as a sign-in."""
        return self.visitor.post(f"/t/{self.service.slug}/passkey", {"credential": answer})

    def ask(self) -> requests.Response:
        """Ask to sign in with a passkey alone."""
        return self.visitor.post(f"/t/{self.service.slug}/passkey/ask")

    def passkey_id(self) -> str:
        """The id of the first passkey on the page."""
        return self.visitor.get("/account").text.split("/account/passkeys/")[1].split("/")[0]

    def out(self) -> None:
        """Forget the session."""
        self.visitor.http.cookies.clear()


Enter = Callable[..., Person]


@pytest.fixture
def enter(administered: Service) -> Enter:
    """Let an administrator sign in at a name and register a passkey."""

    def enter(service: Service = administered, name: str = "anna") -> Person:
        url = service.url.replace("127.0.0.1", "localhost")
        person = Person(Visitor(url), service, name, Authenticator(url))
        assert person.password().status_code == 303
        assert person.register(person.passkey).status_code == 303
        return person

    return enter


@pytest.fixture
def anna(enter: Enter) -> Person:
    """The administrator, signed in, with a passkey."""
    return enter()


def whys(look: Look) -> list[str]:
    """Why passkeys were refused, as the audit trail has it."""
    rows = look(
        "SELECT body FROM events WHERE name IN ('console:session:refused', 'console:passkey:refused') ORDER BY at"
    )
    return [row["body"].get("why", "") for row in rows]


def test_a_passkey_is_a_second_factor_and_then_the_password_alone_opens_nothing(anna: Person, look: Look) -> None:
    """The right password leads to the passkey, and only both to a session."""
    anna.out()
    page = anna.password()
    assert page.status_code == 200
    assert "gatepost=" not in page.headers.get("Set-Cookie", "")
    assert "The password was right. Now show your passkey" in page.text
    assert anna.prove(page).status_code == 303
    assert "Laptop" in anna.visitor.get("/account").text
    opened = look("SELECT body FROM events WHERE name = 'console:session:opened' ORDER BY at DESC")[0]["body"]
    assert opened == {"address": "127.0.0.1", "factors": "password+passkey"}


def test_a_passkey_alone_is_enough(anna: Person) -> None:
    """Without a name or a password: the authenticator knows whose it is, and has verified the person."""
    anna.out()
    assert anna.prove(anna.ask()).headers["Location"] == "/connection"
    assert "with a passkey" in anna.visitor.get("/account").text


def test_a_script_cannot_sign_in_with_the_password_of_who_has_a_passkey(anna: Person) -> None:
    """The answer says why, and there is no token in it."""
    refused = open_session(anna.service)
    assert refused.status_code == 403
    assert refused.json()["type"] == "no-passkeys-here"
    assert "You need your passkey" in refused.json()["detail"]


def test_a_challenge_is_answered_once(anna: Person, look: Look) -> None:
    """The same answer, sent again, is refused and written down."""
    anna.out()
    answer = anna.passkey.get(asked(anna.ask().text))
    assert anna.answer(answer).status_code == 303
    anna.out()
    again = anna.answer(answer)
    assert again.status_code == 401
    assert REFUSED in again.text
    assert whys(look) == ["challenge"]


def test_a_refused_answer_uses_its_challenge_up(anna: Person) -> None:
    """Nobody tries twice on one challenge."""
    anna.out()
    options = asked(anna.ask().text)
    assert anna.answer(anna.passkey.get(options, flags=PRESENT)).status_code == 401
    assert anna.answer(anna.passkey.get(options)).status_code == 401


def test_a_challenge_lives_five_minutes(anna: Person, look: Look) -> None:
    """What was asked earlier is not answered any more."""
    anna.out()
    answer = anna.passkey.get(asked(anna.ask().text))
    look("UPDATE passkey_challenges SET made_at = now() - interval '301 seconds'")
    assert anna.answer(answer).status_code == 401


def test_an_answer_that_proves_too_little_is_refused(anna: Person, look: Look) -> None:
    """No verified person, another host, another person or none: refused with one sentence, told apart in the trail."""
    anna.out()
    for how in ({"flags": PRESENT}, {"host": "evil.example"}, {"handle": b"\x07" * 16}, {"handle": b""}):
        assert REFUSED in anna.prove(anna.ask(), **how).text
    assert whys(look) == ["person not verified", "host", "another person", "another person"]


def test_an_answer_made_on_a_false_page_is_refused(anna: Person, look: Look) -> None:
    """The browser names the page that asked, and it is not ours."""
    anna.out()
    anna.passkey.origin = "https://gatep0st.example"
    assert anna.prove(anna.ask()).status_code == 401
    assert whys(look) == ["origin"]


def test_a_counter_that_did_not_grow_is_refused_and_written_down(anna: Person, look: Look) -> None:
    """A copied authenticator gives itself away."""
    anna.out()
    assert anna.prove(anna.ask()).status_code == 303
    anna.out()
    anna.passkey.counter -= 1
    assert anna.prove(anna.ask()).status_code == 401
    assert whys(look) == ["counter"]


def test_an_authenticator_that_never_counts_is_fine(anna: Person) -> None:
    """Passkeys that are kept in several devices say 0 each time."""
    silent = Authenticator(anna.passkey.origin, counter=0)
    assert anna.register(silent, "Phone").status_code == 303
    anna.passkey = silent
    for _ in range(2):
        anna.out()
        assert anna.prove(anna.ask()).status_code == 303


def test_another_persons_passkey_is_no_second_factor(enter: Enter, anna: Person, look: Look) -> None:
    """Whoever knows Bob's password cannot go on with a passkey of their own."""
    bob = enter(anna.service.add_administrator("bob", "reader"), "bob")
    bob.out()
    bob.passkey = anna.passkey
    assert bob.prove(bob.password()).status_code == 401
    assert whys(look) == ["unknown passkey"]


def test_a_passkey_of_another_tenant_is_unknown(enter: Enter, anna: Person, library: Library) -> None:
    """Each tenant knows its own passkeys only, also with a challenge of its own."""
    other = library.service
    anna.out()
    options = asked(anna.visitor.post(f"/t/{other.slug}/passkey/ask").text)
    answer = anna.passkey.get(options)
    assert anna.visitor.post(f"/t/{other.slug}/passkey", {"credential": answer}).status_code == 401
    assert anna.answer(answer).status_code == 401


def test_a_tenant_that_does_not_exist_asks_just_the_same(anna: Person) -> None:
    """The page is the same, and so is the refusal."""
    anna.out()
    page = anna.visitor.post("/t/nowhere/passkey/ask")
    assert page.status_code == 200
    answer = anna.passkey.get(asked(page.text))
    refused = anna.visitor.post("/t/nowhere/passkey", {"credential": answer})
    assert refused.status_code == 401
    assert REFUSED in refused.text


def test_what_is_no_answer_is_refused_in_the_same_words(anna: Person, look: Look) -> None:
    """Rubbish is no error of ours."""
    anna.out()
    names = '{"id":"é","rawId":"é","type":"public-key","response":{}}'
    for answer in ("", "{}", "[]", "null", '{"id":1}', "x" * 20_000, "\x00", names):
        refused = anna.answer(answer)
        assert refused.status_code == 401
        assert REFUSED in refused.text
        look("DELETE FROM sign_in_attempts")


def test_a_damaged_answer_is_refused_wherever_it_is_damaged(anna: Person, look: Look) -> None:
    """Each part of the answer in turn: cut off, or with other bytes at its end."""
    anna.out()
    for name in ("clientDataJSON", "authenticatorData", "signature"):
        for keep, more in ((20, ""), (-9, "AAAAAAAAA")):
            whole = json.loads(anna.passkey.get(asked(anna.ask().text)))
            whole["response"][name] = whole["response"][name][:keep] + more
            assert anna.answer(json.dumps(whole)).status_code == 401
            look("DELETE FROM sign_in_attempts")


def test_guessing_is_slowed_for_that_passkey_and_nobody_else(enter: Enter, anna: Person) -> None:
    """Five refusals, then a pause; the colleague at the same address signs in."""
    bob = enter(anna.service.add_administrator("bob", "reader"), "bob")
    anna.out()
    for _ in range(5):
        assert anna.prove(anna.ask(), flags=PRESENT).status_code == 401
    slowed = anna.prove(anna.ask())
    assert slowed.status_code == 429
    assert "Too many attempts" in slowed.text
    assert int(slowed.headers["Retry-After"]) <= 15
    bob.out()
    assert bob.prove(bob.ask()).status_code == 303


def test_an_address_cannot_fill_the_database_with_challenges(anna: Person, look: Look) -> None:
    """Fifty unanswered ones, then a pause in words."""
    look(
        "INSERT INTO passkey_challenges (challenge, purpose, address) "
        "SELECT sha256(n::text::bytea), 'sign-in', '127.0.0.1' FROM generate_series(1, 50) AS n"
    )
    refused = anna.ask()
    assert refused.status_code == 429
    assert "Too many attempts" in refused.text


def test_who_asks_without_a_name_keeps_nobody_else_from_their_passkey(anna: Person, look: Look) -> None:
    """Challenges of nobody and of a colleague do not count for a person who proved the password at the same address."""
    anna.service.add_administrator("bob", "reader")
    look(
        "INSERT INTO passkey_challenges (challenge, purpose, address, administrator_id) "
        "SELECT sha256(n::text::bytea), CASE WHEN b.name IS NULL THEN 'sign-in' ELSE 'second' END, '127.0.0.1', "
        "b.administrator_id FROM generate_series(1, 99) AS n "
        "LEFT JOIN administrators b ON b.name = 'bob' AND mod(n, 2) = 0"
    )
    assert anna.prove(anna.password()).status_code == 303


def test_registering_needs_our_challenge_and_a_verified_person(anna: Person, look: Look) -> None:
    """An answer sent twice, one without the person verified, and a known passkey are refused; the trail says why."""
    options = asked(anna.send("/account/passkeys", name="Phone").text)
    made = Authenticator(anna.passkey.origin).create(options)
    assert anna.send("/account/passkeys/register", name="Phone", credential=made).status_code == 303
    assert anna.send("/account/passkeys/register", name="Phone", credential=made).status_code == 401
    options = asked(anna.send("/account/passkeys", name="Tablet").text)
    weak = Authenticator(anna.passkey.origin).create(options, flags=PRESENT)
    assert anna.send("/account/passkeys/register", name="Tablet", credential=weak).status_code == 401
    assert anna.register(anna.passkey, "Again").status_code == 401
    assert whys(look) == ["challenge", "person not verified", "known already"]


def test_a_browser_is_not_asked_for_a_passkey_that_it_has(anna: Person) -> None:
    """The known ones are named when another is asked for, and the person by nothing but a random handle."""
    options = asked(anna.send("/account/passkeys", name="Phone").text)
    assert len(options["excludeCredentials"]) == 1
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["rp"]["id"] == "localhost"


def test_a_passkey_is_renamed_and_removed(anna: Person, look: Look) -> None:
    """Both are events with before and after, and what is removed does not count any more."""
    path = f"/account/passkeys/{anna.passkey_id()}"
    assert anna.send(f"{path}/rename", name="Work laptop").status_code == 303
    assert "Work laptop" in anna.visitor.get("/account").text
    assert anna.send(f"{path}/rename", name=" ").status_code == 400
    assert anna.send(f"{path}/remove").status_code == 303
    bodies = look("SELECT body FROM events WHERE name LIKE 'console:passkey:re%%' ORDER BY at")
    assert [row["body"] for row in bodies] == [
        {"before": {"name": "Laptop"}, "after": {"name": "Work laptop"}},
        {"before": {"name": "Work laptop"}, "after": None},
    ]
    anna.out()
    assert anna.password().status_code == 303


def test_the_last_thing_to_sign_in_with_stays(anna: Person) -> None:
    """Without a password the last passkey cannot be removed, and without a passkey the password cannot."""
    assert anna.send("/account/password", remove="1").status_code == 303
    refused = anna.send(f"/account/passkeys/{anna.passkey_id()}/remove")
    assert refused.status_code == 409
    assert "You could not sign in any more without this." in refused.text
    assert (
        anna.send("/account/password", password="another horse battery", again="another horse battery").status_code
        == 303
    )
    assert anna.send(f"/account/passkeys/{anna.passkey_id()}/remove").status_code == 303
    assert anna.send("/account/password", remove="1").status_code == 409


def test_nobody_touches_a_passkey_of_somebody_else(enter: Enter, anna: Person) -> None:
    """Its id is of no use to a colleague."""
    bob = enter(anna.service.add_administrator("bob", "administrator"), "bob")
    assert bob.send(f"/account/passkeys/{anna.passkey_id()}/remove").status_code == 404
    assert bob.send(f"/account/passkeys/{anna.passkey_id()}/rename", name="Mine").status_code == 404


def test_confirming_needs_the_passkey_of_who_has_one(anna: Person, look: Look) -> None:
    """The password alone does not confirm; the passkey does, and leads back under a new token."""
    look("UPDATE sessions SET step_up_at = now() - interval '6 minutes'")
    led = anna.send("/account/passkeys", name="Phone")
    assert led.headers["Location"].startswith("/step-up?next=")
    weak = anna.send("/step-up", password=anna.service.password, next="/account")
    assert weak.status_code == 403
    assert "Confirm with your passkey; the password alone does not count." in weak.text
    before = anna.visitor.http.cookies["gatepost"]
    answer = anna.passkey.get(asked(anna.visitor.get("/step-up").text))
    assert anna.send("/step-up/passkey", credential=answer, next="/account").headers["Location"] == "/account"
    assert anna.visitor.http.cookies["gatepost"] != before
    assert anna.send("/account/passkeys", name="Phone").status_code == 200


def test_a_challenge_to_confirm_is_none_to_sign_in_with(anna: Person, look: Look) -> None:
    """Nor of somebody else: what a challenge is for stands with it."""
    look("UPDATE sessions SET step_up_at = now() - interval '6 minutes'")
    answer = anna.passkey.get(asked(anna.visitor.get("/step-up").text))
    assert anna.answer(answer).status_code == 401
    assert whys(look) == ["challenge"]


def test_the_page_says_why_there_is_no_passkey_at_an_ip_address(anna: Person) -> None:
    """Neither the sign-in nor the account offers one there, and what is sent anyway is refused in words."""
    there = Visitor(anna.service.url)
    assert "with a passkey alone" not in there.get(f"/t/{anna.service.slug}/").text
    refused = there.sign_in(anna.service)
    assert refused.status_code == 403
    assert "You need your passkey, and none works at this address." in refused.text
    colleague = Visitor(anna.service.add_administrator("bob", "reader").url)
    colleague.sign_in(anna.service, name="bob")
    page = colleague.get("/account").text
    assert "an IP address does not" in page
    token = form_token(page)
    assert colleague.post("/account/passkeys", {"form_token": token, "name": "Phone"}).status_code == 403


def test_the_database_holds_no_private_key_and_no_name_of_the_person_in_a_handle(anna: Person, look: Look) -> None:
    """A public key, a random handle, and a counter."""
    row = look("SELECT * FROM passkeys")[0]
    assert set(row) >= {"public_key", "sign_count", "credential_id"}
    assert b"anna" not in look("SELECT user_handle FROM administrators")[0]["user_handle"].bytes
