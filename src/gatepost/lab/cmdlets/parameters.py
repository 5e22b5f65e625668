"""Parameters that many cmdlets share."""

from gatepost.lab.binding import CONFIRM, WHAT_IF, Parameter


def several(*names: str, type: str = "String", since: str = "") -> tuple[Parameter, ...]:
    """Parameters of one type that came with one profile."""
    return tuple(Parameter(name, type, since=since) for name in names)


def target(kind: str) -> Parameter:
    """The identity that a write must have, at the first position."""
    return Parameter("Identity", kind, required=True, position=0)


IDENTITY = Parameter("Identity", position=0)
"""The identity of a reading; without one it answers with everything."""
CONTROLLER = Parameter("DomainController", "Fqdn")
WRITING = (CONTROLLER, CONFIRM, WHAT_IF)
"""What every write takes."""
LISTING = (
    IDENTITY,
    Parameter("ResultSize", "Unlimited"),
    *several("Filter", "OrganizationalUnit", "SortBy"),
    CONTROLLER,
)
