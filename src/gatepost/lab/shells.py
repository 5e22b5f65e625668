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
from collections.abc import Callable
from xml.etree import ElementTree as ET

from psrpcore import (
    CreatePipelineEvent,
    PowerShell,
    PSRPCoreError,
    PSRPPayload,
    ServerPipeline,
    ServerRunspacePool,
    StreamType,
)
from psrpcore.types import ErrorRecord, PSInvocationState, PSVersion

from gatepost.lab import wsman
from gatepost.lab.cmdlets import Session
from gatepost.lab.dialects import Fault
from gatepost.lab.errors import CmdletError, broken, unknown_command
from gatepost.lab.fragments import BOM, FRAGMENT, MESSAGE, PIPELINE_OUTPUT, TO_CLIENT, Layout, Outbox
from gatepost.lab.pipelines import Engine, Output

log = logging.getLogger(__name__)

_HEADER = 1_024
"""Room in an answer for its envelope, in bytes."""


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

    def start(self) -> None:
        """Begin without a message."""
        self._change_state(PSInvocationState.Running, emit=False)

    def fail(self, record: ErrorRecord) -> None:
        """End as failed."""
        self._change_state(PSInvocationState.Failed, error=record)


class Shell:
    """One shell of one user."""

    def __init__(self, number: str, user: str, engine: Engine, *, full: bool, latency: float, protocol: str) -> None:
        self.id = number
        self.user = user
        self.used = time.monotonic()
        self._engine = engine
        self._full = full
        self._latency = latency
        self._session = Session(user)
        self._pool = Pool(protocol)
        self._changed = threading.Condition()
        self._gone = False
        self._pool_outbox = Outbox(self._pool.next_object_id)
        self._outboxes: dict[str, Outbox] = {}
        self._pipelines: dict[str, Pipeline] = {}
        self._stops: dict[str, threading.Event] = {}

    def open(self, data: bytes) -> None:
        """Take the first messages, which came with Create."""
        with self._changed:
            self._take(data)

    def command(self, command: str | None, data: bytes) -> str:
        """Start a pipeline from its first fragment; returns the command's id."""
        with self._changed:
            self.used = time.monotonic()
            number = uuid.UUID(bytes_le=data[FRAGMENT.size + 24 : FRAGMENT.size + 40])
            name = command or str(number).upper()
            self._pipelines[name] = Pipeline(self._pool, number)
            self._outboxes[name] = Outbox(self._pool.next_object_id)
            self._stops[name] = threading.Event()
            self._take(data)
            return name

    def send(self, data: bytes) -> None:
        """Take further fragments."""
        with self._changed:
            self.used = time.monotonic()
            self._take(data)

    def receive(
        self, command: str | None, timeout: float, budget: int, ends: tuple[bytes, bytes]
    ) -> tuple[list[bytes], bool]:
        """What waits for the client, as stream elements of at most ``budget`` bytes, and whether the command is done.

        Waits up to ``timeout`` seconds for something. Raises Fault when there is nothing, or nothing to wait for.
        """
        with self._changed:
            self.used = time.monotonic()
            outbox = self._outbox(command)
            if not self._changed.wait_for(lambda: self._gone or not outbox.empty, timeout):
                raise wsman.timed_out()
            if self._gone:
                raise wsman.shell_gone(self.id)
            dialect = self._engine.dialect
            parts = outbox.fill(min(budget, dialect.envelope) - _HEADER, Layout(dialect.fragment, dialect.share), ends)
            done = command is not None and outbox.empty and self._ended(command)
            if done and command is not None:
                self._forget(command)
            return parts, done

    def signal(self, command: str, code: str) -> None:
        """Stop a pipeline; ``terminate`` also forgets it."""
        with self._changed:
            pipeline = self._pipelines.get(command)
            if pipeline is None:
                return
            self._stops[command].set()
            self._outboxes[command].stop()
            if pipeline.state == PSInvocationState.Running:
                pipeline.stop()
            self._deliver()
            if code.lower().endswith("terminate"):
                self._forget(command)
            self._changed.notify_all()

    def close(self) -> None:
        """End everything; who waits gets a fault."""
        with self._changed:
            self._gone = True
            for stop in self._stops.values():
                stop.set()
            self._changed.notify_all()

    def _outbox(self, command: str | None) -> Outbox:
        if command is None:
            return self._pool_outbox
        if command not in self._outboxes:
            raise wsman.command_gone(command)
        return self._outboxes[command]

    def _ended(self, command: str) -> bool:
        return self._pipelines[command].state in {
            PSInvocationState.Completed,
            PSInvocationState.Failed,
            PSInvocationState.Stopped,
        }

    def _forget(self, command: str) -> None:
        pipeline = self._pipelines.pop(command)
        self._pool.pipeline_table.pop(pipeline.pipeline_id, None)
        del self._outboxes[command], self._stops[command]

    def _take(self, data: bytes) -> None:
        """Give fragments to psrpcore and act on what they say. Raises Fault."""
        try:
            self._pool.receive_data(PSRPPayload(data, StreamType.default, None))
            while event := self._pool.next_event():
                if isinstance(event, CreatePipelineEvent):
                    self._start(event)
        except (PSRPCoreError, ET.ParseError, struct.error, ValueError, KeyError, AttributeError) as error:
            raise wsman.bad_request(f"The PowerShell message cannot be read: {error}.") from error
        self._deliver()
        self._changed.notify_all()

    def _start(self, event: CreatePipelineEvent) -> None:
        """Run the pipeline in a thread."""
        name, pipeline = next(
            (name, found) for name, found in self._pipelines.items() if found.pipeline_id == event.pipeline_id
        )
        pipeline.start()
        if Fault.SILENT in self._engine.faults:
            return
        details = pipeline.metadata
        target = self._run if isinstance(details, PowerShell) else self._refuse
        threading.Thread(target=target, args=(name, pipeline), name=f"pipeline {name}", daemon=True).start()

    def _refuse(self, name: str, pipeline: Pipeline) -> None:
        with self._changed:
            if self._alive(name):
                pipeline.fail(unknown_command("Get-Command").record(""))
                self._deliver()
                self._changed.notify_all()

    def _alive(self, name: str) -> bool:
        return not self._gone and name in self._stops and not self._stops[name].is_set()

    def _run(self, name: str, pipeline: Pipeline) -> None:
        """The life of one pipeline: latency, the cmdlet, its output."""
        stop = self._stops.get(name)
        if stop is None or stop.wait(self._latency):
            return
        commands = pipeline.metadata.commands if isinstance(pipeline.metadata, PowerShell) else []
        output: Output | CmdletError
        try:
            output = self._engine.run(commands, self._session, self.id, full=self._full)
        except CmdletError as error:
            output = error
        except Exception as error:
            log.exception("a cmdlet failed")
            output = broken(error)
        with self._changed:
            if not self._alive(name):
                return
            if isinstance(output, CmdletError):
                first = str(commands[0].command_text) if commands and not commands[0].is_script else ""
                pipeline.fail(output.record(first))
                self._deliver()
            else:
                self._give(name, pipeline, output)
            self._changed.notify_all()

    def _give(self, name: str, pipeline: Pipeline, output: Output) -> None:
        """Let the outbox pull the objects; what is said beside them, and the end, follow the last."""
        outbox = self._outboxes[name]
        bom = BOM if self._engine.dialect.bom else b""
        head = (
            MESSAGE.pack(
                TO_CLIENT, PIPELINE_OUTPUT, self._pool.runspace_pool_id.bytes_le, pipeline.pipeline_id.bytes_le
            )
            + bom
        )
        if self._engine.dialect.progress:
            pipeline.write_progress("Listing", 1, "0 of many", percent_complete=0)
            pipeline.write_verbose("The lab is about to answer.")
            self._deliver()

        def ended() -> None:
            for warning in output.warnings:
                pipeline.write_warning(warning)
            for cmdlet, error in output.failures:
                self._say(pipeline, cmdlet, error)
            pipeline.complete()
            self._deliver()

        outbox.run((head + data for data in output.objects), ended)

    @staticmethod
    def _say(pipeline: Pipeline, cmdlet: str, error: CmdletError) -> None:
        record = error.record(cmdlet)
        pipeline.write_error(
            record.Exception, category_info=record.CategoryInfo, fully_qualified_error_id=record.FullyQualifiedErrorId
        )

    def _deliver(self) -> None:
        """Move what psrpcore has made to the outboxes, message by message."""
        names = {pipeline.pipeline_id: name for name, pipeline in self._pipelines.items()}
        while payload := self._pool.data_to_send():
            name = names.get(payload.pipeline_id) if payload.pipeline_id else None
            outbox = self._outboxes.get(name, self._pool_outbox) if name else self._pool_outbox
            for object_id, message in _messages(payload.data):
                outbox.add(object_id, self._with_bom(message))

    def _with_bom(self, message: bytes) -> bytes:
        if not self._engine.dialect.bom:
            return message
        return message[: MESSAGE.size] + BOM + message[MESSAGE.size :]


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
