"""What a cmdlet answers when it cannot do what is asked: the records that a restricted Exchange session gives.

Clients match on the .NET type and the FullyQualifiedErrorId, so these are as Exchange has them; the texts are its
English.
"""

import zlib

from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, NETException

_BASES = (
    "System.Management.Automation.RuntimeException",
    "System.SystemException",
    "System.Exception",
    "System.Object",
)
_TASKS = "Microsoft.Exchange.Configuration.Tasks"


class CmdletError(Exception):
    """One error record; ``fatal`` ends the pipeline as failed, otherwise it stands beside the output."""

    def __init__(
        self,
        net_type: str,
        message: str,
        error_id: str,
        category: ErrorCategory,
        *,
        target: str = "",
        fatal: bool = True,
    ) -> None:
        self.net_type = net_type
        self.message = message
        self.error_id = error_id
        self.category = category
        self.target = target
        self.fatal = fatal
        super().__init__(message)

    def record(self, cmdlet: str) -> ErrorRecord:
        """The record as PSRP carries it."""
        error = NETException(Message=self.message, HResult=-2146233087)
        error.PSObject.type_names = [self.net_type, *_BASES]
        info = ErrorCategoryInfo(
            Category=self.category,
            Activity=cmdlet,
            Reason=self.net_type.rpartition(".")[2],
            TargetName=self.target,
            TargetType="String" if self.target else "",
        )
        return ErrorRecord(Exception=error, CategoryInfo=info, FullyQualifiedErrorId=self.error_id)


def script_refused() -> CmdletError:
    """Script text in a session without a language."""
    return CmdletError(
        "System.Management.Automation.ParseException",
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        "ScriptsNotAllowed",
        ErrorCategory.ParserError,
    )


def no_metadata() -> CmdletError:
    """Command metadata, which clients may ask for in place of Get-Command, is not served."""
    return CmdletError(
        "System.Management.Automation.PSNotSupportedException",
        "Command metadata is not available in this session. Use Get-Command.",
        "NotSupported",
        ErrorCategory.NotImplemented,
    )


def unknown_command(name: str) -> CmdletError:
    """A cmdlet that does not exist, or that the roles do not grant: the session cannot tell which."""
    return CmdletError(
        "System.Management.Automation.CommandNotFoundException",
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "CommandNotFoundException",
        ErrorCategory.ObjectNotFound,
        target=name,
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
        "System.Management.Automation.ParameterBindingValidationException",
        f"Cannot validate argument on parameter '{name}'. The number of provided arguments, ({given}), exceeds the "
        f"maximum number of allowed arguments ({most}). Provide fewer than {most} arguments, and then try the command "
        "again.",
        f"ParameterArgumentValidationError,{cmdlet}",
        ErrorCategory.InvalidData,
    )


def unknown_parameter(cmdlet: str, name: str) -> CmdletError:
    """A parameter that does not exist or is not granted."""
    return CmdletError(
        "System.Management.Automation.ParameterBindingException",
        f"A parameter cannot be found that matches parameter name '{name}'.",
        f"NamedParameterNotFound,{cmdlet}",
        ErrorCategory.InvalidArgument,
    )


def unknown_position(cmdlet: str, value: str) -> CmdletError:
    """A value without a name that no parameter takes."""
    return CmdletError(
        "System.Management.Automation.ParameterBindingException",
        f"A positional parameter cannot be found that accepts argument '{value}'.",
        f"PositionalParameterNotFound,{cmdlet}",
        ErrorCategory.InvalidArgument,
    )


def bad_value(cmdlet: str, name: str, value: object, wanted: str) -> CmdletError:
    """A value that cannot become the parameter's type."""
    detail = f'Cannot convert value "{value}" to type "{wanted}".'
    if wanted == "System.Boolean":
        detail = (
            'Cannot convert value "System.String" to type "System.Boolean". Boolean parameters accept only Boolean '
            "values and numbers, such as $True, $False, 1 or 0."
        )
    return CmdletError(
        "System.Management.Automation.ParameterBindingArgumentTransformationException",
        f"Cannot process argument transformation on parameter '{name}'. {detail}",
        f"ParameterArgumentTransformationError,{cmdlet}",
        ErrorCategory.InvalidData,
    )


def missing_parameters(cmdlet: str, names: str) -> CmdletError:
    """A mandatory parameter is missing, and there is nobody to ask."""
    return CmdletError(
        "System.Management.Automation.ParameterBindingException",
        f"Cannot process command because of one or more missing mandatory parameters: {names}.",
        f"MissingMandatoryParameter,{cmdlet}",
        ErrorCategory.InvalidArgument,
    )


def ambiguous_parameters(cmdlet: str) -> CmdletError:
    """Parameters of two sets in one call."""
    return CmdletError(
        "System.Management.Automation.ParameterBindingException",
        "Parameter set cannot be resolved using the specified named parameters.",
        f"AmbiguousParameterSet,{cmdlet}",
        ErrorCategory.InvalidArgument,
    )


def not_found(cmdlet: str, identity: str, controller: str) -> CmdletError:
    """No object of that identity; the pipeline goes on and completes."""
    return CmdletError(
        f"{_TASKS}.ManagementObjectNotFoundException",
        f"The operation couldn't be performed because object '{identity}' couldn't be found on '{controller}'.",
        _task_id("ManagementObjectNotFoundException", cmdlet, identity),
        ErrorCategory.NotSpecified,
        fatal=False,
    )


def no_statistics(cmdlet: str, identity: str) -> CmdletError:
    """A partnership whose mailbox is not here: nothing keeps its statistics."""
    return CmdletError(
        f"{_TASKS}.RecipientTaskException",
        f"The mailbox of the mobile device '{identity}' can't be opened: it isn't a mailbox in this organization.",
        _task_id("RecipientTaskException", cmdlet, identity),
        ErrorCategory.InvalidOperation,
        fatal=False,
    )


def broken(error: Exception) -> CmdletError:
    """A mistake of the lab's own, so that no client waits for ever."""
    return CmdletError(
        "System.InvalidOperationException",
        f"The lab failed: {type(error).__name__}: {error}",
        "LabFailure",
        ErrorCategory.NotSpecified,
    )


def bad_filter(cmdlet: str, text: str, problem: str, place: int) -> CmdletError:
    """A filter that cannot be read."""
    return CmdletError(
        "System.Management.Automation.ParameterBindingException",
        f'Cannot bind parameter \'Filter\' to the target. Exception setting "Filter": "Invalid filter syntax. '
        f'{problem}\n"{text}" at position {place}."',
        f"ParameterBindingFailed,{cmdlet}",
        ErrorCategory.WriteError,
    )


def _task_id(exception: str, cmdlet: str, identity: str) -> str:
    verb, _, noun = cmdlet.partition("-")
    number = zlib.crc32(f"{exception}{identity}".encode("utf-8", "surrogatepass"))
    return f"[FailureCategory=Cmdlet-{exception}] {number:X},Microsoft.Exchange.Management.Tasks.{verb}{noun}"
