"""What an endpoint and an account can do, asked of a fresh session once."""

import logging

from gatepost.domain.devices import Capabilities
from gatepost.errors import AnswerTruncated, CmdletFailed, CmdletNotGranted, ExchangeError
from gatepost.exchange import cmdlets
from gatepost.exchange.cmdlets import Cmdlet, build, project
from gatepost.exchange.reading import readable, text, texts
from gatepost.exchange.sessions import Session
from gatepost.wire import clixml
from gatepost.wire.psrp import ErrorRecord

log = logging.getLogger(__name__)


def probe(session: Session) -> Capabilities:
    """Prepare a fresh session and find out what it can do."""
    granted = _granted_cmdlets(session)
    for required in (cmdlets.SET_AD_SERVER_SETTINGS, cmdlets.GET_CAS_MAILBOX):
        if not is_granted(granted, required.name):
            raise CmdletNotGranted(required.name, server=session.server)
    prepare(session, None)
    version, controller = _servers_and_controller(session, granted)
    if controller:
        prepare(session, controller)
    device = _first_granted(granted, cmdlets.GET_MOBILE_DEVICE)
    return Capabilities(
        server=session.server,
        version=version,
        domain_controller=controller,
        projection=device is not None and _projects(session, device),
        device_cmdlet=device,
        statistics_cmdlet=_first_granted(granted, cmdlets.GET_MOBILE_DEVICE_STATISTICS),
        cmdlets=granted,
    )


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


def is_granted(granted: dict[str, tuple[str, ...]], name: str) -> bool:
    """Whether a cmdlet is among those granted; names are compared without regard to case."""
    return name.lower() in {known.lower() for known in granted}


def _first_granted(granted: dict[str, tuple[str, ...]], cmdlet: Cmdlet) -> str | None:
    return next((name for name in cmdlet.names if is_granted(granted, name)), None)


def _servers_and_controller(session: Session, granted: dict[str, tuple[str, ...]]) -> tuple[str | None, str | None]:
    """The version of the server that we speak to, and a domain controller that it uses; None where not told.

    Asking for ``-Status`` is what makes Exchange name its domain controllers.
    """
    if not is_granted(granted, cmdlets.GET_EXCHANGE_SERVER.name):
        return None, None
    try:
        payloads = session.objects(build(cmdlets.GET_EXCHANGE_SERVER, Status=None))
    except ExchangeError as error:
        log.warning("the domain controllers are not known: %s", error)
        return None, None
    rows = readable(clixml.Rows(cmdlets.GET_EXCHANGE_SERVER.fields).decode(payloads))
    host = session.server.lower()
    mine = [row for row in rows if host in {str(row[0]).lower(), str(row[1]).lower()}]
    controllers = [
        name.strip() for row in (mine or rows) for name in texts(row[6]) if name.isprintable() and name.strip()
    ]
    versions = {text(row[2]) for row in (mine or rows)}
    return versions.pop() if len(versions) == 1 else None, controllers[0] if controllers else None


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
