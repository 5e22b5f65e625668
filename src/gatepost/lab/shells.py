"""Shells: one PSRP runspace pool each, with its pipelines and what waits to be received.

psrpcore keeps the protocol's state; a shell's condition guards it. A pipeline runs in a thread of its own, so that a
client may send it and come back for the output, and so that latency is time that passes.
"""

import base64
import binascii
import logging
import struct
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from xml.etree import ElementTree as ET

from psrpcore import (
    CreatePipelineEvent,
    GetCommandMetadataEvent,
    PipelineHostResponseEvent,
    PowerShell,
    PSRPCoreError,
    PSRPPayload,
    ServerHostRequestor,
    ServerPipeline,
    ServerRunspacePool,
    StreamType,
)
from psrpcore.types import ChoiceDescription, ErrorRecord, PSInvocationState, PSVersion

from gatepost.lab import mishaps, wsman
from gatepost.lab.calls import Session
from gatepost.lab.dialects import Fault
from gatepost.lab.errors import CmdletError, broken, no_host, no_metadata
from gatepost.lab.fragments import BOM, FRAGMENT, MESSAGE, PIPELINE_OUTPUT, TO_CLIENT, Layout, Outbox
from gatepost.lab.pipelines import Command, Engine, Output
from gatepost.lab.texts import say

log = logging.getLogger(__name__)

_HEADER = 1_024
"""Room in an answer for its envelope, in bytes."""
_ENDS = frozenset({PSInvocationState.Completed, PSInvocationState.Failed, PSInvocationState.Stopped})


class Pool(ServerRunspacePool):
    """psrpcore's pool with what the lab's own output needs."""

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self.our_capability.protocolversion = PSVersion(protocol)

    def next_object_id(self) -> int:
        """A number for a message that psrpcore does not make."""
        return self._fragment_counter


class Pipeline(ServerPipeline):
    """psrpcore's pipeline; a real server does not announce that it runs, and says why it failed."""

    def say(self, record: ErrorRecord) -> None:
        """Give an error beside the output."""
        self.write_error(
            record.Exception, category_info=record.CategoryInfo, fully_qualified_error_id=record.FullyQualifiedErrorId
        )

    def start(self) -> None:
        """Begin without a message."""
        self._change_state(PSInvocationState.Running, emit=False)

    def fail(self, record: ErrorRecord) -> None:
        """End as failed."""
        self._change_state(PSInvocationState.Failed, error=record)


@dataclass(slots=True)
class Running:
    """One pipeline of a shell: what psrpcore knows of it, what waits to be received, and whether to stop.

    ``choice`` is what a person answered to a question, by number; None until then.
    """

    pipeline: Pipeline
    outbox: Outbox
    stopped: threading.Event = field(default_factory=threading.Event)
    choice: int | None = None

    @property
    def ended(self) -> bool:
        """Whether its last state has been announced."""
        return self.pipeline.state in _ENDS


class Shell:
    """One shell of one user. Its condition guards all that psrpcore and the outboxes hold."""

    def __init__(self, number: str, user: str, engine: Engine, *, full: bool, latency: float, protocol: str) -> None:
        self.id = number
        self.user = user
        self.used = time.monotonic()
        self._engine = engine
        self._full = full
        self._latency = latency
        self._session = Session(user)
        self._pool = Pool(protocol)
        self._outbox = Outbox(self._pool.next_object_id)
        self._commands: dict[str, Running] = {}
        self._changed = threading.Condition()
        self._gone = False
        self._broken = False

    def command(self, command: str | None, data: bytes) -> str:
        """Start a pipeline from its first fragment; returns the command's id. Raises Fault."""
        with self._changed:
            number = _pipeline_id(data)
            name = command or str(number).upper()
            self._commands[name] = Running(Pipeline(self._pool, number), Outbox(self._pool.next_object_id))
            self._take(data)
            return name

    def send(self, data: bytes) -> None:
        """Take fragments: the first ones, which came with Create, or more of a command's. Raises Fault."""
        with self._changed:
            self._take(data)

    def receive(
        self, command: str | None, timeout: float, budget: int, ends: tuple[bytes, bytes]
    ) -> tuple[list[bytes], bool]:
        """What waits for the client, as stream elements of at most ``budget`` bytes, and whether the command is done.

        Waits up to ``timeout`` seconds for something. Raises Fault when there is nothing, or nothing to wait for.
        """
        with self._changed:
            self.used = time.monotonic()
            running = self._commands.get(command) if command else None
            if command and running is None:
                raise wsman.command_gone(command)
            outbox = running.outbox if running else self._outbox
            if not self._changed.wait_for(lambda: self._gone or not outbox.empty, timeout):
                raise wsman.timed_out()
            if self._gone:
                raise wsman.shell_gone(self.id)
            if command and command not in self._commands:
                raise wsman.command_gone(command)
            dialect = self._engine.dialect
            parts = outbox.fill(min(budget, dialect.envelope) - _HEADER, Layout(dialect.fragment, dialect.share), ends)
            done = running is not None and outbox.empty and running.ended
            if done and command:
                self._forget(command)
            return parts, done

    def signal(self, command: str, code: str) -> None:
        """Stop a pipeline; ``terminate`` also forgets it."""
        with self._changed:
            running = self._commands.get(command)
            if running is None:
                return
            running.stopped.set()
            running.outbox.stop()
            if running.pipeline.state == PSInvocationState.Running:
                running.pipeline.stop()
            self._deliver()
            if code.lower().endswith("terminate"):
                self._forget(command)

    def close(self) -> None:
        """End everything; who waits gets a fault."""
        with self._changed:
            self._gone = True
            for running in self._commands.values():
                running.stopped.set()
            self._changed.notify_all()

    def _forget(self, command: str) -> None:
        running = self._commands.pop(command)
        self._pool.pipeline_table.pop(running.pipeline.pipeline_id, None)

    def _take(self, data: bytes) -> None:
        """Give fragments to psrpcore and act on what they say. Raises Fault."""
        self.used = time.monotonic()
        try:
            self._pool.receive_data(PSRPPayload(data, StreamType.default, None))
            while event := self._pool.next_event():
                if isinstance(event, CreatePipelineEvent | GetCommandMetadataEvent):
                    self._start(event.pipeline_id)
                elif isinstance(event, PipelineHostResponseEvent):
                    self._answered(event)
        except (PSRPCoreError, ET.ParseError, struct.error, ValueError, KeyError, AttributeError) as error:
            raise wsman.bad_request(f"The PowerShell message cannot be read: {error}.") from error
        self._deliver()

    def _answered(self, event: PipelineHostResponseEvent) -> None:
        """A person has answered, or the client could not ask."""
        for running in self._commands.values():
            if running.pipeline.pipeline_id == event.pipeline_id:
                running.choice = -1 if event.error else int(event.result or 0)

    def _start(self, number: uuid.UUID) -> None:
        """Run a pipeline in a thread."""
        running = next(found for found in self._commands.values() if found.pipeline.pipeline_id == number)
        running.pipeline.start()
        if not self._engine.faults.strikes(Fault.SILENT):
            threading.Thread(target=self._run, args=(running,), name=f"pipeline {number}", daemon=True).start()

    def _run(self, running: Running) -> None:
        """The life of one pipeline: latency, the cmdlet, its output."""
        delayed = self._engine.faults.strikes(Fault.MICRO_DELAY)
        if running.stopped.wait(self._latency + delayed * mishaps.DELAY) or self._has_mishap(running):
            return
        details = running.pipeline.metadata
        commands = details.commands if isinstance(details, PowerShell) else []
        result = self._result(running, commands)
        with self._changed:
            if self._gone or running.stopped.is_set():
                return
            if isinstance(result, CmdletError):
                first = "" if not commands or commands[0].is_script else commands[0].command_text
                running.pipeline.fail(result.record(first, self._engine.voice))
            else:
                if delayed:
                    result.warnings.append(mishaps.DELAYED)
                self._give(running, result)
            self._deliver()

    def _has_mishap(self, running: Running) -> bool:
        """Whether a fault keeps a pipeline from running at all."""
        with self._changed:
            self._broken = self._broken or self._engine.faults.strikes(Fault.RUNSPACE_BROKEN)
            if self._broken:
                running.pipeline.fail(mishaps.broken_runspace())
            elif self._engine.faults.strikes(Fault.PROMPT):
                running.pipeline.host_call(*mishaps.QUESTION)
            else:
                return False
            self._deliver()
        return True

    def _result(self, running: Running, commands: Sequence[Command]) -> Output | CmdletError:
        """What the engine makes of the commands. Metadata, which asks for none, is not served."""
        if not commands:
            return no_metadata()
        try:
            ask = partial(self._ask, running)
            return self._engine.run(commands, self._session, self.id, full=self._full, ask=ask)
        except CmdletError as error:
            return error
        except Exception as error:
            log.exception("a cmdlet failed")
            return broken(error)

    def _ask(self, running: Running, question: str) -> bool:
        """Ask the person at the client, and wait. Raises CmdletError where the client said that there is nobody."""
        language = self._engine.dialect.language
        choices = [ChoiceDescription(say(name, {}, language)) for name in ("yes", "yes-all", "no", "no-all")]
        with self._changed:
            details = running.pipeline.metadata
            host = details.host if isinstance(details, PowerShell) else None
            host = self._pool.host if host is not None and host.UseRunspaceHost else host
            if host is None or host.IsHostNull or host.IsHostUINull:
                raise no_host(question)
            ServerHostRequestor(running.pipeline).prompt_for_choice(say("confirm", {}, language), question, choices, 0)
            self._deliver()
            self._changed.wait_for(lambda: running.choice is not None or running.stopped.is_set() or self._gone)
            answer, running.choice = running.choice, None
            return answer in {0, 1}

    def _give(self, running: Running, output: Output) -> None:
        """Let the outbox pull the objects; what is said beside them, and the end, follow the last."""
        pipeline = running.pipeline
        ids = self._pool.runspace_pool_id.bytes_le, pipeline.pipeline_id.bytes_le
        head = self._with_bom(MESSAGE.pack(TO_CLIENT, PIPELINE_OUTPUT, *ids))
        if self._engine.dialect.progress:
            pipeline.write_progress("Listing", 1, "0 of many", percent_complete=0)
            pipeline.write_verbose("The lab is about to answer.")

        half_way = self._engine.faults.strikes(Fault.HALF_WAY)
        objects = mishaps.first_half(output.objects) if half_way else output.objects

        def ended() -> None:
            if half_way:
                pipeline.fail(mishaps.failed_half_way())
                self._deliver()
                return
            for warning in output.warnings:
                pipeline.write_warning(warning)
            for cmdlet, error in output.failures:
                pipeline.say(error.record(cmdlet, self._engine.voice))
            pipeline.complete()
            self._deliver()

        running.outbox.run((head + data for data in objects), ended)

    def _deliver(self) -> None:
        """Move what psrpcore has made to the outboxes, message by message, and wake who waits."""
        outboxes = {running.pipeline.pipeline_id: running.outbox for running in self._commands.values()}
        while payload := self._pool.data_to_send():
            outbox = outboxes.get(payload.pipeline_id, self._outbox) if payload.pipeline_id else self._outbox
            for object_id, message in _messages(payload.data):
                outbox.add(object_id, self._with_bom(message))
        self._changed.notify_all()

    def _with_bom(self, message: bytes) -> bytes:
        """The message, with a byte order mark before its text in a dialect that has one."""
        if not self._engine.dialect.bom:
            return message
        return message[: MESSAGE.size] + BOM + message[MESSAGE.size :]


def _pipeline_id(data: bytes) -> uuid.UUID:
    """The pipeline that a command's first fragment speaks of. Raises Fault."""
    if len(data) < FRAGMENT.size + MESSAGE.size:
        raise wsman.bad_request("The command holds no PowerShell message.")
    *_, number = MESSAGE.unpack_from(data, FRAGMENT.size)
    return uuid.UUID(bytes_le=number)


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    """The whole messages in psrpcore's payload, with their object ids."""
    found, at = [], 0
    while at < len(data):
        object_id, _, _, size = FRAGMENT.unpack_from(data, at)
        at += FRAGMENT.size
        found.append((object_id, data[at : at + size]))
        at += size
    return found


class Shells:
    """All shells of an endpoint, with the quota of each user. Times are in seconds."""

    def __init__(self, limit: int, idle: float, make: Callable[[str, str, bool], Shell]) -> None:
        self.limit = limit
        self.idle = idle
        self._make = make
        self._lock = threading.Lock()
        self._open: dict[str, Shell] = {}

    def __len__(self) -> int:
        with self._lock:
            return len(self._open)

    def create(self, number: str | None, user: str, *, full: bool) -> Shell:
        """A new shell. Raises Fault when the user's quota is used up."""
        self._expire()
        with self._lock:
            if sum(shell.user == user for shell in self._open.values()) >= self.limit:
                raise wsman.too_many_shells(self.limit)
            shell = self._make(number or str(uuid.uuid4()).upper(), user, full)
            self._open[shell.id] = shell
            return shell

    def find(self, number: str | None, user: str) -> Shell:
        """The user's shell of that id. Raises Fault."""
        with self._lock:
            shell = self._open.get(number or "")
        if shell is None or shell.user != user:
            raise wsman.shell_gone(number or "")
        return shell

    def delete(self, shell: Shell) -> None:
        """Close a shell."""
        with self._lock:
            self._open.pop(shell.id, None)
        shell.close()

    def close(self) -> None:
        """Close them all."""
        for shell in self._all():
            self.delete(shell)

    def _all(self) -> list[Shell]:
        with self._lock:
            return list(self._open.values())

    def _expire(self) -> None:
        now = time.monotonic()
        for shell in self._all():
            if now - shell.used > self.idle:
                self.delete(shell)


def decode(text: str | None) -> bytes:
    """Base64 of a request. Raises Fault."""
    try:
        return base64.b64decode(text or "", validate=False)
    except binascii.Error as error:
        raise wsman.bad_request("A stream is not base64.") from error
