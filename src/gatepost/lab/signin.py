"""Signing in to the endpoint: Basic over TLS, NTLM, Kerberos and Negotiate by pyspnego's acceptor, and sealing.

A sign-in belongs to a connection: the first requests carry the exchange, later ones need no header. Over plain HTTP
every body is then sealed and wrapped as ``multipart/encrypted``; Exchange writes the boundary of its answers with a
space. Whom a domain vouches for by Kerberos is let in by the name that the domain gives.
"""

import base64
import binascii
import os
import re
import secrets
import struct
import threading
from pathlib import Path

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from gatepost.errors import SettingsError

_ENVIRONMENT = threading.Lock()
"""Accounts and keys are read from files that environment variables name; labs in one process take turns."""
_CHANNEL_BOUND = 0x800
"""GSS_C_CHANNEL_BOUND_FLAG: the client sent a binding, and it is right."""

BOUNDARY = "Encrypted Boundary"
_PART = re.compile(rb"--\s*Encrypted Boundary(?:--)?\r\n")
_LENGTH = re.compile(rb"Length=(\d+)")
_BINARY = b"Content-Type: application/octet-stream\r\n"


class Accounts:
    """The one account of a lab, known by its down-level name, its principal name and its bare name.

    ``keytab`` has the endpoint's own keys, for Kerberos. ``binding`` is the certificate's, where Extended Protection
    asks that every sign-in over TLS is bound to it.
    """

    def __init__(
        self, user: str, password: str, folder: Path, *, keytab: Path | None = None, binding: bytes | None = None
    ) -> None:
        domain, _, name = user.rpartition("\\")
        if ":" in user + password or not name:
            raise SettingsError("The lab's user or password has a colon, or the user is empty.", "Choose others.")
        self.user = user
        self.binding = binding
        self._keytab = keytab
        self._password = password
        self._names = {user.lower(), name.lower(), f"{name}@{domain}".lower(), f"{name}@lab.example".lower()}
        self.file = folder / "ntlm-users"
        lines = [f"{domain}:{name}:{password}", f":{name}:{password}", f":{name}@lab.example:{password}"]
        handle = os.open(self.file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def basic(self, token: str) -> bool:
        """Whether a Basic credential is the account's."""
        try:
            user, _, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        right = secrets.compare_digest(password.encode(), self._password.encode())
        return right and user.lower() in self._names

    def acceptor(self, scheme: str, *, tls: bool) -> spnego.ContextProxy:
        """One sign-in, seen by the server. Raises SpnegoError, and others where Kerberos cannot be had."""
        bindings = GssChannelBindings(application_data=self.binding) if tls and self.binding else None
        os.environ["NTLM_USER_FILE"] = str(self.file)
        os.environ["KRB5_KTNAME"] = f"FILE:{self._keytab or os.devnull}"
        return spnego.server(protocol=scheme.lower(), channel_bindings=bindings)


class Connection:
    """The state of one connection: who has signed in, and the context that seals its messages."""

    def __init__(self, accounts: Accounts, *, tls: bool, ntlm_only: bool) -> None:
        self._accounts = accounts
        self._tls = tls
        self._context: spnego.ContextProxy | None = None
        self._scheme = ""
        self.user: str | None = None
        self.offers = _offers(tls=tls, ntlm_only=ntlm_only)

    @property
    def sealed(self) -> bool:
        """Whether bodies must be encrypted: over plain HTTP, always."""
        return not self._tls

    def sign_in(self, header: str | None) -> str | None:
        """Take an Authorization header; returns what to answer in WWW-Authenticate, if anything.

        ``user`` is set when the sign-in is complete, and None after one that failed.
        """
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() not in {offer.partition(" ")[0].lower() for offer in self.offers}:
            self.user = None
            return None
        if scheme.lower() == "basic":
            self.user = self._accounts.user if self._accounts.basic(token.strip()) else None
            return None
        return self._step(scheme, token)

    def _step(self, scheme: str, token: str) -> str | None:
        """One leg of NTLM or Negotiate."""
        if self._context is None or self._context.complete or scheme != self._scheme:
            self._context, self._scheme, self.user = None, scheme, None
        try:
            with _ENVIRONMENT:
                if self._context is None:
                    self._context = self._accounts.acceptor(scheme, tls=self._tls)
                answer = self._context.step(base64.b64decode(token))
        except (SpnegoError, ImportError, AttributeError, binascii.Error, struct.error, ValueError, IndexError):
            # AttributeError: what pyspnego stumbles over where Kerberos has refused a ticket or its binding.
            self._context = None
            return None
        if self._context.complete:
            self.user = self._signed_in(self._context)
        return f"{scheme} {base64.b64encode(answer).decode()}" if answer else None

    def _signed_in(self, context: spnego.ContextProxy) -> str | None:
        """Who has signed in; nobody where Extended Protection asks for a binding that is not there.

        NTLM's acceptor looks at that itself, Kerberos' takes a client without a binding for an old one.
        """
        if context.negotiated_protocol != "kerberos":
            return self._accounts.user
        if self._tls and self._accounts.binding and not _is_bound(context):
            return None
        return context.client_principal

    def unseal(self, body: bytes, content_type: str) -> bytes | None:
        """The plain body of a request; None where it is not encrypted as it must be."""
        if not content_type.lower().startswith("multipart/encrypted") or self._context is None:
            return None
        _, described, sealed = ([*_PART.split(body, maxsplit=2), b"", b""])[:3]
        at = sealed.find(_BINARY)
        length = _LENGTH.search(described)
        if at < 0 or length is None:
            return None
        data = sealed[at + len(_BINARY) :]
        end = data.rfind(b"--" + BOUNDARY.encode() + b"--")
        data = data[:end] if end >= 0 else data
        (size,) = struct.unpack_from("<i", data)
        try:
            return self._context.unwrap_winrm(data[4 : 4 + size], data[4 + size :])
        except SpnegoError:
            return None

    def seal(self, body: bytes) -> tuple[str, bytes]:
        """The content type and the encrypted body of an answer."""
        if self._context is None:
            raise RuntimeError("nothing to seal with: nobody has signed in on this connection")
        header, data, padding = self._context.wrap_winrm(body)
        protocol = "application/HTTP-SPNEGO-session-encrypted"
        # Exchange puts a space before the boundary's name, which no standard asks for.
        described = (
            f"-- {BOUNDARY}\r\n\tContent-Type: {protocol}\r\n"
            f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(body) + padding}\r\n"
            f"-- {BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
        )
        wrapped = b"".join(
            (described.encode(), struct.pack("<i", len(header)), header, data, f"-- {BOUNDARY}--\r\n".encode())
        )
        return f'multipart/encrypted;protocol="{protocol}";boundary="{BOUNDARY}"', wrapped


def _is_bound(context: object) -> bool:
    """Whether a Kerberos client was bound to the channel, which pyspnego does not pass on."""
    while hasattr(context, "_context"):
        context = context._context  # noqa: SLF001
    return bool(int(getattr(context, "actual_flags", 0)) & _CHANNEL_BOUND)


def _offers(*, tls: bool, ntlm_only: bool) -> tuple[str, ...]:
    """The WWW-Authenticate headers of a 401."""
    if ntlm_only:
        return ("NTLM",)
    return ("Negotiate", "NTLM", *(('Basic realm="lab.example"',) if tls else ()))
