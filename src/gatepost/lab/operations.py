"""The operations of WS-Management on shells: an envelope in, an envelope out."""

from collections.abc import Callable

from gatepost.lab import wsman
from gatepost.lab.dialects import Dialect, Fault
from gatepost.lab.faults import Faults
from gatepost.lab.shells import Shells, decode
from gatepost.lab.wsman import Request, Writer

THROTTLE = 2_500
"""How long a throttled user is told to wait, in milliseconds."""


class Service:
    """Answers requests of signed-in users. ``address`` is what Create says the endpoint is."""

    def __init__(self, shells: Shells, machine: str, dialect: Dialect, faults: Faults) -> None:
        self._shells = shells
        self._machine = machine
        self._faults = faults
        prefixes = wsman.OTHER_PREFIXES if dialect.other_prefixes else wsman.DEFAULT_PREFIXES
        self._write = Writer(prefixes, dialect.language)
        self._operations: dict[str, Callable[[Request, str, bool, str], list[bytes]]] = {
            wsman.CREATE: self._create,
            wsman.COMMAND: self._command,
            wsman.SEND: self._send,
            wsman.RECEIVE: self._receive,
            wsman.SIGNAL: self._signal,
            wsman.DELETE: self._delete,
        }

    def answer(self, data: bytes, user: str, address: str, *, full: bool) -> tuple[int, list[bytes], Request | None]:
        """The status, the parts of the answer, and the request as far as it was read."""
        request: Request | None = None
        try:
            request = wsman.parse(data)
            operation = self._operations.get(request.action, _unsupported)
            return 200, operation(request, user, full, address), request
        except wsman.Fault as fault:
            relates_to = request.message_id if request else ""
            return 500, [self._write.fault(relates_to, fault, self._machine)], request

    def lost(self, request: Request) -> list[bytes]:
        """The fault that a shell is gone, for a request that went to the wrong server."""
        return [self._write.fault(request.message_id, wsman.shell_gone(request.shell or ""), self._machine)]

    def _create(self, request: Request, user: str, full: bool, address: str) -> list[bytes]:
        if request.resource.lower() != wsman.RESOURCE.lower():
            raise wsman.Fault(
                wsman.UNSUPPORTED_RESOURCE,
                "InvalidResourceURI",
                f"The WS-Management service cannot process the request. The resource URI {request.resource} was not "
                "found.",
            )
        if self._faults.strikes(Fault.ACCESS_DENIED):
            raise wsman.Fault(wsman.ACCESS_DENIED, "AccessDenied", "Access is denied.")
        if self._faults.strikes(Fault.TOO_MANY_SHELLS):
            raise wsman.too_many_shells(len(self._shells))
        content = wsman.text_of(request.body, wsman.POWERSHELL, "creationXml")
        if content is None:
            raise wsman.bad_request("Create has no creationXml.")
        element = request.body.find(f"{{{wsman.SHELL}}}Shell")
        number = element.get("ShellId") if element is not None else None
        shell = self._shells.create(number.upper() if number else None, user, full=full)
        try:
            shell.send(decode(content))
        except wsman.Fault:
            self._shells.delete(shell)
            raise
        return [self._write.created(request, address, shell.id, user)]

    def _command(self, request: Request, user: str, _full: bool, _address: str) -> list[bytes]:
        shell = self._shells.find(request.shell, user)
        if self._faults.strikes(Fault.THROTTLED):
            raise wsman.too_many_commands(THROTTLE)
        data = decode(wsman.text_of(request.body, wsman.SHELL, "Arguments"))
        return [self._write.commanded(request, shell.command(request.command, data))]

    def _send(self, request: Request, user: str, _full: bool, _address: str) -> list[bytes]:
        shell = self._shells.find(request.shell, user)
        for stream in request.body.iter(f"{{{wsman.SHELL}}}Stream"):
            shell.send(decode(stream.text))
        return [self._write.answer(request, self._write.tag(wsman.SHELL, "SendResponse"))]

    def _receive(self, request: Request, user: str, _full: bool, _address: str) -> list[bytes]:
        if request.command and self._faults.strikes(Fault.SHELL_LOST):
            raise wsman.shell_gone(request.shell or "")
        if request.command and self._faults.strikes(Fault.THROTTLED_OUTPUT):
            raise wsman.too_many_commands(THROTTLE)
        shell = self._shells.find(request.shell, user)
        ends = self._write.stream_ends(request.command)
        parts, done = shell.receive(request.command, request.timeout, request.envelope, ends)
        return self._write.received(request, request.command, parts, done)

    def _signal(self, request: Request, user: str, _full: bool, _address: str) -> list[bytes]:
        shell = self._shells.find(request.shell, user)
        shell.signal(request.command or "", wsman.text_of(request.body, wsman.SHELL, "Code") or "")
        return [self._write.answer(request, self._write.tag(wsman.SHELL, "SignalResponse"))]

    def _delete(self, request: Request, user: str, _full: bool, _address: str) -> list[bytes]:
        self._shells.delete(self._shells.find(request.shell, user))
        return [self._write.answer(request, "")]


def _unsupported(request: Request, _user: str, _full: bool, _address: str) -> list[bytes]:
    """An action that the lab does not know: Get, Enumerate, Disconnect and the like."""
    raise wsman.Fault(
        wsman.UNSUPPORTED_RESOURCE,
        "ActionNotSupported",
        f"The action {request.action} is not supported by the service.",
    )
