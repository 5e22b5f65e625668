"""What an endpoint and an account can do, asked of a fresh session once."""

import logging
import re
from collections.abc import Iterable
from typing import NamedTuple

from gatepost.domain.devices import Capabilities, Grant
from gatepost.errors import AnswerTruncated, CmdletFailed, CmdletNotGranted, ExchangeError
from gatepost.exchange import cmdlets
from gatepost.exchange.cmdlets import project
from gatepost.exchange.commands import Cmdlet, build
from gatepost.exchange.reading import Row, readable, text, texts
from gatepost.exchange.sessions import Session
from gatepost.wire import clixml
from gatepost.wire.psrp import ErrorRecord

log = logging.getLogger(__name__)

_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_COMMON = frozenset({"Confirm"})


class Probed(NamedTuple):
    """What was found out.

    ``servers`` are the client access servers by full name.
    """

    capabilities: Capabilities
    servers: tuple[str, ...]


def probe(
    session: Session, preferred: Iterable[str] = (), account: str | None = None, *, lacking: bool = False
) -> Probed:
    """Prepare a fresh session and find out what it can do; ``preferred`` domain controllers are tried first.

    ``account`` is who has signed in, where that is known by name. Raises CmdletNotGranted where a required cmdlet is
    missing, unless the account may be ``lacking``: then what there is, is told.
    """
    granted = _granted_cmdlets(session)
    if not lacking:
        require(granted, session.server)
    views = is_granted(granted, cmdlets.SET_AD_SERVER_SETTINGS.name)
    if views:
        prepare(session, None)
    servers = _servers(session, granted)
    controllers = _controllers(servers, preferred)
    controller = _pin(session, controllers) if views else None
    device = _first_granted(granted, cmdlets.GET_MOBILE_DEVICE)
    capabilities = Capabilities(
        server=session.server,
        version=_version(servers, session.server),
        domain_controller=controller,
        projection=device is not None and _projects(session, device),
        device_cmdlet=device,
        statistics_cmdlet=_first_granted(granted, cmdlets.GET_MOBILE_DEVICE_STATISTICS),
        cmdlets=granted,
        controllers=controllers,
        sign_in=session.sign_in,
        concurrency=_concurrency(session, granted, account),
    )
    return Probed(capabilities, _access_servers(servers))


def require(granted: dict[str, tuple[str, ...]], server: str) -> None:
    """Raise CmdletNotGranted for the first cmdlet that is missing and without which there is no inventory."""
    for required in cmdlets.REQUIRED:
        if _first_granted(granted, required) is None:
            raise CmdletNotGranted(required.name, server=server, role=required.role)


def prepare(session: Session, controller: str | None) -> None:
    """Let a fresh session see the whole forest, from one domain controller."""
    pinned = {} if controller is None else {"PreferredServer": controller}
    session.objects(build(cmdlets.SET_AD_SERVER_SETTINGS, ViewEntireForest=True, **pinned))


def _granted_cmdlets(session: Session) -> dict[str, tuple[str, ...]]:
    """The cmdlets of ours that the account's roles grant, each with its parameters."""
    names = tuple(name for cmdlet in cmdlets.EXCHANGE for name in cmdlet.names)
    missing: list[ErrorRecord] = []
    payloads = session.objects(build(cmdlets.GET_COMMAND, Name=names), errors=missing)
    found = {}
    for name, parameters in readable(clixml.Rows(cmdlets.GET_COMMAND.fields).decode(payloads)):
        found[str(name)] = (
            tuple(sorted(str(entry) for entry in parameters)) if isinstance(parameters, list | dict) else ()
        )
    return found


def every_cmdlet(session: Session) -> tuple[str, ...]:
    """The names of all cmdlets that the account's roles grant, ours or not, as ``Get-Command`` lists them."""
    name = cmdlets.GET_COMMAND.fields[:1]
    command = build(cmdlets.GET_COMMAND)
    try:
        payloads = session.objects(command, project(name))
    except (CmdletFailed, CmdletNotGranted):  # an endpoint may refuse to project; then they come whole
        payloads = session.objects(command)
    return tuple(sorted({str(row[0]) for row in readable(clixml.Rows(name).decode(payloads)) if row[0]}))


def is_granted(granted: dict[str, tuple[str, ...]], name: str) -> bool:
    """Whether a cmdlet is among those granted; names are compared without regard to case."""
    return name.lower() in {known.lower() for known in granted}


def _first_granted(granted: dict[str, tuple[str, ...]], cmdlet: Cmdlet) -> str | None:
    return next((name for name in cmdlet.names if is_granted(granted, name)), None)


def grants(capabilities: Capabilities) -> list[Grant]:
    """What the account's roles give of every cmdlet that we use. A cmdlet that tells no parameters lacks none."""
    known = {name.lower(): {entry.lower() for entry in names} for name, names in capabilities.cmdlets.items()}
    found = []
    for cmdlet in cmdlets.EXCHANGE:
        name = _first_granted(capabilities.cmdlets, cmdlet)
        told = known[name.lower()] if name else set()
        wanted = [cmdlet.called(name or cmdlet.name, parameter) for parameter in cmdlet.parameters]
        missing = tuple(each for each in wanted if told and each not in _COMMON and each.lower() not in told)
        found.append(Grant(cmdlet.name, cmdlet.purpose, cmdlet.writes, name, missing, cmdlet.role))
    return found


def _servers(session: Session, granted: dict[str, tuple[str, ...]]) -> list[Row]:
    """The Exchange servers, the one that we speak to first; none where that is not told.

    Asking for ``-Status`` is what makes Exchange name its domain controllers.
    """
    if not is_granted(granted, cmdlets.GET_EXCHANGE_SERVER.name):
        return []
    try:
        payloads = session.objects(build(cmdlets.GET_EXCHANGE_SERVER, Status=None))
    except ExchangeError as error:
        log.warning("the domain controllers are not known: %s", error)
        return []
    rows = readable(clixml.Rows(cmdlets.GET_EXCHANGE_SERVER.fields).decode(payloads))
    return sorted(rows, key=lambda row: not _is_host(row, session.server))


def _access_servers(servers: list[Row]) -> tuple[str, ...]:
    """The full names of those servers that have remote PowerShell for us: all but Edge ones, which stand outside.

    A server of Exchange 2016 or later takes clients and may call itself a mailbox server only.
    """
    return tuple(str(row[1]) for row in servers if row[1] and "edge" not in str(row[4]).lower())


def _concurrency(session: Session, granted: dict[str, tuple[str, ...]], account: str | None) -> int | None:
    """The sessions that Exchange gives the account: by its own policy, else the organization's, else the global one.

    A policy that says nothing leaves it to the next wider one. Before Exchange 2013 there are no scopes: there the
    default policy is the wider one.
    """
    policies = _told(session, granted, cmdlets.GET_THROTTLING_POLICY)
    if not policies:
        return None
    own = _told(session, granted, cmdlets.GET_THROTTLING_POLICY_ASSOCIATION, Identity=account) if account else []
    names = {str(row[0]).rpartition("/")[2].lower() for row in own if row[0]}
    limits = {_reach(row, names): str(row[3]) for row in policies if row[3] is not None}
    limit = next((limits[reach] for reach in ("Own", "Organization", "Global") if reach in limits), "")
    return int(limit) if limit.isdecimal() else None


def _reach(policy: Row, own: set[str]) -> str:
    """Whom a throttling policy is for: ``Own`` where it is one of these names, else its scope."""
    name, scope, default, _ = policy
    if str(name).lower() in own:
        return "Own"
    return str(scope) if scope is not None else "Global" if default is True else "Regular"


def _told(session: Session, granted: dict[str, tuple[str, ...]], cmdlet: Cmdlet, **parameters: str) -> list[Row]:
    """What a cmdlet tells of the account's budget; nothing where it may not or cannot."""
    if not is_granted(granted, cmdlet.name):
        return []
    try:
        payloads = session.objects(build(cmdlet, **parameters))
    except ExchangeError as error:
        log.warning("what the account's budget is, is not known for sure: %s", error)
        return []
    return readable(clixml.Rows(cmdlet.fields).decode(payloads))


def _is_host(row: Row, host: str) -> bool:
    return host.lower() in {str(row[0]).lower(), str(row[1]).lower()}


def _version(servers: list[Row], host: str) -> str | None:
    """The version of the server that we speak to; of all servers where its name is not among them, if it is one."""
    mine = [row for row in servers if _is_host(row, host)]
    versions = {text(row[2]) for row in (mine or servers)}
    return versions.pop() if len(versions) == 1 else None


def _controllers(servers: list[Row], preferred: Iterable[str]) -> tuple[str, ...]:
    """Domain controllers by full name, each once: those preferred, then what each server names.

    Global catalogs come last: they are controllers too, perhaps of a domain that has no Exchange server.
    """
    named = (name.strip() for column in (6, 7) for row in servers for name in texts(row[column]))
    found: dict[str, str] = {}
    for name in (*preferred, *filter(_HOST.fullmatch, named)):
        found.setdefault(name.lower(), name)
    return tuple(found.values())


def _pin(session: Session, controllers: Iterable[str]) -> str | None:
    """Have the session read from the first domain controller that Exchange takes; None where it takes none."""
    for controller in controllers:
        try:
            prepare(session, controller)
        except (CmdletFailed, CmdletNotGranted) as error:
            log.warning("the domain controller %s is not used: %s", controller, error)
        else:
            return controller
    return None


def _projects(session: Session, device: str) -> bool:
    """Whether ``Select-Object`` may name our properties behind a cmdlet; an endpoint may refuse some or all."""
    command = build(cmdlets.GET_MOBILE_DEVICE, device, ResultSize="1")
    try:
        session.objects(command, project(cmdlets.GET_MOBILE_DEVICE.fields))
    except AnswerTruncated:
        return True
    except (CmdletFailed, CmdletNotGranted) as error:
        log.info("the endpoint does not project, so whole objects are listed: %s", error)
        return False
    return True
