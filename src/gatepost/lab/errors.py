"""What a cmdlet answers when it cannot do what is asked: the records that a restricted Exchange session gives.

Clients match on the .NET type and the FullyQualifiedErrorId, so these are as Exchange has them, as far as is known;
the texts are in the server's language.
"""

import zlib
from dataclasses import dataclass
from typing import Any

from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, NETException

from gatepost.lab.texts import say

_BASES = (
    "System.Management.Automation.RuntimeException",
    "System.SystemException",
    "System.Exception",
    "System.Object",
)
_TASKS = "Microsoft.Exchange.Configuration.Tasks"
_AUTOMATION = "System.Management.Automation"
_WRAPPED = f"{_AUTOMATION}.RemoteException"
_BINDING = f"{_AUTOMATION}.ParameterBindingException"
_TRANSFORMATION = f"{_AUTOMATION}.ParameterBindingArgumentTransformationException"
DENIED_CODE = "00002098: SecErr: DSID-03150F93, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0"
"""What a domain controller answers to a write that the account may not make; no server translates it."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a server speaks: its language, and its name where error ids begin with that (Exchange 2013 and later).

    ``passed_on``: cmdlets run on another server, and what they throw is wrapped on its way.
    """

    language: str = "en"
    server: str | None = None
    passed_on: bool = False


class CmdletError(Exception):
    """One error record; ``fatal`` ends the pipeline as failed, otherwise it stands beside the output.

    ``text`` is a key of ``texts.TEXTS``. ``task`` marks Exchange's own errors, whose ids tell where they come from.
    """

    def __init__(
        self,
        net_type: str,
        text: str,
        error_id: str,
        category: ErrorCategory,
        /,
        *,
        target: str = "",
        fatal: bool = True,
        task: bool = False,
        **fields: object,
    ) -> None:
        self.net_type = net_type
        self.text = text
        self.fields = fields
        self.error_id = error_id
        self.category = category
        self.target = target
        self.fatal = fatal
        self.task = task
        super().__init__(self.say())

    def say(self, language: str = "en") -> str:
        """The message in a language."""
        return say(self.text, self.fields, language)

    def record(self, cmdlet: str, voice: Voice) -> ErrorRecord:
        """The record as PSRP carries it."""
        error = NETException(Message=self.say(voice.language), HResult=-2146233087)
        error.PSObject.type_names = [_WRAPPED if voice.passed_on else self.net_type, *_BASES]
        reason = self.net_type.rpartition(".")[2]
        info = ErrorCategoryInfo(
            Category=self.category,
            Activity=cmdlet,
            Reason=reason,
            TargetName=self.target,
            TargetType="String" if self.target else "",
        )
        place = f"[Server={voice.server}] [FailureCategory=Cmdlet-{reason}] " if self.task and voice.server else ""
        return ErrorRecord(Exception=error, CategoryInfo=info, FullyQualifiedErrorId=place + self.error_id)


def _task_error(net_type: str, text: str, cmdlet: str, category: ErrorCategory, /, **fields: Any) -> CmdletError:  # noqa: ANN401 - fields of a text
    """An error of one of Exchange's own tasks, beside the output."""
    number = zlib.crc32(f"{net_type}{sorted(fields.items())}".encode("utf-8", "surrogatepass"))
    verb, _, noun = cmdlet.partition("-")
    error_id = f"{number:X},Microsoft.Exchange.Management.Tasks.{verb}{noun}"
    return CmdletError(net_type, text, error_id, category, fatal=False, task=True, **fields)


def script_refused() -> CmdletError:
    """Script text in a session without a language."""
    return CmdletError(f"{_AUTOMATION}.ParseException", "script", "ScriptsNotAllowed", ErrorCategory.ParserError)


def no_metadata() -> CmdletError:
    """Command metadata, which clients may ask for in place of Get-Command, is not served."""
    return CmdletError(
        f"{_AUTOMATION}.PSNotSupportedException", "metadata", "NotSupported", ErrorCategory.NotImplemented
    )


def unknown_command(name: str) -> CmdletError:
    """A cmdlet that does not exist, or that the roles do not grant: the session cannot tell which."""
    return CmdletError(
        f"{_AUTOMATION}.CommandNotFoundException",
        "command",
        "CommandNotFoundException",
        ErrorCategory.ObjectNotFound,
        target=name,
        name=name,
    )


def command_not_listed(name: str) -> CmdletError:
    """Get-Command was asked for a name that is not granted; the others are listed all the same."""
    error = unknown_command(name)
    error.error_id = "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand"
    error.fatal = False
    return error


def too_many_values(cmdlet: str, name: str, given: int, most: int) -> CmdletError:
    """More values than a restricted endpoint lets a parameter have."""
    return CmdletError(
        f"{_AUTOMATION}.ParameterBindingValidationException",
        "many-values",
        f"ParameterArgumentValidationError,{cmdlet}",
        ErrorCategory.InvalidData,
        name=name,
        given=given,
        most=most,
    )


def unknown_parameter(cmdlet: str, name: str) -> CmdletError:
    """A parameter that does not exist or is not granted."""
    return CmdletError(
        _BINDING, "parameter", f"NamedParameterNotFound,{cmdlet}", ErrorCategory.InvalidArgument, name=name
    )


def unknown_position(cmdlet: str, value: str) -> CmdletError:
    """A value without a name that no parameter takes."""
    return CmdletError(
        _BINDING, "position", f"PositionalParameterNotFound,{cmdlet}", ErrorCategory.InvalidArgument, value=value
    )


def bad_value(cmdlet: str, name: str, detail: str) -> CmdletError:
    """A value that cannot become the parameter's type; ``detail`` says why."""
    return CmdletError(
        _TRANSFORMATION,
        "value",
        f"ParameterArgumentTransformationError,{cmdlet}",
        ErrorCategory.InvalidData,
        name=name,
        detail=detail,
    )


def null_value(cmdlet: str, name: str) -> CmdletError:
    """Null for a parameter that must have a value."""
    return CmdletError(
        f"{_AUTOMATION}.ParameterBindingValidationException",
        "null",
        f"ParameterArgumentValidationErrorNullNotAllowed,{cmdlet}",
        ErrorCategory.InvalidData,
        name=name,
    )


def missing_parameters(cmdlet: str, names: str) -> CmdletError:
    """A mandatory parameter is missing, and there is nobody to ask."""
    return CmdletError(
        _BINDING, "missing", f"MissingMandatoryParameter,{cmdlet}", ErrorCategory.InvalidArgument, names=names
    )


def ambiguous_parameters(cmdlet: str) -> CmdletError:
    """Parameters of two sets in one call."""
    return CmdletError(_BINDING, "ambiguous", f"AmbiguousParameterSet,{cmdlet}", ErrorCategory.InvalidArgument)


def bad_filter(cmdlet: str, text: str, problem: str, place: int) -> CmdletError:
    """A filter that cannot be read."""
    return CmdletError(
        _BINDING,
        "filter",
        f"ParameterBindingFailed,{cmdlet}",
        ErrorCategory.WriteError,
        text=text,
        problem=problem,
        place=place,
    )


def no_host(question: str) -> CmdletError:
    """A cmdlet asks for confirmation, and the client has nobody who could answer."""
    return CmdletError(
        f"{_AUTOMATION}.Host.HostException",
        "no-host",
        "HostFunctionNotImplemented",
        ErrorCategory.NotImplemented,
        question=question,
    )


def not_found(cmdlet: str, identity: str, controller: str) -> CmdletError:
    """No object of that identity; the pipeline goes on and completes."""
    name = f"{_TASKS}.ManagementObjectNotFoundException"
    category = ErrorCategory.NotSpecified
    return _task_error(name, "not-found", cmdlet, category, identity=identity, controller=controller)


def no_mailbox_here(cmdlet: str, identity: str) -> CmdletError:
    """A partnership whose mailbox is not here: nothing keeps its statistics, and nobody can wipe it."""
    name = f"{_TASKS}.RecipientTaskException"
    return _task_error(name, "mailbox-elsewhere", cmdlet, ErrorCategory.InvalidOperation, identity=identity)


def already_exists(cmdlet: str, name: str, controller: str) -> CmdletError:
    """A new object has the name of one that is there."""
    net_type = "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException"
    return _task_error(net_type, "exists", cmdlet, ErrorCategory.ResourceExists, name=name, controller=controller)


def access_denied(cmdlet: str, controller: str) -> CmdletError:
    """The directory refuses the write, as it does for accounts that AdminSDHolder protects."""
    name = "Microsoft.Exchange.Data.Directory.ADOperationException"
    return _task_error(name, "denied", cmdlet, ErrorCategory.NotSpecified, controller=controller, code=DENIED_CODE)


def too_long(cmdlet: str, name: str, given: int, most: int) -> CmdletError:
    """A text that is longer than the directory takes."""
    net_type = "Microsoft.Exchange.Data.DataValidationException"
    return _task_error(net_type, "too-long", cmdlet, ErrorCategory.InvalidData, name=name, given=given, most=most)


def default_policy(cmdlet: str, name: str) -> CmdletError:
    """The default policy stays."""
    return _task_error(
        "System.InvalidOperationException", "default-policy", cmdlet, ErrorCategory.InvalidOperation, name=name
    )


def broken(error: Exception) -> CmdletError:
    """A mistake of the lab's own, so that no client waits for ever."""
    return CmdletError(
        "System.InvalidOperationException",
        "lab",
        "LabFailure",
        ErrorCategory.NotSpecified,
        what=f"{type(error).__name__}: {error}",
    )
