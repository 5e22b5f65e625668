"""Signing in at a server or a proxy: Basic, or Negotiate, Kerberos and NTLM by pyspnego; and sealing what follows.

Pure of sockets: headers in, headers out. What goes wrong is a ``Refusal`` of few kinds, which the caller words.
"""

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spnego
from pypsrp.encryption import WinRMEncryption
from spnego.channel_bindings import GssChannelBindings

from gatepost.exchange.connections import Answer

_BOUNDARY = "Encrypted Boundary"
_OFFER = re.compile(r"(?:^|[\s,])(Negotiate|Kerberos|NTLM)(?:\s+([A-Za-z0-9+/]+=*))?(?=\s*(?:,|$))", re.IGNORECASE)
_PREFERENCE = ("negotiate", "kerberos", "ntlm")
_LEGS = 8


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """Who signs in, and by which method. Without a password, Kerberos uses ``keytab``, or what the system has."""

    method: str
    user: str | None
    password: str | None
    keytab: Path | None = None

    @property
    def identity(self) -> str | spnego.KerberosKeytab | None:
        """The user as the library takes it: by name, or by the key table that has its key."""
        if self.keytab is None or self.password is not None:
            return self.user
        return spnego.KerberosKeytab(str(self.keytab), self.user)

    @property
    def basic(self) -> str:
        """The header of Basic."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a sign-in is asked for, and the headers that carry it."""

    status: int
    asks: str
    replies: str


SERVER = Gate(401, "WWW-Authenticate", "Authorization")
PROXY = Gate(407, "Proxy-Authenticate", "Proxy-Authorization")


class NotOffered(Exception):
    """What is asked for is not among what is offered, which are the arguments."""


class SignInFailed(Exception):
    """A sign-in broke off here, before anybody refused it; the library's error is its cause."""


class SignIn:
    """One sign-in by Negotiate, from the first offer to the end. ``binding`` ties it to a TLS channel."""

    def __init__(self, account: Account, host: str, *, binding: bytes | None = None, seals: bool = False) -> None:
        self._account = account
        self._host = host
        self._binding = binding
        self._seals = seals
        self._scheme = ""
        self._context: Any = None
        self.ticket = False
        """Whether the domain has vouched for the account: there is a Kerberos ticket for the server."""

    @property
    def complete(self) -> bool:
        """Whether both sides are satisfied."""
        return self._context is not None and bool(self._context.complete)

    def through(self, gate: Gate, answer: Answer, again: Callable[[dict[str, str]], Answer]) -> Answer:
        """Carry the sign-in through the gate that gave ``answer``; the first answer that is no leg of it.

        ``again`` sends the request once more with the headers given. Raises NotOffered and SignInFailed.
        """
        reply = self._begin(answer.headers.get_all(gate.asks, []))
        for _ in range(_LEGS):
            answer = again({gate.replies: f"{self._scheme} {base64.b64encode(reply).decode()}"})
            token = _token(self._scheme, answer.headers.get_all(gate.asks, []))
            if not token:
                return answer
            reply = self._step(token) or b""
            if not reply:
                return answer
        return answer

    def _begin(self, offers: Sequence[str]) -> bytes:
        """Choose among what is offered; the first token."""
        offered = {scheme.lower(): scheme for scheme, _ in _offered(offers)}
        wanted = _PREFERENCE[:2] if self._account.method == "kerberos" else _PREFERENCE
        chosen = next((offered[name] for name in wanted if name in offered), None)
        if chosen is None:
            raise NotOffered(*sorted({offer.split(" ")[0].strip(",") for offer in offers}))
        self._scheme = chosen
        protocol = "kerberos" if self._account.method == "kerberos" else chosen.lower()
        bindings = GssChannelBindings(application_data=self._binding) if self._binding else None
        try:
            self._context = spnego.client(
                self._account.identity,
                self._account.password,
                hostname=self._host,
                service="HTTP",
                channel_bindings=bindings,
                protocol=protocol,
                options=spnego.NegotiateOptions.wrapping_winrm if self._seals else spnego.NegotiateOptions.none,
            )
        except Exception as error:
            raise SignInFailed from error
        token = self._step(None) or b""
        self.ticket = self._context.negotiated_protocol == "kerberos"
        return token

    def _step(self, token: bytes | None) -> bytes | None:
        """One leg. The libraries raise errors of many kinds on tokens that make no sense; all mean the same."""
        try:
            reply: bytes | None = self._context.step(token)
        except Exception as error:
            raise SignInFailed from error
        return reply

    def sealing(self) -> "Sealing":
        """What encrypts messages from now on by the key of this sign-in."""
        kind = WinRMEncryption.KERBEROS if self._scheme.lower() == "kerberos" else WinRMEncryption.SPNEGO
        return Sealing(WinRMEncryption(self._context, kind))


class Sealing:
    """The encryption of messages over plain HTTP, as Exchange asks for."""

    def __init__(self, encryption: WinRMEncryption) -> None:
        self._encryption = encryption

    def seal(self, body: bytes) -> tuple[str, bytes]:
        """The content type and the sealed body."""
        kind, sealed = self._encryption.wrap_message(body)
        return f'{kind};protocol="{self._encryption.protocol}";boundary="{_BOUNDARY}"', sealed

    def unseal(self, body: bytes, content_type: str) -> bytes:
        """The plain body. Raises SignInFailed where it is not what the other side sealed."""
        boundary = content_type.partition("boundary=")[2].strip("\"' ")
        try:
            return bytes(self._encryption.unwrap_message(body, boundary))
        except Exception as error:
            raise SignInFailed from error


def _offered(offers: Iterable[str]) -> list[tuple[str, str]]:
    """Schemes and tokens, of headers that may hold several."""
    return [(match[1], match[2] or "") for offer in offers for match in _OFFER.finditer(offer)]


def _token(scheme: str, offers: Iterable[str]) -> bytes:
    """The token of our scheme in an answer, if any."""
    tokens = [token for name, token in _offered(offers) if name.lower() == scheme.lower() and token]
    try:
        return base64.b64decode(tokens[0], validate=True) if tokens else b""
    except ValueError as error:
        raise SignInFailed from error
