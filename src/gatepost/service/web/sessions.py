"""How a browser or script carries its session, and what keeps other sites from using it.

On https the cookie is ``__Host-gatepost`` (Secure, no domain, path ``/``). Plain http is for loopback only, where the
cookie is ``gatepost``; on any other plain-http address no session cookie is set. A form needs three things at once:
a SameSite cookie, a request that the browser says comes from this site, and the session's form token.
Scripts send ``Authorization: Bearer`` instead; a cookie is never looked at under ``/api``, so it needs no form token.
"""

import hmac
import ipaddress
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.errors import Problem
from gatepost.service.administrators.ceremonies import Place
from gatepost.service.administrators.sessions import LIFETIME, Session, Token, session_of
from gatepost.service.database import Database
from gatepost.service.database import Scope as TenantScope

SECURE_COOKIE, LOOPBACK_COOKIE = "__Host-gatepost", "gatepost"
POLL_HEADER = "Gatepost-Poll"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
MOST_FIELDS = 20_000
"""Fields of a form; a policy of 200 rules has some thousands. How large it may be is the route's to say."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STRICT_TRANSPORT = "max-age=31536000"


class SecurityHeaders:
    """ASGI middleware: every answer carries the security headers, and is not stored unless its route says so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, adding the headers to its start."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def is_secure(request: Request) -> bool:
    """Whether the person's browser speaks https, by the public address if one is set."""
    public_url = request.app.state.settings.public_url
    return (urlsplit(public_url).scheme if public_url else request.url.scheme) == "https"


def is_loopback(request: Request) -> bool:
    """Whether the address that the browser typed is this very machine."""
    host = request.url.hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def passkey_place(request: Request) -> Place | None:
    """Where passkeys are used; None where they cannot be: at an IP address, and at a name that is not the service's.

    The name is that of the public address, or ``localhost`` on the service's own machine.
    """
    public_url = request.app.state.settings.public_url
    address = urlsplit(public_url or f"{request.url.scheme}://{request.url.netloc}")
    host = address.hostname or ""
    if _is_ip(host) or (host != "localhost" and (not public_url or address.scheme != "https")):
        return None
    return Place(host, f"{address.scheme}://{address.netloc}")


def needed_place(request: Request) -> Place:
    """Where passkeys are used. Raises Problem 403 ``no-passkeys-here``."""
    place = passkey_place(request)
    if place is None:
        raise Problem(403, "no-passkeys-here", "Passkeys need the service's public address, with a name and https.")
    return place


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def cookie_name(request: Request) -> str:
    """The name of the session's cookie for this request. Raises Problem on plain http that is not loopback."""
    if is_secure(request):
        return SECURE_COOKIE
    if is_loopback(request):
        return LOOPBACK_COOKIE
    raise Problem(403, "insecure", "This address is not encrypted, so nobody can sign in here. Use the https address.")


def set_cookie(request: Request, response: Response, token: Token) -> None:
    """Hand the session to the browser."""
    response.set_cookie(
        cookie_name(request),
        str(token),
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def clear_cookie(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")


def _token(request: Request) -> Token | None:
    """The token that a request carries: a bearer under ``/api``, else the cookie."""
    if request.url.path.startswith("/api/"):
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        return Token.read(value.strip()) if scheme.lower() == "bearer" else None
    return Token.read(request.cookies.get(cookie_name(request), ""))


async def current(request: Request) -> Session | None:
    """The session of a request, None without a valid one."""
    token = _token(request)
    if token is None:
        return None
    return await session_of(request.app.state.database, token, active=POLL_HEADER not in request.headers)


async def authenticate(request: Request) -> Session:
    """The session of a request; an unsafe request of a browser must also prove that our page sent it.

    Raises Problem 401 without a valid session, 403 ``forgery`` without that proof.
    """
    session = await current(request)
    if session is None:
        raise Problem(401, "session", "You are not signed in, or the session has ended. Sign in again.")
    if not request.url.path.startswith("/api/") and request.method not in {"GET", "HEAD"}:
        same_site(request)
        sent = (await request.form(max_fields=MOST_FIELDS)).get(FORM_TOKEN)
        if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), session.csrf.encode()):
            raise Problem(403, "forgery", "This form is too old or does not come from this page. Load the page anew.")
    return session


def same_site(request: Request) -> None:
    """Refuse what a page of another site sent. Raises Problem 403 ``forgery``.

    ``Sec-Fetch-Site`` decides where the browser sends it, else ``Origin``; what sends neither is no browser of today.
    """
    fetched = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if fetched is not None:
        fine = fetched in {"same-origin", "none"}
    else:
        public_url = request.app.state.settings.public_url
        ours = {request.headers.get("Host", ""), urlsplit(public_url).netloc if public_url else ""}
        fine = origin is None or urlsplit(origin).netloc in ours - {""}
    if not fine:
        raise Problem(403, "forgery", "Another site sent this request, so it was not carried out.")


def tenant_of(request: Request, session: Session) -> AbstractAsyncContextManager[TenantScope]:
    """A transaction in the tenant of a session, for whoever sent the request."""
    database: Database = request.app.state.database
    return database.tenant(session.tenant_id, client_address(request))


def client_address(request: Request) -> str:
    """The address that attempts are counted by."""
    return request.client.host if request.client else "unknown"
