"""Every error of Gatepost, in one tree.

An error carries its fields first and makes its sentence from them. ``str(error)`` is what a person reads: the cause,
then the remedy. ``exit_code`` is what the command line returns for it.

::

    GatepostError
    ├── SettingsError              a file, option or variable is wrong                       2
    ├── UsageError                 a command was asked for in a way that is not allowed      2
    ├── WireError                  the bytes are not what the protocol says                  1
    │   ├── UnsafeXml              a DOCTYPE, or past a limit of size, depth or count
    │   └── UnreadableObject       one object of an answer; the rest of the answer is kept
    ├── ExchangeError              one Exchange organization, seen by the connector          1
    │   ├── ExchangeUnreachable    no connection, time-out, reset                            5
    │   │   └── ExchangeAvoided    not asked, because it failed too often just before        5
    │   ├── UntrustedCertificate   TLS was refused by us                                     5
    │   ├── NotExchange            something answers, but not remote PowerShell              5
    │   ├── SignInRefused          wrong user, password or method                            6
    │   ├── SessionLost            shell or runspace is gone: open anew, repeat reads only   5
    │   ├── ExchangeBusy           throttled; says how long to wait                          5
    │   ├── CmdletFailed           an error record or a failed pipeline
    │   ├── CmdletNotGranted       the account's roles do not have it                        6
    │   ├── AnswerTruncated        Exchange said that it left results out
    │   ├── MailRefused            the services of a mailbox say no to what was asked of them
    │   └── WriteUncertain         a write was sent, and nobody can tell whether it was done
    ├── UplinkError                the service, seen by the connector                        1
    │   ├── ServiceUnreachable     no connection, time-out, 5xx                              5
    │   │   └── AnswerUnsigned     somebody answers, and it is not the service               5
    │   ├── ServiceRefused         a problem document; its type decides what follows         6
    │   └── OrganizationOccupied   another connector is enrolled and was not to be replaced  4
    ├── WriteRefused               a write may not start: mode, scope, ceiling or lease      4
    ├── StoreError                 the connector's SQLite file                               1
    └── ServiceError               inside the service                                        1
        ├── NoTenantScope          a tenant statement without a tenant: a programmer's mistake
        ├── NotDelivered           an alert did not arrive, or nobody can tell
        ├── Problem                what an HTTP answer says, as application/problem+json
        └── DatabaseError          cannot be reached, or needs a migration                   5
"""

import re
from typing import ClassVar

_CATEGORY = re.compile(r"\[FailureCategory=[\w ]*-(\w+)\]")
_DENIED = ("ADOperationException", "ADScopeException", "UnauthorizedAccessException", "SecurityException")
_NOT_FOUND = ("ManagementObjectNotFoundException", "ADNoSuchObjectException")


class GatepostError(Exception):
    """The root: a cause and a remedy, each one sentence without a secret in it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = cause
        self.remedy = remedy
        super().__init__(f"{cause} {remedy}".strip())


class SettingsError(GatepostError):
    """A settings file, option or variable is missing or wrong."""

    exit_code = 2


class UsageError(GatepostError):
    """A command was asked for in a way that is not allowed; nothing was sent."""

    exit_code = 2


class WireError(GatepostError):
    """The bytes received are not what the protocol says."""


class UnsafeXml(WireError):
    """XML that is refused before it is understood: a DOCTYPE, or past a limit of size, depth or count."""


class UnreadableObject(WireError):
    """One object of a pipeline's output cannot be read; the objects around it can.

    ``number`` counts from 0 in the order of arrival (people are told from 1); ``excerpt`` is its first readable text.
    """

    def __init__(self, number: int, problem: str, excerpt: str = "") -> None:
        self.number = number
        self.problem = problem
        self.excerpt = excerpt
        named = f" ({excerpt})" if excerpt else ""
        super().__init__(f"Object {number + 1} of the answer{named} cannot be read: {problem}.", "The others are kept.")


class ExchangeError(GatepostError):
    """Something between us and one Exchange organization; ``server`` is the host as named in the settings."""

    def __init__(self, cause: str, remedy: str = "", *, server: str = "") -> None:
        self.server = server
        super().__init__(cause, remedy)


class ExchangeUnreachable(ExchangeError):
    """No connection, a time-out, or a connection that broke off."""

    exit_code = 5


class ExchangeAvoided(ExchangeUnreachable):
    """Nothing was sent: the server failed too often just before. The cause says since when and why."""


class UntrustedCertificate(ExchangeError):
    """The server's certificate was not accepted."""

    exit_code = 5


class NotExchange(ExchangeError):
    """Something answers at the address, but it is not Exchange's remote PowerShell."""

    exit_code = 5


class SignInRefused(ExchangeError):
    """The server did not accept the user, the password or the method of sign-in."""

    exit_code = 6


class SessionLost(ExchangeError):
    """The shell or runspace is gone. Open a new one; repeat reads only."""

    exit_code = 5


class ExchangeBusy(ExchangeError):
    """Exchange pushes back; ``retry_after`` is in seconds.

    ``about`` is what there is too much of: ``commands`` or ``shells`` of this account, or ``answers``, where a command
    is under way already; or the ``server`` is not ready.
    """

    exit_code = 5

    def __init__(
        self, cause: str, remedy: str = "", *, server: str = "", retry_after: float = 30.0, about: str = "commands"
    ) -> None:
        self.retry_after = retry_after
        self.about = about
        super().__init__(cause, remedy, server=server)


class CmdletFailed(ExchangeError):
    """A cmdlet answered with an error record, or its pipeline failed.

    ``error_id`` is the FullyQualifiedErrorId and ``exception_type`` the .NET type: match on those, never on
    ``message``, which is in the server's language.
    """

    def __init__(
        self,
        cmdlet: str,
        message: str,
        *,
        server: str = "",
        error_id: str = "",
        exception_type: str = "",
        remedy: str = "",
    ) -> None:
        self.cmdlet = cmdlet
        self.message = message
        self.error_id = error_id
        self.exception_type = exception_type
        where = f" on {server}" if server else ""
        detail = f" [{error_id}]" if error_id else ""
        super().__init__(f"{cmdlet} failed{where}: {message}{detail}", remedy, server=server)

    @property
    def access_denied(self) -> bool:
        """Whether the directory or a write scope refuses this one object: no retry helps, others are not concerned."""
        return self._is_one_of(_DENIED)

    @property
    def not_found(self) -> bool:
        """Whether the object that was named is not there."""
        return self._is_one_of(_NOT_FOUND)

    def _is_one_of(self, names: tuple[str, ...]) -> bool:
        """Whether the exception's type, or the failure category within the error id, has one of these names."""
        thrown = {self.exception_type.rpartition(".")[2], *_CATEGORY.findall(self.error_id)}
        return not thrown.isdisjoint(names)


class CmdletNotGranted(ExchangeError):
    """A cmdlet or parameter does not exist for this account: its roles do not grant it."""

    exit_code = 6

    def __init__(self, cmdlet: str, *, server: str = "", parameter: str = "", role: str = "") -> None:
        self.cmdlet = cmdlet
        self.parameter = parameter
        which = f"such as '{role}'" if role else "which `gatepost exchange rbac` names"
        what = f"the parameter -{parameter} of {cmdlet}" if parameter else cmdlet
        super().__init__(
            f"The account has no right to use {what} on {server or 'this server'}.",
            f"Give it a role that contains it, {which}.",
            server=server,
        )


class AnswerTruncated(ExchangeError):
    """Exchange warned that it left results out, so the answer must not be used as a full listing."""


class MailRefused(ExchangeError):
    """Exchange Web Services answered with an error; ``code`` is theirs: match on it, never on ``message``."""

    def __init__(self, code: str, message: str, *, account: str, remedy: str = "", server: str = "") -> None:
        self.code = code
        self.message = message
        detail = f" [{code}]" if code else ""
        where = f" on {server}" if server else ""
        super().__init__(f"The mailbox {account}{where} refuses: {message.rstrip('.')}{detail}.", remedy, server=server)


class WriteUncertain(ExchangeError):
    """A write left us and its end is not known; ``cmdlet`` is what was sent. Only a later read tells: never repeat it.

    Also where the write went well and could not be read back.
    """

    def __init__(self, cmdlet: str, why: str, *, server: str = "") -> None:
        self.cmdlet = cmdlet
        super().__init__(
            f"Nobody can tell whether {cmdlet} was carried out on {server or 'the server'}: {why}",
            "It is not repeated; the next reading shows what became of it.",
            server=server,
        )


class UplinkError(GatepostError):
    """The service, seen by the connector."""


class ServiceUnreachable(UplinkError):
    """The service cannot be reached, or answers with a server error; ``retry_after`` in seconds, None if not said."""

    exit_code = 5

    def __init__(self, cause: str, remedy: str = "", *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(cause, remedy)


class AnswerUnsigned(ServiceUnreachable):
    """An answer without the signature of the service: nothing in it is used; ``status`` is its HTTP status."""

    def __init__(self, status: int, what: str) -> None:
        self.status = status
        super().__init__(
            f"An answer at the service's address ({what}) is not signed by the service, so nothing in it is used: "
            "another server answers in its place, or somebody between changes answers.",
            "Check the url, and what stands between this host and the service.",
        )


class ServiceRefused(UplinkError):
    """The service answered with a problem document; ``type`` decides what the connector does (docs/protocol.md)."""

    exit_code = 6

    def __init__(self, status: int, type: str, detail: str, fields: dict[str, object] | None = None) -> None:
        self.status = status
        self.type = type
        self.fields = fields or {}
        super().__init__(f"The service refused the request ({status} {type}): {detail}")


class OrganizationOccupied(UplinkError):
    """Another connector works for the organization; nothing was changed, and the ticket is still good.

    ``host`` and ``version`` are that connector's, ``last_contact`` when it last spoke, ISO 8601, None for never.
    """

    exit_code = 4

    def __init__(self, host: str, version: str, last_contact: str | None) -> None:
        self.host = host
        self.version = version
        self.last_contact = last_contact
        seen = f"last heard of at {last_contact}" if last_contact else "not heard of yet"
        super().__init__(
            f"Another connector is enrolled for this organization, on {host or 'an unknown host'} ({seen}).",
            "Enrol in its place if it is to be replaced; the ticket is still good.",
        )


class WriteRefused(GatepostError):
    """A write to Exchange may not start; nothing of it was sent.

    ``why`` is mode, scope, ceiling, settings, permit or lease.
    """

    exit_code = 4

    def __init__(self, why: str, cause: str, remedy: str = "") -> None:
        self.why = why
        super().__init__(cause, remedy)


class StoreError(GatepostError):
    """The connector's store cannot be opened or written. It may be deleted at any time."""


class ServiceError(GatepostError):
    """Something inside the service."""


class NoTenantScope(ServiceError):
    """A tenant statement was run without a tenant scope."""


class NotDelivered(ServiceError):
    """An alert was not delivered; ``uncertain`` where it may have arrived all the same."""

    def __init__(self, cause: str, remedy: str = "", *, uncertain: bool = False) -> None:
        self.uncertain = uncertain
        super().__init__(cause, remedy)


class Problem(ServiceError):
    """What an HTTP request is answered with, as application/problem+json (RFC 9457).

    ``type`` is a short word (``sequence-gap``); ``fields`` are extra members of the document.
    """

    def __init__(self, status: int, type: str, detail: str, **fields: object) -> None:
        self.status = status
        self.type = type
        self.detail = detail
        self.fields = fields
        super().__init__(detail)


class DatabaseError(ServiceError):
    """The database cannot be reached or started, or its schema is not the one this version needs."""

    exit_code = 5
