"""Calls of declared cmdlets on one organization: by the name that exists here, projected where that works.

What reads is repeated where that can help; what writes is sent once, and if its end is not known, that is said.
"""

import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from gatepost.domain.devices import Capabilities
from gatepost.errors import (
    CmdletFailed,
    CmdletNotGranted,
    ExchangeBusy,
    ExchangeError,
    UnreadableObject,
    WireError,
    WriteUncertain,
)
from gatepost.exchange.cmdlets import project
from gatepost.exchange.commands import UNLIMITED, Cmdlet, build
from gatepost.exchange.pool import Pool
from gatepost.exchange.reading import Row, readable
from gatepost.exchange.sessions import Session
from gatepost.exchange.transport import Permit
from gatepost.wire import clixml
from gatepost.wire.creating import Command

T = TypeVar("T")
Rows = Generator[Row | UnreadableObject, None, None]

_OPEN = re.compile("Transient|Timeout|Ldap|DirectoryOperation|Stopped|IOException|COMException")
"""Names of what is thrown where a cmdlet lost its way, perhaps behind its writing: that is no answer."""
_DOMAIN = re.compile(r"(?:(?<!\\),\s*DC=[^,]+)+$", re.IGNORECASE)


class Calls:
    """Runs cmdlets in the sessions of a pool. ``write_timeout`` bounds one write or one small reading, in seconds."""

    def __init__(self, pool: Pool, capabilities: Capabilities, write_timeout: float) -> None:
        self.pool = pool
        self.capabilities = capabilities
        self._write_timeout = write_timeout
        self._granted = {name.lower(): parameters for name, parameters in capabilities.cmdlets.items()}

    def name(self, cmdlet: Cmdlet) -> str:
        """The name of a cmdlet here. Raises CmdletNotGranted where it should have one of two, and has neither.

        One with a single name is tried although it was not listed: Exchange says best what is not granted.
        """
        for name in cmdlet.names:
            if cmdlet.old is None or name.lower() in self._granted:
                return name
        raise CmdletNotGranted(cmdlet.name, server=self.pool.server, role=cmdlet.role)

    def require(self, cmdlet: Cmdlet, parameter: str) -> None:
        """Raise CmdletNotGranted where a cmdlet exists without this parameter."""
        name = self.name(cmdlet)
        granted = {entry.lower() for entry in self._granted.get(name.lower(), ())}
        if granted and cmdlet.called(name, parameter).lower() not in granted:
            raise CmdletNotGranted(name, server=self.pool.server, parameter=parameter, role=cmdlet.role)

    def fields(self, cmdlet: Cmdlet, fields: Iterable[str] = ()) -> tuple[str, ...]:
        """The properties to read, those declared unless others are given, as they are called here."""
        name = self.name(cmdlet)
        return tuple(cmdlet.called(name, field) for field in fields or cmdlet.fields)

    def at(self, dn: str | None) -> dict[str, Any]:
        """The parameter that names a domain controller of the domain of ``dn``; none where none is known."""
        controller = controller_of(dn, self.capabilities.controllers)
        return {} if controller is None else {"DomainController": controller}

    @property
    def at_configuration(self) -> dict[str, Any]:
        """The parameter for what the whole forest shares: one controller, for reading back what was written."""
        controller = self.capabilities.domain_controller
        return {} if controller is None else {"DomainController": controller}

    def read(self, cmdlet: Cmdlet, fields: Iterable[str] = (), **parameters: Any) -> list[Row]:  # noqa: ANN401
        """A small answer, whole. Raises the ExchangeError family; an unreadable object in it is an error."""
        return self.pool.read(lambda session: self.read_in(session, cmdlet, fields, **parameters))

    def read_in(self, session: Session, cmdlet: Cmdlet, fields: Iterable[str] = (), **parameters: Any) -> list[Row]:  # noqa: ANN401
        """The same in a session at hand."""
        chosen = self.fields(cmdlet, fields)
        command = build(cmdlet, self.name(cmdlet), **parameters)
        return readable(clixml.Rows(chosen).decode(session.objects(*self._projected(command, chosen))))

    def stream(self, cmdlet: Cmdlet, fields: Iterable[str] = (), **parameters: Any) -> Rows:  # noqa: ANN401
        """A bulk listing, row by row as it arrives; none is kept."""
        chosen = self.fields(cmdlet, fields)
        pipeline = self._projected(build(cmdlet, self.name(cmdlet), ResultSize=UNLIMITED, **parameters), chosen)

        def found(session: Session) -> Iterator[Row | UnreadableObject]:
            rows = clixml.Rows(chosen)
            for batch in session.output(*pipeline):
                yield from rows.decode(batch)

        yield from self.pool.stream(found)

    def write(self, cmdlet: Cmdlet, permit: Permit, **parameters: Any) -> None:  # noqa: ANN401
        """Send one write, once. ``permit`` is asked just before its bytes leave.

        Raises what Exchange answers, WriteRefused where it was not permitted, WriteUncertain where it was sent and its
        end is not known.
        """
        command = build(cmdlet, self.name(cmdlet), **parameters)
        for parameter in parameters:
            self.require(cmdlet, parameter)
        sent = threading.Event()

        def permitted() -> None:
            permit()
            sent.set()

        def once(session: Session) -> None:
            with session.within(self._write_timeout):
                session.objects(command, permit=permitted)

        try:
            self.pool.write(once)
        except (ExchangeError, WireError) as error:
            if not sent.is_set() or _is_answer(error):
                raise
            raise WriteUncertain(command.name, error.cause, server=self.pool.server) from error

    def one(self, cmdlet: Cmdlet, fields: Iterable[str], guid: str, **parameters: Any) -> Row:  # noqa: ANN401
        """The object of a guid; ``fields`` begin with Guid. Raises CmdletFailed, ``not_found`` where there is none."""
        return self.pool.read(lambda session: self.one_in(session, cmdlet, fields, guid, **parameters))

    def one_in(
        self,
        session: Session,
        cmdlet: Cmdlet,
        fields: Iterable[str],
        guid: str,
        **parameters: Any,  # noqa: ANN401
    ) -> Row:
        """The same in a session at hand. Exchange may answer with other objects than the one asked for."""
        with session.within(self._write_timeout):
            rows = self.read_in(session, cmdlet, fields, Identity=guid, **parameters)
        found = next((row for row in rows if str(row[0]).lower() == guid.lower()), None)
        if found is None:
            raise CmdletFailed(
                self.name(cmdlet),
                f"it does not answer with {guid}",
                server=self.pool.server,
                exception_type="ManagementObjectNotFoundException",
            )
        return found

    def written(self, cmdlet: Cmdlet, permit: Permit, read: Callable[[], T], **parameters: Any) -> T:  # noqa: ANN401
        """Write, and read back by ``read``. Raises as ``write``; also WriteUncertain where it cannot be read back."""
        self.write(cmdlet, permit, **parameters)
        try:
            return read()
        except (ExchangeError, WireError) as error:
            why = f"it cannot be read back. {error.cause}"
            raise WriteUncertain(self.name(cmdlet), why, server=self.pool.server) from error

    def remove(self, cmdlet: Cmdlet, permit: Permit, read: Callable[[], object], **parameters: Any) -> None:  # noqa: ANN401
        """Remove what ``read`` reads, unless it is gone already; it must be gone afterwards."""
        if not _is_there(read):
            return
        if self.written(cmdlet, permit, lambda: _is_there(read), **parameters):
            raise CmdletFailed(self.name(cmdlet), "what it should have removed is still there", server=self.pool.server)

    def _projected(self, command: Command, fields: tuple[str, ...]) -> tuple[Command, ...]:
        return (command, project(fields)) if self.capabilities.projection else (command,)


def controller_of(dn: str | None, controllers: Iterable[str]) -> str | None:
    """The first domain controller that belongs to the domain of a distinguished name, None where none does.

    A controller's domain is what follows its own label; another domain's controller does not hold the object.
    """
    found = _DOMAIN.search(dn or "")
    domain = ".".join(part.partition("=")[2].strip().lower() for part in found[0].split(",")[1:]) if found else ""
    return next((name for name in controllers if domain and name.lower().partition(".")[2] == domain), None)


def _is_there(read: Callable[[], object]) -> bool:
    try:
        read()
    except CmdletFailed as error:
        if error.not_found:
            return False
        raise
    return True


def _is_answer(error: Exception) -> bool:
    """Whether an error is Exchange's own word that it did not carry a command out."""
    if isinstance(error, ExchangeBusy):
        return error.about in {"commands", "shells"}
    if isinstance(error, CmdletFailed):
        return not _OPEN.search(error.exception_type.rpartition(".")[2])
    return isinstance(error, CmdletNotGranted)
