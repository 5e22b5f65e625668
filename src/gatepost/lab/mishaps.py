"""What befalls a pipeline by a fault: it starts late, asks a person, fails half way, or finds its runspace broken."""

from collections.abc import Iterator

from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, HostMethodIdentifier, NETException

DELAY = 0.4
"""How late a pipeline starts that is delayed, in seconds."""
DELAYED = f"Micro delay applied. Actual delayed: {DELAY * 1_000:.0f} msecs, Enforced: True, Capped delay: 0 msecs."
QUESTION = HostMethodIdentifier.PromptForChoice, ["Confirm", "Are you sure you want to perform this action?", [], 0]

_TYPES = "System.Management.Automation.Runspaces.InvalidRunspacePoolStateException"


def broken_runspace() -> ErrorRecord:
    """Why a pipeline cannot run in a runspace that is broken."""
    return _record(_TYPES, "Cannot perform the operation because the runspace pool is not in the 'Opened' state.")


def failed_half_way() -> ErrorRecord:
    """Why a pipeline ends in the middle of its output."""
    return _record("System.DirectoryServices.Protocols.LdapException", "The LDAP server is unavailable.")


def _record(net_type: str, text: str) -> ErrorRecord:
    error = NETException(Message=text, HResult=-2146233079)
    error.PSObject.type_names = [net_type, "System.SystemException", "System.Exception", "System.Object"]
    name = net_type.rpartition(".")[2]
    info = ErrorCategoryInfo(Category=ErrorCategory.InvalidOperation, Reason=name)
    return ErrorRecord(Exception=error, CategoryInfo=info, FullyQualifiedErrorId=name.removesuffix("Exception"))


def first_half(objects: Iterator[bytes]) -> Iterator[bytes]:
    """Half of the objects, rounded up."""
    everything = list(objects)
    return iter(everything[: (len(everything) + 1) // 2])
