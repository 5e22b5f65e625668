"""One Exchange organization in our words: the verbs that list and read it.

Hides which names and forms an endpoint uses. The inventory is two bulk calls, projected where the endpoint allows it:
devices, and mailboxes with their lists. Objects are given out as they arrive and none is kept.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from gatepost.domain.devices import (
    Capabilities,
    Device,
    Mailbox,
    MailboxKind,
    OrganizationSettings,
    Server,
    Statistics,
)
from gatepost.errors import AnswerTruncated, CmdletFailed, CmdletNotGranted, ExchangeError, UnreadableObject
from gatepost.exchange import cmdlets
from gatepost.exchange.cmdlets import UNLIMITED, Cmdlet, build, project
from gatepost.exchange.sessions import Session
from gatepost.settings import ExchangeSettings
from gatepost.wire import clixml
from gatepost.wire.psrp import Command, ErrorRecord

log = logging.getLogger(__name__)

_CONTAINER = "cn=exchangeactivesyncdevices,"
_KINDS = {
    "LinkedMailbox": MailboxKind.LINKED,
    "SharedMailbox": MailboxKind.SHARED,
    "RoomMailbox": MailboxKind.ROOM,
    "EquipmentMailbox": MailboxKind.ROOM,
}
_Row = tuple[clixml.Value, ...]


class Organization:
    """An open view of an organization: the whole forest, from one domain controller. A context manager."""

    def __init__(self, session: Session, capabilities: Capabilities) -> None:
        self._session = session
        self.capabilities = capabilities

    @classmethod
    def connect(cls, settings: ExchangeSettings, password: str | None) -> Self:
        """Open a session, view the whole forest, pin a domain controller and probe what is possible here.

        Raises the ExchangeError family. Nothing stays open after a failure.
        """
        session = Session.open(settings, password)
        try:
            return cls(session, _probe(session))
        except BaseException:
            session.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the session; never raises."""
        self._session.close()

    def list_devices(self) -> Iterator[Device | UnreadableObject]:
        """All devices, in one bulk call. One that cannot be read comes as a value, and the rest goes on."""
        name = self.capabilities.device_cmdlet
        if name is None:
            raise CmdletNotGranted(cmdlets.GET_MOBILE_DEVICE.name, server=self._session.server)
        for number, row in enumerate(self._list(cmdlets.GET_MOBILE_DEVICE, name)):
            yield row if isinstance(row, UnreadableObject) else _device(number, row)

    def list_mailboxes(self) -> Iterator[Mailbox | UnreadableObject]:
        """All mailboxes in view with their allowed and blocked lists, in one bulk call."""
        kinds = self._kinds()
        for number, row in enumerate(self._list(cmdlets.GET_CAS_MAILBOX)):
            yield row if isinstance(row, UnreadableObject) else _mailbox(number, row, kinds)

    def statistics(self, device_guid: str) -> Statistics:
        """What one device's synchronisation says. Raises CmdletFailed, for instance where its mailbox is gone."""
        name = self.capabilities.statistics_cmdlet
        if name is None:
            raise CmdletNotGranted(cmdlets.GET_MOBILE_DEVICE_STATISTICS.name, server=self._session.server)
        command = build(cmdlets.GET_MOBILE_DEVICE_STATISTICS, name, Identity=device_guid)
        for row in self._read(cmdlets.GET_MOBILE_DEVICE_STATISTICS, command):
            return _statistics(row)
        raise CmdletFailed(name, f"no statistics for {device_guid}", server=self._session.server)

    def settings(self) -> OrganizationSettings:
        """The organization's mobile settings."""
        for row in self._read(cmdlets.GET_ORGANIZATION_SETTINGS, build(cmdlets.GET_ORGANIZATION_SETTINGS)):
            level, recipients, mail, ota, name = row
            return OrganizationSettings(_text(level), _texts(recipients), _text(mail), _text(ota), _text(name))
        raise CmdletFailed(cmdlets.GET_ORGANIZATION_SETTINGS.name, "it answers nothing", server=self._session.server)

    def servers(self) -> list[Server]:
        """The Exchange servers of the organization."""
        return [_server(row) for row in self._read(cmdlets.GET_EXCHANGE_SERVER, build(cmdlets.GET_EXCHANGE_SERVER))]

    def _list(self, cmdlet: Cmdlet, name: str | None = None) -> Iterator[_Row | UnreadableObject]:
        """A bulk listing of a cmdlet's declared fields."""
        command = build(cmdlet, name, ResultSize=UNLIMITED)
        pipeline = [command, project(cmdlet.fields)] if self.capabilities.projection else [command]
        rows = clixml.Rows(cmdlet.fields)
        for batch in self._session.output(*pipeline):
            yield from rows.decode(batch)

    def _read(self, cmdlet: Cmdlet, command: Command) -> list[_Row]:
        """A small answer, whole; an unreadable object in it is an error."""
        return _rows(clixml.Rows(cmdlet.fields).decode(self._session.objects(command)))

    def _kinds(self) -> dict[str, MailboxKind]:
        """The kind of each mailbox that is not a plain user's, by Guid; all others are users'."""
        if not _granted(self.capabilities.cmdlets, cmdlets.GET_RECIPIENT.name):
            return {}
        cmdlet = cmdlets.GET_RECIPIENT
        command = build(cmdlet, RecipientTypeDetails=tuple(_KINDS), ResultSize=UNLIMITED)
        pipeline = [command, project(cmdlet.fields)] if self.capabilities.projection else [command]
        rows = clixml.Rows(cmdlet.fields)
        found: dict[str, MailboxKind] = {}
        for batch in self._session.output(*pipeline):
            for guid, kind in _rows(rows.decode(batch)):
                found[str(guid)] = _KINDS.get(str(kind), MailboxKind.USER)
        return found


def _probe(session: Session) -> Capabilities:
    """Prepare a fresh session and find out what it can do."""
    granted = _granted_cmdlets(session)
    for required in (cmdlets.SET_AD_SERVER_SETTINGS, cmdlets.GET_CAS_MAILBOX):
        if not _granted(granted, required.name):
            raise CmdletNotGranted(required.name, server=session.server)
    session.objects(build(cmdlets.SET_AD_SERVER_SETTINGS, ViewEntireForest=True))
    version, controller = _servers_and_controller(session, granted)
    if controller:
        session.objects(build(cmdlets.SET_AD_SERVER_SETTINGS, ViewEntireForest=True, PreferredServer=controller))
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


def _granted_cmdlets(session: Session) -> dict[str, tuple[str, ...]]:
    """The cmdlets of ours that the account's roles grant, each with its parameters."""
    names = tuple(name for cmdlet in cmdlets.EXCHANGE for name in cmdlet.names)
    missing: list[ErrorRecord] = []
    payloads = session.objects(build(cmdlets.GET_COMMAND, Name=names), errors=missing)
    found = {}
    for name, parameters in _rows(clixml.Rows(cmdlets.GET_COMMAND.fields).decode(payloads)):
        found[str(name)] = (
            tuple(sorted(str(entry) for entry in parameters)) if isinstance(parameters, list | dict) else ()
        )
    return found


def _granted(granted: dict[str, tuple[str, ...]], name: str) -> bool:
    return name.lower() in {known.lower() for known in granted}


def _first_granted(granted: dict[str, tuple[str, ...]], cmdlet: Cmdlet) -> str | None:
    return next((name for name in cmdlet.names if _granted(granted, name)), None)


def _servers_and_controller(session: Session, granted: dict[str, tuple[str, ...]]) -> tuple[str | None, str | None]:
    """The version of the server that we speak to, and a domain controller that it uses; None where not told.

    Asking for ``-Status`` is what makes Exchange name its domain controllers.
    """
    if not _granted(granted, cmdlets.GET_EXCHANGE_SERVER.name):
        return None, None
    try:
        payloads = session.objects(build(cmdlets.GET_EXCHANGE_SERVER, Status=None))
    except ExchangeError as error:
        log.warning("the domain controllers are not known: %s", error)
        return None, None
    rows = _rows(clixml.Rows(cmdlets.GET_EXCHANGE_SERVER.fields).decode(payloads))
    host = session.server.lower()
    mine = [row for row in rows if host in {str(row[0]).lower(), str(row[1]).lower()}]
    controllers = [
        name.strip() for row in (mine or rows) for name in _texts(row[6]) if name.isprintable() and name.strip()
    ]
    versions = {_text(row[2]) for row in (mine or rows)}
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


def _rows(decoded: Sequence[_Row | UnreadableObject]) -> list[_Row]:
    """Rows of a small answer; raises the first unreadable object."""
    rows: list[_Row] = []
    for row in decoded:
        if isinstance(row, UnreadableObject):
            raise row
        rows.append(row)
    return rows


def mailbox_dn(device_dn: str | None) -> str | None:
    r"""The distinguished name of the mailbox that holds a device: what stands above its container.

    A device is ``CN=…,CN=ExchangeActiveSyncDevices,<mailbox>``; commas inside a name are escaped by ``\``.
    """
    if not device_dn:
        return None
    above = _parent(device_dn)
    return _parent(above) if above.lower().startswith(_CONTAINER) else above or None


def _parent(dn: str) -> str:
    position = dn.find(",")
    while position > 0 and (position - len(dn[:position].rstrip("\\"))) % 2:
        position = dn.find(",", position + 1)
    return dn[position + 1 :] if position >= 0 else ""


def _device(number: int, row: _Row) -> Device | UnreadableObject:
    guid = row[0]
    if not isinstance(guid, str) or not guid:
        return UnreadableObject(number, "it has no Guid", str(row[1] or "")[:80])
    texts = [value if value is None or type(value) is str else _text(value) for value in row[3:18]]
    return Device._make((guid, _text(row[1]), mailbox_dn(_text(row[2])), *texts, _time(row[18]), _time(row[19])))


def _mailbox(number: int, row: _Row, kinds: dict[str, MailboxKind]) -> Mailbox | UnreadableObject:
    guid, dn, identity, smtp, name, enabled, allowed, blocked, policy, changed = row
    if not isinstance(guid, str) or not guid:
        return UnreadableObject(number, "it has no Guid", str(identity or "")[:80])
    return Mailbox(
        guid=guid,
        dn=_text(dn),
        identity=_text(identity),
        primary_smtp=_text(smtp),
        display_name=_text(name),
        kind=kinds.get(guid, MailboxKind.USER).value,
        eas_enabled=enabled if isinstance(enabled, bool) else None,
        allowed_ids=_texts(allowed),
        blocked_ids=_texts(blocked),
        mailbox_policy=_text(policy),
        changed_at=_time(changed),
    )


def _statistics(row: _Row) -> Statistics:
    guid, attempt, success, policy_at, applied, policy, status, requested, sent, acknowledged, requestor, folders = row
    return Statistics(
        guid=_text(guid),
        last_sync_attempt_at=_time(attempt),
        last_success_sync_at=_time(success),
        last_policy_update_at=_time(policy_at),
        policy_applied=_text(applied),
        policy_status=_text(policy),
        status=_text(status),
        wipe_requested_at=_time(requested),
        wipe_sent_at=_time(sent),
        wipe_acknowledged_at=_time(acknowledged),
        last_wipe_requestor=_text(requestor),
        folders_synced=folders if isinstance(folders, int) else None,
    )


def _server(row: _Row) -> Server:
    name, fqdn, version, edition, roles, site, _ = row
    split = [role.strip() for text in _texts(roles) for role in text.split(",")]
    return Server(_text(name) or "", _text(fqdn), _text(version), _text(edition), tuple(split), _text(site))


def _text(value: Any) -> str | None:  # noqa: ANN401 - a decoded value of any type
    """A value as text; lists by commas, dates as ISO. None stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return ", ".join(_texts(value)) if isinstance(value, list) else str(value)


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - a decoded value of any type
    """A value that should be a list, as texts; one text alone is a list of one, nothing an empty one."""
    if value is None or value == "":
        return ()
    return tuple(_text(entry) or "" for entry in value) if isinstance(value, list) else (_text(value) or "",)


def _time(value: Any) -> datetime | None:  # noqa: ANN401 - a decoded value of any type
    """A moment in UTC; a text is tried as ISO 8601, since an endpoint may send dates as text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
