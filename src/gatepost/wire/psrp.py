"""One runspace pool and its pipelines (MS-PSRP), seen by the client, without a transport.

psrpcore holds the state machines and writes what opens a pool. What it never sees is what comes or goes with every
cmdlet: pipeline output, which is taken out between reassembly and psrpcore and goes to ``wire.clixml``; the message
that creates a pipeline (``wire.creating``); and that a pipeline completed. Nothing here is retained once an event was
given out.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID
from xml.etree.ElementTree import ParseError

import psrpcore
from psrpcore.types import HostMethodIdentifier, PSInvocationState, RunspacePoolState

from gatepost.errors import UnsafeXml, WireError
from gatepost.wire.creating import Command, creation

PIPELINE_OUTPUT = 0x00041004
_PIPELINE_STATE = 0x00041006
_CREATE_PIPELINE = 0x00021006
_TO_SERVER = 2
_OPENING_MESSAGES = 2
_COMPLETED = re.compile(rb'<Obj RefId="\d+"><MS><I32 N="PipelineState">4</I32></MS></Obj>')
_FRAGMENT = struct.Struct(">QQBI")
_MESSAGE = struct.Struct("<II16s16s")
_MESSAGE_BYTES = 64 * 1024 * 1024
_OTHER_BYTES = 8 * 1024 * 1024
_DEPTH = 64
_START, _END = 1, 2
_BOM = b"\xef\xbb\xbf"


class Message(NamedTuple):
    """One PSRP message: its type, its CLIXML without a byte order mark, and all its bytes as received."""

    type: int
    payload: bytes
    raw: bytes


class Reassembler:
    """Fragments in, messages out (MS-PSRP 2.2.4). A fragment may be split over any number of chunks.

    ``finish`` raises WireError if the data ended within a fragment or a message.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._parts: dict[int, list[bytes]] = {}
        self._held = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages that this chunk completes, in order. Raises WireError where fragments do not fit together."""
        data = self._rest + data if self._rest else data
        position, end, done = 0, len(data), []
        unpack, header = _FRAGMENT.unpack_from, _FRAGMENT.size
        while end - position >= header:
            object_id, number, flags, length = unpack(data, position)
            if length > _MESSAGE_BYTES:
                raise WireError(f"A fragment of {length} bytes is announced, more than any answer of Exchange holds.")
            after = position + header + length
            if after > end:
                break
            blob = data[position + header : after]
            position = after
            if flags & 3 == 3 and number == 0:
                done.append(_message(blob))
            elif (whole := self._collect(object_id, number, flags, blob)) is not None:
                done.append(_message(whole))
        self._rest = data[position:]
        return done

    def finish(self) -> None:
        """Say that no more data comes."""
        if self._rest or self._parts:
            raise WireError("The answer ended in the middle of a fragment.", "Nothing of it was used; try again.")

    def _collect(self, object_id: int, number: int, flags: int, blob: bytes) -> bytes | None:
        """Keep one part of a message; the whole message once its last part is there."""
        parts = self._parts.setdefault(object_id, [])
        if number != len(parts) or bool(flags & _START) != (number == 0):
            raise WireError(f"Fragment {number} of object {object_id} came where fragment {len(parts)} was due.")
        parts.append(blob)
        self._held += len(blob)
        if self._held > _MESSAGE_BYTES:
            raise WireError(f"Messages of more than {_MESSAGE_BYTES} bytes were begun and not ended.")
        if not flags & _END:
            return None
        whole = b"".join(self._parts.pop(object_id))
        self._held -= len(whole)
        return whole


def _message(data: bytes) -> Message:
    if len(data) < _MESSAGE.size:
        raise WireError(f"A message of {len(data)} bytes is too short for its header.")
    payload = data[_MESSAGE.size :]
    return Message(int.from_bytes(data[4:8], "little"), payload[3:] if payload.startswith(_BOM) else payload, data)


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """What went wrong in a pipeline or a runspace. Match on the id and the type: the message is in any language."""

    message: str
    error_id: str = ""
    category: int = 0
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """One object of the pipeline's output, as CLIXML."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning, in the server's language."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The pipeline is over; ``error`` is set where it failed or was stopped."""

    error: ErrorRecord | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The server waits for a person (a confirmation, a prompt): nobody will answer, so the pipeline must be ended."""

    question: str


Event = Output | ErrorRecord | Warned | Ended | Asked


class Runspace:
    """The client's half of a runspace pool that holds one runspace."""

    def __init__(self, pool_id: UUID) -> None:
        self._pool = psrpcore.ClientRunspacePool(runspace_pool_id=pool_id)
        self._reassembler = Reassembler()
        self._numbers = count(_OPENING_MESSAGES + 1)
        self.broken: ErrorRecord | None = None

    @property
    def opened(self) -> bool:
        """Whether pipelines may be started."""
        return bool(self._pool.state == RunspacePoolState.Opened)

    def opening(self) -> bytes:
        """The messages that open the pool, for the body of the shell's creation."""
        self._pool.open()
        payload = self._pool.data_to_send()
        return bytes(payload.data) if payload else b""

    def feed(self, data: bytes) -> None:
        """Take what the pool's own stream brought; changes ``opened`` and ``broken``."""
        for message in self._reassembler.feed(data):
            for event in _events(self._pool, message):
                if isinstance(event, psrpcore.RunspacePoolStateEvent) and event.state == RunspacePoolState.Broken:
                    self.broken = _record(event.reason) or ErrorRecord("the runspace is broken")

    def pipeline(self, pipeline_id: UUID, commands: Sequence[Command]) -> "Pipeline":
        """A pipeline of commands, not yet sent."""
        return Pipeline(self._pool, pipeline_id, next(self._numbers), commands)


class Pipeline:
    """One pipeline: its first messages out, its events in."""

    def __init__(
        self, pool: psrpcore.ClientRunspacePool, pipeline_id: UUID, number: int, commands: Sequence[Command]
    ) -> None:
        self._pool = pool
        self._id = pipeline_id
        self._number = number
        self._commands = commands
        self._reassembler = Reassembler()

    def opening(self, first: int, further: int) -> list[bytes]:
        """The pipeline's message in pieces of at most ``first`` bytes, then ``further`` bytes each."""
        ids = self._pool.runspace_pool_id.bytes_le, self._id.bytes_le
        left = _MESSAGE.pack(_TO_SERVER, _CREATE_PIPELINE, *ids) + creation(self._commands)
        pieces: list[bytes] = []
        while left:
            size = (further if pieces else first) - _FRAGMENT.size
            blob, left = left[:size], left[size:]
            flags = (0 if pieces else _START) | (0 if left else _END)
            pieces.append(_FRAGMENT.pack(self._number, len(pieces), flags, len(blob)) + blob)
        return pieces

    def feed(self, data: bytes) -> list[Event]:
        """What a chunk of the pipeline's stream says, in order."""
        found: list[Event] = []
        for message in self._reassembler.feed(data):
            if message.type == PIPELINE_OUTPUT:
                found.append(Output(message.payload))
            elif message.type == _PIPELINE_STATE and _COMPLETED.fullmatch(message.payload):
                found.append(Ended())
            else:
                found.extend(event for event in map(_translate, self._read(message)) if event is not None)
        return found

    def _read(self, message: Message) -> Iterator[Any]:
        """The events of psrpcore. It keeps what state a pipeline is in, so it must know of the pipeline by then."""
        if message.type == _PIPELINE_STATE:
            psrpcore.ClientPowerShell(self._pool, pipeline_id=self._id)
        return _events(self._pool, message)

    def finish(self) -> None:
        """Say that the command is done; raises WireError if its output ended within a fragment."""
        self._reassembler.finish()

    def close(self) -> None:
        """Forget the pipeline."""
        self._pool.pipeline_table.pop(self._id, None)


def _events(pool: psrpcore.ClientRunspacePool, message: Message) -> Iterator[Any]:
    """What psrpcore makes of one message, given as a single fragment. Hostile or foreign XML is a WireError."""
    _check(message.payload)
    fragment = _FRAGMENT.pack(1, 0, _START | _END, len(message.raw)) + message.raw
    try:
        pool.receive_data(psrpcore.PSRPPayload(fragment, psrpcore.StreamType.default, None))
        while (event := pool.next_event()) is not None:
            yield event
    except (psrpcore.PSRPCoreError, ParseError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise WireError(f"A message of type {message.type:#x} cannot be read: {error}.") from error


def _check(payload: bytes) -> None:
    """Refuse what must not reach a recursive reader of XML."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"A message is not UTF-8: {error.reason}.") from error
    if "<!DOCTYPE" in text or "\0" in text:
        raise UnsafeXml("A message contains a DOCTYPE or a NUL, which no Exchange server sends.")
    if len(payload) > _OTHER_BYTES:
        raise UnsafeXml(f"A message that is not output is {len(payload)} bytes long.")
    depth = deepest = 0
    for piece in payload.split(b"<")[1:]:
        if piece.startswith(b"/"):
            depth -= 1
        elif not piece.startswith((b"?", b"!")) and not piece.partition(b">")[0].endswith(b"/"):
            depth += 1
            deepest = max(deepest, depth)
    if deepest > _DEPTH:
        raise UnsafeXml(f"A message is nested {deepest} deep; at most {_DEPTH} is read.")


def _translate(event: Any) -> Event | None:  # noqa: ANN401 - psrpcore's events
    """An event of ours for one of psrpcore's; None for progress, verbose and the like."""
    if isinstance(event, psrpcore.ErrorRecordEvent):
        return _record(event.record)
    if isinstance(event, psrpcore.WarningRecordEvent):
        return Warned(str(event.record.Message))
    if isinstance(event, psrpcore.PipelineStateEvent):
        return _ended(event)
    if isinstance(event, psrpcore.PipelineHostCallEvent):
        return _asked(event)
    return None


def _ended(event: Any) -> Ended | None:  # noqa: ANN401 - psrpcore's events
    if event.state == PSInvocationState.Completed:
        return Ended()
    if event.state in (PSInvocationState.Failed, PSInvocationState.Stopped):
        return Ended(_record(event.reason) or ErrorRecord(f"the pipeline ended as {event.state.name.lower()}"))
    return None


def _asked(event: Any) -> Asked | None:  # noqa: ANN401 - psrpcore's events
    """A host call that expects an answer; those that only write to a screen are passed over."""
    method = event.method_identifier
    reading = {
        HostMethodIdentifier.Prompt, HostMethodIdentifier.PromptForChoice, HostMethodIdentifier.PromptForCredential1,
        HostMethodIdentifier.PromptForCredential2, HostMethodIdentifier.ReadLine,
        HostMethodIdentifier.ReadLineAsSecureString, HostMethodIdentifier.PromptForChoiceMultipleSelection,
    }  # fmt: skip
    return Asked(method.name) if method in reading else None


def _record(record: Any) -> ErrorRecord | None:  # noqa: ANN401 - psrpcore's record
    """Our fields of an error record; each may be missing."""
    if record is None:
        return None
    exception = getattr(record, "Exception", None)
    details = getattr(getattr(record, "ErrorDetails", None), "Message", None)
    info = getattr(record, "CategoryInfo", None)
    category = getattr(info, "Category", 0)
    return ErrorRecord(
        message=str(details or getattr(exception, "Message", None) or "no message"),
        error_id=str(getattr(record, "FullyQualifiedErrorId", "") or ""),
        category=int(getattr(category, "value", 0) or 0),
        exception_type=_type_name(exception, str(getattr(info, "Reason", "") or "")),
    )


def _type_name(exception: Any, reason: str) -> str:  # noqa: ANN401 - psrpcore's object
    """The type of what was thrown; its short name, which is the category's reason, where another session passed it on.

    A server that hands the session to another one wraps errors as ``RemoteException``.
    """
    names = getattr(getattr(exception, "PSObject", None), "type_names", None) or [""]
    name = str(names[0]).removeprefix("Deserialized.")
    return reason or name if name.rpartition(".")[2] in {"", "RemoteException"} else name
