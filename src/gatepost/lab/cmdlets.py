"""The cmdlets of the lab: for each a function and one declaration in ``CMDLETS``.

A function gets a ``Call`` and gives the rows that come out; their shape stands in the declaration.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from operator import attrgetter
from typing import Any

from gatepost.lab import errors, shapes
from gatepost.lab.binding import Arguments, Cmdlet, Parameter
from gatepost.lab.filters import FilterError, compile_filter
from gatepost.lab.organization import Organization, UnknownControllerError, View
from gatepost.lab.rows import ON_PREMISES, TICKS, Device, Mailbox, ServerStatus

DEFAULT_RESULTS = 1_000


@dataclass(slots=True)
class Session:
    """What one session has been told: how much of the forest it sees, and where it reads."""

    user: str
    entire_forest: bool = False
    controller: str | None = None


@dataclass(slots=True)
class Call:
    """One running cmdlet: where, with what, and what it says beside its output."""

    cmdlet: Cmdlet
    organization: Organization
    session: Session
    arguments: Arguments
    granted: Sequence[Cmdlet]
    warnings: list[str] = field(default_factory=list)
    failures: list[errors.CmdletError] = field(default_factory=list)

    @property
    def controller(self) -> str:
        """The domain controller that answers."""
        return (
            self.arguments.text("DomainController")
            or self.session.controller
            or self.organization.domains[0].controllers[0]
        )

    @property
    def view(self) -> View:
        """The organization as that controller has it, and where changes of this call are made. Raises CmdletError."""
        try:
            return self.organization.view(self.controller)
        except UnknownControllerError as error:
            raise errors.not_found(self.cmdlet.name, self.controller, self.controller) from error

    def sees(self, mailbox: Mailbox) -> bool:
        """Whether the session's view holds the mailbox: its whole forest, or the first domain."""
        return self.session.entire_forest or mailbox.domain is self.organization.domains[0]

    def fail(self, error: errors.CmdletError) -> None:
        """Report an error and go on, unless the caller wanted to stop."""
        if self.arguments.stop:
            error.fatal = True
        if error.fatal:
            raise error
        self.failures.append(error)

    def limit(self, rows: Iterable[Any]) -> list[Any]:
        """Apply ``-Filter``, ``-SortBy`` and ``-ResultSize``, with the warning where rows are left out."""
        given = "ResultSize" in self.arguments.values
        size = self.arguments.values.get("ResultSize", DEFAULT_RESULTS)
        chosen = self._sorted(self._filtered(rows))
        if size is None:
            return list(chosen)
        first = list(islice(chosen, size + 1))
        if len(first) > size:
            self.warnings.append(MORE_RESULTS if given else FIRST_RESULTS)
        return first[:size]

    def _filtered(self, rows: Iterable[Any]) -> Iterable[Any]:
        text = self.arguments.text("Filter")
        if text is None or self.cmdlet.shape is None:
            return rows
        try:
            return filter(compile_filter(text, self.cmdlet.shape.properties), rows)
        except FilterError as error:
            raise errors.bad_filter(self.cmdlet.name, text, error.problem, error.place) from error

    def _sorted(self, rows: Iterable[Any]) -> Iterable[Any]:
        name = (self.arguments.text("SortBy") or "").lower()
        properties = self.cmdlet.shape.properties if self.cmdlet.shape else ()
        found = next((prop for prop in properties if prop.name.lower() == name), None)
        if found is None:
            return rows
        fetch = attrgetter(found.attribute)
        return sorted(rows, key=lambda row: (fetch(row) is not None, fetch(row)))


FIRST_RESULTS = (
    "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify the number of items "
    'returned. To return all items, specify "-ResultSize Unlimited". Be aware that, depending on the actual number of '
    "items, returning all items can take a long time and consume a large amount of memory. Also, we don't recommend "
    "storing the results in a variable. Instead, pipe the results to another task or script to perform batch changes."
)
MORE_RESULTS = (
    "There are more results available than are currently displayed. To view them, increase the value for the "
    "ResultSize parameter."
)


def get_devices(call: Call) -> Iterable[Device]:
    """Get-MobileDevice: all, those of a mailbox, or one."""
    mailbox = call.arguments.text("Mailbox")
    identity = call.arguments.text("Identity")
    if identity is not None:
        return _one_device(call, identity)
    if mailbox is not None:
        owner = call.view.find_mailbox(mailbox)
        if owner is None or not call.sees(owner):
            call.fail(errors.not_found(call.cmdlet.name, mailbox, call.controller))
            return ()
        return call.limit(list(owner.devices))
    return call.limit(device for device in call.view.devices if call.sees(device.mailbox))


def get_native_devices(call: Call) -> Iterable[Device]:
    """Get-ActiveSyncDevice: the same without clients that do not speak ActiveSync."""
    return [device for device in get_devices(call) if not device.handset.is_outlook]


def _one_device(call: Call, identity: str) -> tuple[Device, ...]:
    device = call.view.find_device(identity)
    if device is None or not call.sees(device.mailbox):
        call.fail(errors.not_found(call.cmdlet.name, identity, call.controller))
        return ()
    return (device,)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a mailbox knows of one partnership."""

    device: Device
    last_policy_update: int | None
    last_attempt: int
    last_success: int
    status: str
    policy: str | None
    policy_status: str
    folders: int


def get_statistics(call: Call) -> Iterable[Statistics]:
    """Get-MobileDeviceStatistics of one device or of a mailbox's devices; an orphan has none."""
    identity = call.arguments.text("Identity")
    devices = tuple(get_devices(call)) if identity or "Mailbox" in call.arguments else ()
    if not identity and "Mailbox" not in call.arguments:
        raise errors.missing_parameters(call.cmdlet.name, "Identity")
    found = []
    for device in devices:
        if device.mailbox.kind in ON_PREMISES:
            found.append(_statistics(device))
        else:
            call.fail(errors.no_statistics(call.cmdlet.name, device.identity))
    return found


def _statistics(device: Device) -> Statistics:
    """Figures that are always the same for the same device."""
    chance = random.Random(device.guid)
    attempt = device.changed + chance.randrange(60 * TICKS, 3_600 * TICKS)
    allowed = device.state == "Allowed"
    return Statistics(
        device=device,
        last_policy_update=device.created if allowed else None,
        last_attempt=attempt,
        last_success=attempt if allowed else device.changed,
        status="DeviceOk",
        policy=device.mailbox.policy,
        policy_status="AppliedInFull" if allowed else "Unknown",
        folders=chance.randrange(3, 40) if allowed else 0,
    )


def _boxes(call: Call, kinds: frozenset[str]) -> Iterable[Mailbox]:
    """The recipients of these kinds in view: all, or the one of ``-Identity``."""
    identity = call.arguments.text("Identity")
    if identity is None:
        return call.limit(box for box in call.view.mailboxes if box.kind in kinds and call.sees(box))
    box = call.view.find_mailbox(identity)
    if box is None or box.kind not in kinds or not call.sees(box):
        call.fail(errors.not_found(call.cmdlet.name, identity, call.controller))
        return ()
    return (box,)


def get_cas_mailboxes(call: Call) -> Iterable[Mailbox]:
    """Get-CASMailbox: mailboxes that are here."""
    return _boxes(call, ON_PREMISES)


def _details(call: Call, every: frozenset[str]) -> frozenset[str]:
    wanted = {
        name.strip().lower()
        for text in call.arguments.values.get("RecipientTypeDetails", ())
        for name in text.split(",")
    }
    return frozenset(kind for kind in every if kind.lower() in wanted) if wanted else every


def get_recipients(call: Call) -> Iterable[Mailbox]:
    """Get-Recipient: mailboxes here and elsewhere, by kind."""
    return _boxes(call, _details(call, ON_PREMISES | {"RemoteUserMailbox"}))


def get_users(call: Call) -> Iterable[Mailbox]:
    """Get-User: everybody with an account, also without a mailbox."""
    return _boxes(call, _details(call, ON_PREMISES | {"RemoteUserMailbox", "DisabledUser", "User"}))


def get_servers(call: Call) -> Iterable[object]:
    """Get-ExchangeServer: all, or one by name; asked for its status, a server names its domain controllers."""
    wanted = (call.arguments.text("Identity") or "").lower()
    servers = [
        server
        for server in call.organization.servers
        if not wanted or wanted in {server.name.lower(), server.fqdn, server.guid}
    ]
    if not servers:
        call.fail(errors.not_found(call.cmdlet.name, wanted, call.controller))
    if "Status" not in call.arguments:
        return [ServerStatus(server) for server in servers]
    return [ServerStatus(server, server.domain.controllers, server.domain.controllers[0]) for server in servers]


def set_view(call: Call) -> Iterable[object]:
    """Set-ADServerSettings: how much of the forest the session sees, and which controller answers it."""
    values = call.arguments.values
    if "ViewEntireForest" in values:
        call.session.entire_forest = values["ViewEntireForest"]
    elif values.get("RecipientViewRoot"):
        call.session.entire_forest = False
    wanted = call.arguments.text("PreferredServer") or call.arguments.text("SetPreferredDomainControllers")
    if wanted is not None:
        known = {name for domain in call.organization.domains for name in domain.controllers}
        if wanted.lower() not in known:
            call.fail(errors.not_found(call.cmdlet.name, wanted, call.controller))
            return ()
        call.session.controller = wanted.lower()
    return ()


def get_mobile_settings(call: Call) -> Iterable[object]:
    """Get-ActiveSyncOrganizationSettings: the one object there is."""
    return (call.view.settings,)


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


def _set(*names: str, type: str = "String") -> tuple[Parameter, ...]:
    return tuple(Parameter(name, type) for name in names)


_IDENTITY = Parameter("Identity", position=0)
_CONTROLLER = Parameter("DomainController", "Fqdn")
_SIZE = Parameter("ResultSize", "Unlimited")
_LISTING = (_IDENTITY, _SIZE, *_set("Filter", "OrganizationalUnit", "SortBy"), _CONTROLLER)
_CLIENTS = _set("ActiveSync", "OWAforDevices", "RestApi", "UniversalOutlook", type="SwitchParameter")
_DEVICES = (*_LISTING, Parameter("Mailbox"), Parameter("Monitoring", "SwitchParameter"))
_STATISTICS = (
    _IDENTITY,
    Parameter("Mailbox"),
    Parameter("GetMailboxLog", "SwitchParameter"),
    Parameter("NotificationEmailAddresses", "String[]"),
    Parameter("ShowRecoveryPassword", "SwitchParameter"),
    _CONTROLLER,
)
_RECIPIENTS = (
    *_LISTING,
    *_set("Anr", "PropertySet"),
    *_set("RecipientType", "RecipientTypeDetails", "Properties", type="String[]"),
    *_set("IgnoreDefaultScope", "ReadFromDomainController", type="SwitchParameter"),
)
_EITHER = (("Identity", "Mailbox"),)
_NO_MOBILE = frozenset({"2010sp1"})

_COMMANDS = (
    Parameter("Name", "String[]", position=0),
    *_set("CommandType", "ArgumentList"),
    *_set("Verb", "Noun", "Module", type="String[]"),
    *_set("ListImported", type="SwitchParameter"),
)
_VIEW = (
    Parameter("ViewEntireForest", "Boolean"),
    *_set("RecipientViewRoot", "PreferredServer", "ConfigurationDomainController", "PreferredGlobalCatalog"),
    *_set("SetPreferredDomainControllers"),
)
_SERVERS = (_IDENTITY, *_set("Domain"), Parameter("Status", "SwitchParameter"), _CONTROLLER)
_CAS = (
    *_LISTING,
    *_set("Anr"),
    *_set("ActiveSyncDebugLogging", "ProtocolSettings", "IgnoreDefaultScope", type="SwitchParameter"),
    *_set("ReadFromDomainController", "Monitoring", type="SwitchParameter"),
    *_set("RecalculateHasActiveSyncDevicePartnership", type="SwitchParameter"),
)
_SETTINGS = (_IDENTITY, _CONTROLLER)

CMDLETS: tuple[Cmdlet, ...] = (
    Cmdlet("Get-Command", get_commands, _COMMANDS, shapes.COMMAND),
    Cmdlet("Get-ExchangeServer", get_servers, _SERVERS, shapes.SERVER),
    Cmdlet("Set-ADServerSettings", set_view, _VIEW),
    Cmdlet("Get-Recipient", get_recipients, _RECIPIENTS, shapes.RECIPIENT),
    Cmdlet("Get-User", get_users, _RECIPIENTS, shapes.USER),
    Cmdlet("Get-CASMailbox", get_cas_mailboxes, _CAS, shapes.CAS_MAILBOX),
    Cmdlet("Get-MobileDevice", get_devices, (*_DEVICES, *_CLIENTS), shapes.MOBILE_DEVICE, _EITHER, _NO_MOBILE),
    Cmdlet("Get-ActiveSyncDevice", get_native_devices, _DEVICES, shapes.ACTIVESYNC_DEVICE, _EITHER),
    Cmdlet(
        "Get-MobileDeviceStatistics", get_statistics, (*_STATISTICS, *_CLIENTS), shapes.STATISTICS, _EITHER, _NO_MOBILE
    ),
    Cmdlet("Get-ActiveSyncDeviceStatistics", get_statistics, _STATISTICS, shapes.STATISTICS, _EITHER),
    Cmdlet("Get-ActiveSyncOrganizationSettings", get_mobile_settings, _SETTINGS, shapes.ORGANIZATION_SETTINGS),
)
"""Everything that a session may be granted. ``Select-Object`` stands behind a cmdlet and is bound in ``pipelines``."""
