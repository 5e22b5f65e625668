"""What a session asks about itself: its cmdlets, the servers, what it may open, and how much of the forest it sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gatepost.lab import configuration_shapes, errors, shapes
from gatepost.lab.binding import CONFIRM, WHAT_IF, Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import CONTROLLER, IDENTITY, several
from gatepost.lab.rows import ServerStatus

_OWN = "Connectors"


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
    """Get-ExchangeServer: all, or one by name; with its status, its domain's controllers and all global catalogs."""
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
    catalogs = tuple(name for domain in call.organization.domains for name in domain.controllers)
    return [
        ServerStatus(server, server.domain.controllers, catalogs, server.domain.controllers[0]) for server in servers
    ]


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


@dataclass(frozen=True, slots=True)
class ThrottlingPolicy:
    """How many sessions an account may open; None: what the policy of the next wider scope says."""

    name: str
    scope: str
    concurrency: str | None

    @property
    def is_default(self) -> bool:
        """Whether it is the one that came with Exchange."""
        return self.scope == "Global"


@dataclass(frozen=True, slots=True)
class Association:
    """An account's own throttling policy, by name; None where it has none."""

    name: str
    policy: str | None


def _policies(call: Call) -> list[ThrottlingPolicy]:
    """The policies of the lab: in a dialect, the one that limits the account is not the global one."""
    limit, scope = str(call.shell_limit), call.dialect.budget
    everybody = ThrottlingPolicy("GlobalThrottlingPolicy", "Global", limit if scope == "global" else "18")
    organization = ThrottlingPolicy("EverybodyHere", "Organization", limit if scope == "organization" else "17")
    own = ThrottlingPolicy(_OWN, "Regular", limit if scope == "own" else None)
    return [everybody] if scope == "global" else [own, everybody, organization]


def get_throttling(call: Call) -> Iterable[ThrottlingPolicy]:
    """Get-ThrottlingPolicy: all, or the one of ``-Identity``."""
    identity = call.arguments.text("Identity")
    found = [one for one in _policies(call) if identity is None or one.name.lower() == identity.lower()]
    if not found:
        call.missing(identity or "")
    return found


def get_associations(call: Call) -> Iterable[Association]:
    """Get-ThrottlingPolicyAssociation: which policy of its own the signed-in account has; the lab knows no other."""
    identity = call.arguments.text("Identity")
    if identity is not None and identity.lower() != call.session.user.lower():
        call.missing(identity)
        return ()
    return (Association(call.session.user, None if call.dialect.budget == "global" else _OWN),)


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
    Cmdlet(
        "Get-ThrottlingPolicyAssociation",
        get_associations,
        (IDENTITY, *several("Anr", "ResultSize", "SortBy", "ThrottlingPolicy"), CONTROLLER),
        configuration_shapes.THROTTLING_ASSOCIATION,
    ),
    Cmdlet("Set-ADServerSettings", set_view, _VIEW),
)
