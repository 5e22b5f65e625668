"""A session: one shell with one runspace on an Exchange server, opened, used by one thread, and closed always.

A session turns commands into streams of objects and everything that goes wrong into the ExchangeError family. It knows
no cmdlet. An unclosed shell counts against the account until it expires, so ``close`` runs after a failure too.
"""

import logging
import math
import re
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from gatepost.errors import (
    AnswerTruncated,
    CmdletFailed,
    CmdletNotGranted,
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    GatepostError,
    NotExchange,
    SessionLost,
    SignInRefused,
    WireError,
)
from gatepost.exchange.cmdlets import role_of
from gatepost.exchange.transport import NotSent, Permit, Transport
from gatepost.settings import ExchangeSettings
from gatepost.wire import soap
from gatepost.wire.creating import Command
from gatepost.wire.psrp import Asked, Ended, ErrorRecord, Event, Output, Pipeline, Runspace, Warned

log = logging.getLogger(__name__)

CONFIGURATION = soap.RESOURCE_PREFIX + "Microsoft.Exchange"
_OPERATION_TIMEOUT = 20.0
_SILENCE = 900.0
_CLOSING = 5.0
_MOMENT = 0.05
_PIECE = 48 * 1024
_ACCESS_DENIED = 5
_BROKEN = frozenset(
    {"InvalidRunspaceStateException", "InvalidRunspacePoolStateException", "PSRemotingTransportException"}
)


class Session:
    """One open runspace. A context manager; not to be shared by threads."""

    def __init__(self, settings: ExchangeSettings, password: str | None, proxy_password: str | None = None) -> None:
        self._transport = Transport(settings, password, proxy_password)
        self._settings = settings
        self._id = uuid4()
        self._runspace = Runspace(self._id)
        self._shell: dict[str, str] = {}
        self._left = threading.Event()
        self._closing = min(_CLOSING, settings.timeout)
        self._ahead: Future[soap.Received] | None = None
        self._until = math.inf
        self.server = urlsplit(settings.url).hostname or settings.url

    @classmethod
    def open(cls, settings: ExchangeSettings, password: str | None) -> Self:
        """A session whose runspace is open. Raises the ExchangeError family; leaves no shell behind."""
        session = cls(settings, password)
        try:
            session.start()
        except BaseException:
            session.close()
            raise
        return session

    def start(self) -> None:
        """Open the shell and its runspace. Raises the ExchangeError family; ``close`` deletes what it left then."""
        opening = self._runspace.opening()
        try:
            reply = self._ask(
                soap.create(self._target(), uuid4(), self._id, opening), "opening a session", self._shell_may_be
            )
        except (ExchangeUnreachable, WireError):
            raise
        except GatepostError:
            self._shell = {}
            raise
        self._shell = soap.read_shell(reply)
        while not self._runspace.opened:
            for stream in self._received(None, self._left).streams:
                self._runspace.feed(stream)
            if self._runspace.broken is not None:
                raise NotExchange(
                    f"{self.server} could not open a runspace: {self._runspace.broken.message}",
                    "Check that the account may use remote PowerShell (RemotePowerShellEnabled).",
                    server=self.server,
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def sign_in(self) -> str:
        """How this session signed in: kerberos, ntlm or basic."""
        return self._transport.sign_in

    def cut(self) -> None:
        """End what is under way, from any thread: it fails at once. Only ``close`` is of use afterwards."""
        self._left.set()
        self._transport.cut()

    def close(self) -> bool:
        """Delete the shell and close the connection; whether no shell is left. Never raises.

        One that could not be deleted can be tried again by another call; Exchange ends it after a while by itself.
        """
        self._left.set()
        self._come_back()
        end = time.monotonic() + self._closing
        try:
            # Twice, for the first answer that there is no such shell may come from a server that never had it.
            for last in (False, True):
                if self._shell and time.monotonic() < end and self._deleted(end - time.monotonic(), last):
                    self._shell = {}
        finally:
            self._transport.close()
        return not self._shell

    def _deleted(self, seconds: float, last: bool) -> bool:
        """Try to delete the shell; whether it is gone."""
        try:
            answer = soap.parse(self._transport.post(soap.delete(self._target(), uuid4(), self._shell), seconds))
        except Exception as error:
            log.info("the shell on %s could not be deleted: %s", self.server, error)
            return False
        return not isinstance(answer, soap.Fault) or (last and answer.code in soap.SHELL_GONE)

    def output(
        self, *commands: Command, errors: list[ErrorRecord] | None = None, permit: Permit | None = None
    ) -> Iterator[list[bytes]]:
        """Run a pipeline; its output objects as CLIXML, in batches as they arrive.

        Error records raise CmdletFailed after the last object, or go to ``errors`` where a list is given; a failed
        pipeline always raises. A caller that stops early ends the pipeline on the server. ``permit`` is asked just
        before any bytes leave that tell the server what to do.
        """
        pipeline_id = uuid4()
        pipeline = self._runspace.pipeline(pipeline_id, commands)
        seen: list[ErrorRecord] = [] if errors is None else errors
        command_id, over = None, False
        try:
            command_id = self._start(pipeline, pipeline_id, permit)
            with closing(self._receive(pipeline, command_id, commands[0].name, seen)) as received:
                for batch, over in received:  # noqa: B007
                    if batch:
                        yield batch
            if errors is None and seen:
                raise self._failure(commands[0].name, seen[0])
        finally:
            pipeline.close()
            if command_id is not None and not over and not self._left.is_set() and not self._is_late:
                self._end(command_id)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Whatever is asked meanwhile is over in so many seconds: no wait is longer. Only ``close`` is of use after.

        Raises ExchangeUnreachable where that was too short.
        """
        self._until = time.monotonic() + seconds
        try:
            yield
        except ExchangeUnreachable as error:
            if not self._is_late:
                raise
            raise ExchangeUnreachable(
                f"{self.server} took longer than {seconds:.0f} seconds.", server=self.server
            ) from error
        finally:
            self._until = math.inf

    def objects(
        self, *commands: Command, errors: list[ErrorRecord] | None = None, permit: Permit | None = None
    ) -> list[bytes]:
        """Run a pipeline whose output is small; all its objects."""
        return [payload for batch in self.output(*commands, errors=errors, permit=permit) for payload in batch]

    def _shell_may_be(self) -> None:
        """Once the bytes leave, there may be a shell by the name that we ask for, whether or not the answer arrives."""
        self._shell = {"ShellId": str(self._id).upper()}

    def _start(self, pipeline: Pipeline, pipeline_id: UUID, permit: Permit | None) -> str:
        """Send a pipeline; the command id that its output is asked for with, which is the pipeline's unless told."""
        first, *further = pipeline.opening(_PIECE, _PIECE)
        opening = soap.command(self._target(), uuid4(), self._shell, pipeline_id, first)
        reply = self._ask(opening, "starting a command", permit)
        command_id = soap.read_command_id(reply) or str(pipeline_id).upper()
        for piece in further:
            envelope = soap.send(self._target(), uuid4(), self._shell, command_id, piece)
            try:
                self._ask(envelope, "sending a command", permit)
            except NotSent:
                self._end(command_id)  # the session serves on, without half of a command
                raise
        return command_id

    def _receive(
        self, pipeline: Pipeline, command_id: str, name: str, errors: list[ErrorRecord]
    ) -> Generator[tuple[list[bytes], bool], None, None]:
        """Each receive's output objects, and whether the server has closed the command.

        The first is made here, for most answers are whole in it. From then on the next receive is under way while the
        caller works on this one's objects; never more than one is. One that nobody waits for any more is cut off.
        """
        left = threading.Event()
        received = self._received(command_id, left)
        batch, ended = self._sorted(pipeline, received, name, errors)
        if not ended:
            with ThreadPoolExecutor(1, "receive") as ahead:
                try:
                    while not ended:
                        asked = threading.Event()
                        coming = self._ahead = ahead.submit(self._received, command_id, left, asked.set)
                        asked.wait(_MOMENT)  # computing would keep the other thread from asking: the server would idle
                        yield batch, received.done
                        received = coming.result()
                        batch, ended = self._sorted(pipeline, received, name, errors)
                finally:
                    left.set()
                    self._come_back()
        yield batch, received.done

    def _sorted(
        self, pipeline: Pipeline, received: soap.Received, name: str, errors: list[ErrorRecord]
    ) -> tuple[list[bytes], bool]:
        """The output objects of a receive, and whether the pipeline has ended."""
        batch: list[bytes] = []
        ended = False
        for stream in received.streams:
            for event in pipeline.feed(stream):
                ended = self._take(event, name, batch, errors) or ended
        if received.done and not ended:
            pipeline.finish()
            raise WireError(f"{self.server} closed the output of {name} without an end.", "Try again.")
        return batch, ended

    def _come_back(self) -> None:
        """End the receive under way, if there is one, for the transport serves one thread."""
        while self._ahead is not None and not wait([self._ahead], _MOMENT).done:
            self._transport.cut()

    def _take(self, event: Event, name: str, batch: list[bytes], errors: list[ErrorRecord]) -> bool:
        """Sort one event; True at the end of the pipeline."""
        match event:
            case Output(payload):
                batch.append(payload)
            case ErrorRecord():
                errors.append(event)
            case Warned(text):
                self._warn(name, text)
            case Asked(question):
                raise CmdletFailed(name, f"it waits for an answer ({question})", server=self.server)
            case Ended(error):
                if error is not None:
                    raise self._failure(name, error)
                return True
        return False

    def _warn(self, name: str, text: str) -> None:
        """A warning that names -ResultSize says, in any language, that results were left out."""
        if "ResultSize" in text:
            raise AnswerTruncated(
                f"{name} on {self.server} left results out: {text}",
                "The listing is not used; ask for -ResultSize Unlimited, or look at the account's limits.",
                server=self.server,
            )
        log.warning("%s on %s warns: %s", name, self.server, text)

    def _received(self, command_id: str | None, left: threading.Event, leaves: Permit | None = None) -> soap.Received:
        """One receive that brought something; waits through operation time-outs, until its caller has ``left``.

        ``leaves`` is called when the request leaves.
        """
        silent_since = time.monotonic()
        while time.monotonic() - silent_since < _SILENCE:
            if left.is_set() or self._left.is_set():
                raise SessionLost(f"The session with {self.server} was ended from this side.", server=self.server)
            envelope = soap.receive(self._target(), uuid4(), self._shell, command_id)
            answer = soap.parse(self._transport.post(envelope, self._patience, leaves, self._left.is_set))
            if not isinstance(answer, soap.Fault):
                return soap.read_received(answer)
            if answer.code != soap.TIMED_OUT:
                raise self._fault(answer, "reading the output", "answers")
        raise ExchangeUnreachable(
            f"{self.server} sent no output for {_SILENCE:.0f} seconds.",
            "Look at the server's load.",
            server=self.server,
        )

    def _ask(self, envelope: bytes, doing: str, permit: Permit | None = None) -> soap.Reply:
        answer = soap.parse(self._transport.post(envelope, self._patience, permit, self._left.is_set))
        if isinstance(answer, soap.Fault):
            raise self._fault(answer, doing)
        return answer

    @property
    def _patience(self) -> float:
        """How long the next request may take, in seconds. Raises ExchangeUnreachable where no time is left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise ExchangeUnreachable(f"{self.server} took too long.", server=self.server)
        return min(self._settings.timeout, left)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() >= self._until

    def _end(self, command_id: str) -> None:
        """End a command on the server; one that cannot be ended goes with its shell."""
        try:
            seconds = min(self._closing, self._patience)
            self._transport.post(soap.signal(self._target(), uuid4(), self._shell, command_id), seconds)
        except GatepostError as error:
            log.warning("a command on %s could not be ended: %s", self.server, error)

    def _target(self) -> soap.Target:
        timeout = min(_OPERATION_TIMEOUT, self._settings.timeout * 2 / 3)
        return soap.Target(self._transport.address, CONFIGURATION, self._id, self._settings.envelope, timeout)

    def _failure(self, name: str, record: ErrorRecord) -> ExchangeError:
        """The error for an error record; a name or parameter that is not there was not granted."""
        if record.exception_type.endswith("CommandNotFoundException") or "CommandNotFound" in record.error_id:
            return CmdletNotGranted(name, server=self.server, role=role_of(name))
        if record.exception_type.rpartition(".")[2] in _BROKEN:
            return SessionLost(
                f"The runspace on {self.server} is broken: {record.message}",
                "Try again: that opens a new session.",
                server=self.server,
            )
        if record.error_id.startswith("NamedParameterNotFound"):
            return CmdletNotGranted(name, server=self.server, parameter=_quoted(record.message), role=role_of(name))
        return CmdletFailed(
            name,
            record.message,
            server=self.server,
            error_id=record.error_id,
            exception_type=record.exception_type,
        )

    def _fault(self, fault: soap.Fault, doing: str, about: str = "commands") -> ExchangeError:
        """The error for a SOAP fault, by its number. ``about`` is what there is too much of, where that is said."""
        says = f"{self.server} refuses {doing}: {fault.reason or fault.subcode} ({fault.code or fault.subcode})."
        if fault.code in soap.SHELL_GONE:
            return SessionLost(says, "Try again: that opens a new session.", server=self.server)
        if fault.code == soap.TOO_MANY_SHELLS:
            return ExchangeBusy(
                says,
                "Close other sessions of this account, or wait until they expire.",
                server=self.server,
                about="shells",
            )
        if fault.code == soap.TOO_MANY_COMMANDS:
            wait = _milliseconds(fault)
            return ExchangeBusy(says, "Try again after that.", server=self.server, retry_after=wait, about=about)
        if fault.code == _ACCESS_DENIED:
            return SignInRefused(says, "The account may not use remote PowerShell here.", server=self.server)
        return ExchangeError(says, "Look at the server's event log.", server=self.server)


def _quoted(message: str) -> str:
    """The first quoted word of a message: PowerShell names the parameter there, in every language."""
    match = re.search(r"['\"«„“](\w+)['\"»“”]", message)
    return match[1] if match else ""


def _milliseconds(fault: soap.Fault) -> float:
    """The wait that a micro-delay asks for, in seconds."""
    numbers: Sequence[str] = re.findall(r"\b\d{2,7}\b", fault.detail or fault.reason)
    return min(int(numbers[-1]) / 1000, 300.0) if numbers else 30.0
