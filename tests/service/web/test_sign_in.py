"""Sign-in: sessions, cookies, limits, and messages that tell nothing to a guesser."""

import statistics
import time
from urllib.parse import quote

import pytest
import requests

from gatepost.service.administrators.limits import address_key, pause
from gatepost.service.administrators.sessions import Token
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.web.conftest import Script, Visitor, open_session

WRONG = {"en": "The name or the password is not right.", "nl": "De naam of het wachtwoord klopt niet."}


@pytest.mark.parametrize("language", WRONG)
def test_a_wrong_password_is_told_in_the_browsers_language(visitor: Visitor, service: Service, language: str) -> None:
    """The form comes back with the name kept, the password not, and one sentence."""
    visitor.http.headers["Accept-Language"] = f"{language};q=0.9"
    answer = visitor.sign_in(service, password="not this one at all")
    assert answer.status_code == 401
    assert WRONG[language] in answer.text
    assert f'lang="{language}"' in answer.text
    assert 'value="anna"' in answer.text
    assert "not this one at all" not in answer.text


def test_an_unknown_name_and_an_unknown_tenant_look_like_a_wrong_password(visitor: Visitor, service: Service) -> None:
    """Same status and same words, so that nobody learns who exists."""
    texts = {
        visitor.sign_in(service, password="wrong").text.count(WRONG["en"]),
        visitor.sign_in(service, name="nobody").text.count(WRONG["en"]),
        visitor.post("/t/nowhere/", {"name": "anna", "password": "x"}).text.count(WRONG["en"]),
    }
    assert texts == {1}
    assert visitor.post("/t/nowhere/", {"name": "anna", "password": "x"}).status_code == 401


def test_an_unknown_name_takes_as_long_as_a_wrong_password(visitor: Visitor, service: Service) -> None:
    """Both pay for one Argon2 hash; without it an unknown name would be answered ten times faster."""

    def seconds(name: str) -> float:
        begun = time.perf_counter()
        visitor.sign_in(service, name=name, password="wrong")
        return time.perf_counter() - begun

    known = statistics.median(seconds("anna") for _ in range(4))
    unknown = statistics.median(seconds("nobody") for _ in range(4))
    assert 0.25 < unknown / known < 4


def test_a_session_is_a_cookie_that_scripts_cannot_read(visitor: Visitor, service: Service) -> None:
    """HttpOnly, SameSite, for the whole site; plain http on loopback has no Secure, and no __Host- name."""
    cookies = visitor.sign_in(service).headers["Set-Cookie"]
    session = next(part for part in cookies.split(", ") if part.startswith("gatepost="))
    for flag in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"):
        assert flag in session
    assert "Domain" not in session
    assert session.split("=")[1].startswith(str(service.tenant_id))


def test_nobody_signs_in_over_plain_http_from_elsewhere(visitor: Visitor, service: Service) -> None:
    """An address that is neither https nor this machine gives no session, in words."""
    answer = visitor.post(
        f"/t/{service.slug}/", {"name": "anna", "password": service.password}, headers={"Host": "gate.example.com"}
    )
    assert answer.status_code == 403
    assert "This address is not encrypted" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_database_holds_neither_the_password_nor_the_token(script: Script, service: Service, look: Look) -> None:
    """An Argon2id hash of the one, a SHA-256 of the other."""
    secret = script.token.split(".")[2]
    row = look("SELECT secret_hash FROM sessions")[0]
    assert secret.encode() not in row["secret_hash"]
    assert look("SELECT password_hash FROM administrators")[0]["password_hash"].startswith("$argon2id$")
    assert secret not in str(look("SELECT body FROM events"))


def test_five_wrong_passwords_slow_a_guesser_and_not_the_administrator(
    visitor: Visitor, service: Service, look: Look
) -> None:
    """The sixth try from this address is refused for a while; the account itself is not locked."""
    for _ in range(5):
        assert visitor.sign_in(service, password="wrong").status_code == 401
    refused = visitor.sign_in(service)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 15
    assert "Too many attempts. Try again in a minute." in refused.text
    as_script = open_session(service)
    assert as_script.status_code == 429
    assert as_script.json()["type"] == "busy"
    look("UPDATE sign_in_attempts SET address = '192.0.2.7'")
    assert visitor.sign_in(service).status_code == 303


def test_a_success_forgets_the_failures_before_it(visitor: Visitor, service: Service) -> None:
    """Whoever mistypes now and then is never slowed."""
    for _ in range(2):
        for _ in range(3):
            assert visitor.sign_in(service, password="wrong").status_code == 401
        assert visitor.sign_in(service).status_code == 303


def test_many_names_from_one_address_are_slowed_too(visitor: Visitor, service: Service, look: Look) -> None:
    """Thirty failures within the window, whatever the names."""
    look(
        "INSERT INTO sign_in_attempts (address, slug_hash, name_hash) "
        "SELECT '127.0.0.1', sha256(%s), sha256(n::text::bytea) FROM generate_series(1, 30) AS n",
        service.slug.encode(),
    )
    assert visitor.sign_in(service).status_code == 429


def test_pauses_double_and_end_at_the_window() -> None:
    """Nothing for the free tries, then 15 s, 30 s, …, never more than 15 minutes."""
    assert [pause(n, 5).total_seconds() for n in (0, 4, 5, 6, 7, 60)] == [0, 0, 15, 30, 60, 900]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "unknown"),
    ],
)
def test_an_address_counts_as_what_one_host_may_have(address: str, key: str) -> None:
    """An IPv6 host roams in its /64, so that is what is counted."""
    assert address_key(address) == key


def test_each_sign_in_is_a_new_session_and_ends_the_one_before(anna: Visitor, service: Service) -> None:
    """A token that somebody planted or saw before is worth nothing after."""
    before = anna.http.cookies.get("gatepost", domain="127.0.0.1")
    anna.sign_in(service)
    assert anna.http.cookies.get("gatepost", domain="127.0.0.1") != before
    old = requests.get(
        f"{service.url}/devices", headers={"Cookie": f"gatepost={before}"}, allow_redirects=False, timeout=30
    )
    assert old.status_code == 303


def test_signing_out_ends_the_session_at_the_service(anna: Visitor, service: Service) -> None:
    """The cookie goes, and would be worth nothing."""
    token = anna.http.cookies.get("gatepost", domain="127.0.0.1")
    assert anna.post("/sign-out", {"form_token": anna.token()}).headers["Location"] == f"/t/{service.slug}/"
    old = requests.get(
        f"{service.url}/devices", headers={"Cookie": f"gatepost={token}"}, allow_redirects=False, timeout=30
    )
    assert old.headers["Location"].startswith("/")
    assert old.status_code == 303


@pytest.mark.parametrize("column", ["made_at", "seen_at"])
def test_a_session_ends_by_age_and_by_idleness(script: Script, look: Look, column: str) -> None:
    """After 8 hours, or 30 minutes without a request."""
    assert script.get("/api/v1/devices").status_code == 200
    look(f"UPDATE sessions SET {column} = now() - interval '{'481' if column == 'made_at' else '31'} minutes'")
    refused = script.get("/api/v1/devices")
    assert refused.status_code == 401
    assert refused.json()["detail"] == "You are not signed in, or the session has ended. Sign in again."


def test_a_page_that_refreshes_itself_does_not_keep_a_session_alive(anna: Visitor, look: Look) -> None:
    """An unattended screen signs itself out; a click counts."""
    look("UPDATE sessions SET seen_at = now() - interval '10 minutes'")
    before = look("SELECT seen_at FROM sessions")
    assert anna.get("/connection", headers={"Gatepost-Poll": "1"}).status_code == 200
    assert look("SELECT seen_at FROM sessions") == before
    anna.get("/connection")
    assert look("SELECT seen_at FROM sessions") != before


def test_a_disabled_administrator_is_out_at_once(script: Script, look: Look) -> None:
    """Their sessions end with them."""
    look("UPDATE administrators SET disabled_at = now()")
    assert script.get("/api/v1/devices").status_code == 401


def test_a_deep_link_leads_there_after_the_sign_in(visitor: Visitor, service: Service) -> None:
    """Whoever follows a link signs in first and then sees what was linked."""
    first = visitor.get("/devices?q=anna")
    assert first.headers["Location"] == f"/?next={quote('/devices?q=anna', safe='')}"
    assert visitor.sign_in(service, next="/devices?q=anna").headers["Location"] == "/devices?q=anna"


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"])
def test_the_sign_in_leads_to_no_other_host(visitor: Visitor, service: Service, elsewhere: str) -> None:
    """Only paths of this console are gone on to."""
    assert visitor.sign_in(service, next=elsewhere).headers["Location"] == "/connection"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", f"{'0' * 8}-0000-0000-0000-{'0' * 12}." * 2 + "é"])
def test_a_token_that_is_none_is_no_session(service: Service, token: str) -> None:
    """Rubbish in the header is answered like no token at all."""
    assert Script(service.url, token.encode().decode("latin-1")).get("/api/v1/devices").status_code == 401


def test_a_token_does_not_show_its_secret_by_chance() -> None:
    """Its repr, which may reach a log, keeps the secret back."""
    token = Token.read("1b4e28ba-2fa1-4d2b-883f-0016d3cca427.1b4e28ba-2fa1-4d2b-883f-0016d3cca427.verysecret")
    assert token is not None
    assert "verysecret" not in repr(token)
    assert str(token).endswith(".verysecret")


def test_sign_in_and_out_are_events(script: Script, service: Service, look: Look) -> None:
    """Also the refused one, with the address and without the password."""
    requests.post(
        f"{service.url}/api/v1/sessions", json={"tenant": service.slug, "name": "anna", "password": "guess"}, timeout=30
    )
    requests.delete(f"{service.url}/api/v1/sessions", headers=script.headers, timeout=30)
    names = [row["name"] for row in look("SELECT name FROM events WHERE name LIKE 'console:%%' ORDER BY at")]
    assert names == ["console:session:opened", "console:session:refused", "console:session:closed"]
    assert "guess" not in str(look("SELECT * FROM events"))


def test_a_password_typed_as_the_name_is_not_written_down(visitor: Visitor, service: Service, look: Look) -> None:
    """The trail keeps the name of a person that there is, also of one who is disabled, and of nobody else."""
    look("UPDATE administrators SET disabled_at = now()")
    for name in ("correct horse battery", "ANNA"):
        assert visitor.sign_in(service, name=name).status_code == 401
    actors = [
        row["actor"] for row in look("SELECT actor FROM events WHERE name = 'console:session:refused' ORDER BY at")
    ]
    assert actors == ["somebody with a password", "anna"]
