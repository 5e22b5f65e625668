"""One Exchange organization in our words: the verbs that list and read it.

Hides which names and forms an endpoint uses. The inventory is two bulk calls, projected where the endpoint allows it:
devices, and mailboxes with their lists. Objects are given out as they arrive and none is kept.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from gatepost.domain.devices import (
    Capabilities,
    Device,
    Mailbox,
    MailboxKind,
    OrganizationSettings,
    Server,
    Statistics,
)
from gatepost.errors import CmdletFailed, CmdletNotGranted, UnreadableObject
from gatepost.exchange import cmdlets, reading
from gatepost.exchange.cmdlets import UNLIMITED, Cmdlet, build, project
from gatepost.exchange.pool import Pool
from gatepost.exchange.probing import is_granted, prepare, probe
from gatepost.exchange.reading import Row, readable
from gatepost.settings import ExchangeSettings
from gatepost.wire import clixml
from gatepost.wire.psrp import Command

_KINDS = {
    "LinkedMailbox": MailboxKind.LINKED,
    "SharedMailbox": MailboxKind.SHARED,
    "RoomMailbox": MailboxKind.ROOM,
    "EquipmentMailbox": MailboxKind.ROOM,
}


class Organization:
    """An open view of an organization: the whole forest, from one domain controller. A context manager."""

    def __init__(self, pool: Pool, capabilities: Capabilities) -> None:
        self._pool = pool
        self.capabilities = capabilities

    @classmethod
    def connect(cls, settings: ExchangeSettings, password: str | None) -> Self:
        """Open a session, view the whole forest, pin a domain controller and probe what is possible here.

        Raises the ExchangeError family. Nothing stays open after a failure.
        """
        pool = Pool(settings, password)
        try:
            capabilities = pool.read(probe)
            pool.prepare_by(lambda session: prepare(session, capabilities.domain_controller))
            return cls(pool, capabilities)
        except BaseException:
            pool.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every session; never raises."""
        self._pool.close()

    def list_devices(self) -> Iterator[Device | UnreadableObject]:
        """All devices, in one bulk call. One that cannot be read comes as a value, and the rest goes on."""
        name = self.capabilities.device_cmdlet
        if name is None:
            raise CmdletNotGranted(cmdlets.GET_MOBILE_DEVICE.name, server=self._pool.server)
        for number, row in enumerate(self._list(cmdlets.GET_MOBILE_DEVICE, name)):
            yield row if isinstance(row, UnreadableObject) else reading.device(number, row)

    def list_mailboxes(self) -> Iterator[Mailbox | UnreadableObject]:
        """All mailboxes in view with their allowed and blocked lists, in one bulk call."""
        kinds = self._kinds()
        for number, row in enumerate(self._list(cmdlets.GET_CAS_MAILBOX)):
            yield row if isinstance(row, UnreadableObject) else reading.mailbox(number, row, kinds)

    def statistics(self, device_guid: str) -> Statistics:
        """What one device's synchronisation says. Raises CmdletFailed, for instance where its mailbox is gone."""
        name = self.capabilities.statistics_cmdlet
        if name is None:
            raise CmdletNotGranted(cmdlets.GET_MOBILE_DEVICE_STATISTICS.name, server=self._pool.server)
        command = build(cmdlets.GET_MOBILE_DEVICE_STATISTICS, name, Identity=device_guid)
        for row in self._read(cmdlets.GET_MOBILE_DEVICE_STATISTICS, command):
            return reading.statistics(row)
        raise CmdletFailed(name, f"no statistics for {device_guid}", server=self._pool.server)

    def settings(self) -> OrganizationSettings:
        """The organization's mobile settings."""
        for row in self._read(cmdlets.GET_ORGANIZATION_SETTINGS, build(cmdlets.GET_ORGANIZATION_SETTINGS)):
            level, recipients, mail, ota, name = row
            return OrganizationSettings(
                reading.text(level),
                reading.texts(recipients),
                reading.text(mail),
                reading.text(ota),
                reading.text(name),
            )
        raise CmdletFailed(cmdlets.GET_ORGANIZATION_SETTINGS.name, "it answers nothing", server=self._pool.server)

    def servers(self) -> list[Server]:
        """The Exchange servers of the organization."""
        return [
            reading.server(row) for row in self._read(cmdlets.GET_EXCHANGE_SERVER, build(cmdlets.GET_EXCHANGE_SERVER))
        ]

    def _list(self, cmdlet: Cmdlet, name: str | None = None) -> Iterator[Row | UnreadableObject]:
        """A bulk listing of a cmdlet's declared fields."""
        command = build(cmdlet, name, ResultSize=UNLIMITED)
        pipeline = [command, project(cmdlet.fields)] if self.capabilities.projection else [command]
        rows = clixml.Rows(cmdlet.fields)
        with self._pool.session() as session:
            for batch in session.output(*pipeline):
                yield from rows.decode(batch)

    def _read(self, cmdlet: Cmdlet, command: Command) -> list[Row]:
        """A small answer, whole; an unreadable object in it is an error."""
        return readable(clixml.Rows(cmdlet.fields).decode(self._pool.read(lambda session: session.objects(command))))

    def _kinds(self) -> dict[str, MailboxKind]:
        """The kind of each mailbox that is not a plain user's, by Guid; all others are users'."""
        if not is_granted(self.capabilities.cmdlets, cmdlets.GET_RECIPIENT.name):
            return {}
        cmdlet = cmdlets.GET_RECIPIENT
        command = build(cmdlet, RecipientTypeDetails=tuple(_KINDS), ResultSize=UNLIMITED)
        pipeline = [command, project(cmdlet.fields)] if self.capabilities.projection else [command]
        payloads = self._pool.read(lambda session: session.objects(*pipeline))
        rows = readable(clixml.Rows(cmdlet.fields).decode(payloads))
        return {str(guid): _KINDS.get(str(kind), MailboxKind.USER) for guid, kind in rows}
