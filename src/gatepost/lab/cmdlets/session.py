"""What a session asks about itself: its cmdlets, the servers, what it may open, and how much of the forest it sees."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from types import SimpleNamespace

from gatepost.lab import configuration_shapes, errors, shapes
from gatepost.lab.binding import CONFIRM, WHAT_IF, Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import CONTROLLER, IDENTITY, several
from gatepost.lab.rows import ServerStatus


def get_commands(call: Call) -> Iterable[Cmdlet]:
    """Get-Command: what this session may run."""
    names = call.arguments.values.get("Name", ()) or ("*",)
    found: dict[str, Cmdlet] = {}
    for name in names:
        alike = [cmdlet for cmdlet in call.granted if fnmatchcase(cmdlet.name.lower(), name.lower())]
        found.update({cmdlet.name: cmdlet for cmdlet in alike})
        if not alike and "*" not in name:
            call.fail(errors.command_not_listed(name))
    return [found[name] for name in sorted(found)]


def get_servers(call: Call) -> Iterable[object]:
    """Get-ExchangeServer: all, or one by name; asked for its status, a server names its domain controllers."""
    wanted = (call.arguments.text("Identity") or "").lower()
    servers = [
        server
        for server in call.organization.servers
        if not wanted or wanted in {server.name.lower(), server.fqdn, server.guid}
    ]
    if not servers:
        call.missing(wanted)
    if not call.arguments.values.get("Status"):
        return [ServerStatus(server) for server in servers]
    return [ServerStatus(server, server.domain.controllers, server.domain.controllers[0]) for server in servers]


def set_view(call: Call) -> Iterable[object]:
    """Set-ADServerSettings: how much of the forest the session sees, and which controller answers it."""
    if not call.agreed("changing", name="ADServerSettings"):
        return ()
    values = call.arguments.values
    if "ViewEntireForest" in values:
        call.session.entire_forest = values["ViewEntireForest"]
    elif values.get("RecipientViewRoot"):
        call.session.entire_forest = False
    wanted = call.arguments.text("PreferredServer") or call.arguments.text("SetPreferredDomainControllers")
    if wanted is not None:
        known = {name for domain in call.organization.domains for name in domain.controllers}
        if wanted.lower() not in known:
            call.missing(wanted)
            return ()
        call.session.controller = wanted.lower()
    return ()


def get_throttling(call: Call) -> Iterable[object]:
    """Get-ThrottlingPolicy: the one that holds for everybody; it says how many sessions an account may open."""
    identity = call.arguments.text("Identity")
    if identity is not None and identity.lower() != "globalthrottlingpolicy":
        call.missing(identity)
        return ()
    return (SimpleNamespace(name="GlobalThrottlingPolicy", concurrency=str(call.shell_limit)),)


_NAMES = (
    Parameter("Name", "String[]", position=0),
    *several("CommandType", "ArgumentList"),
    *several("Verb", "Noun", "Module", type="String[]"),
    *several("ListImported", type="SwitchParameter"),
)
_VIEW = (
    Parameter("ViewEntireForest", "Boolean"),
    *several("RecipientViewRoot", "PreferredServer", "ConfigurationDomainController", "PreferredGlobalCatalog"),
    *several("SetPreferredDomainControllers"),
    CONFIRM,
    WHAT_IF,
)
_SERVERS = (IDENTITY, *several("Domain"), Parameter("Status", "SwitchParameter"), CONTROLLER)

CMDLETS = (
    Cmdlet("Get-Command", get_commands, _NAMES, shapes.COMMAND),
    Cmdlet("Get-ExchangeServer", get_servers, _SERVERS, shapes.SERVER),
    Cmdlet("Get-ThrottlingPolicy", get_throttling, (IDENTITY, CONTROLLER), configuration_shapes.THROTTLING_POLICY),
    Cmdlet("Set-ADServerSettings", set_view, _VIEW),
)
