"""One Exchange organization in our words: the verbs that list it, read it and change it.

A facade: what each verb does stands in a module of its meaning beside this one. It hides which names and forms an
endpoint uses. Objects of a listing are given out as they arrive and none is kept. A verb that writes takes a ``permit``
that is asked just before its bytes leave, writes nothing that is so already, and gives what it read back afterwards.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self

from gatepost.domain.devices import (
    AccessChange,
    AccessLists,
    Capabilities,
    Device,
    Grant,
    Load,
    Mailbox,
    MailboxAccess,
    MailboxKind,
    OrganizationSettings,
    Recipient,
    Server,
    Statistics,
    Wipe,
)
from gatepost.domain.settings import AccessRule, DeviceClass, MailboxPolicy, Setting
from gatepost.errors import ExchangeError, UnreadableObject
from gatepost.exchange import (
    access,
    cmdlets,
    mobile_settings,
    orders,
    policies,
    reading,
    recipients,
    rules,
    statistics,
)
from gatepost.exchange.calls import Calls
from gatepost.exchange.commands import Stamp
from gatepost.exchange.listing import Listing
from gatepost.exchange.pool import Pool
from gatepost.exchange.probing import every_cmdlet, grants, is_granted, prepare, probe, require
from gatepost.exchange.transport import Permit
from gatepost.settings import ExchangeSettings


class Organization:
    """An open view of an organization: the whole forest, from one domain controller. A context manager."""

    def __init__(self, calls: Calls) -> None:
        self.capabilities: Capabilities = calls.capabilities
        self._calls = calls
        self._listing = Listing(calls)

    @classmethod
    def connect(
        cls,
        settings: ExchangeSettings,
        password: str | None,
        began: Callable[[Callable[[], None]], None] = lambda _: None,
        servers: Iterable[str] = (),
        *,
        lacking: bool = False,
        proxy_password: str | None = None,
    ) -> Self:
        """Open a session, view the whole forest, pin a domain controller and probe what is possible here.

        ``began`` is told at once what ends it all from another thread, which closes every session. ``servers`` are
        those known from before (``access_servers``), for the case that the configured one is away. An account may be
        ``lacking`` where only its grants are asked for: no cmdlet is required then (``require``). ``proxy_password`` is
        for the proxy's user, where the settings name no file for it.
        Raises the ExchangeError family. Nothing stays open after a failure.
        """
        pool = Pool(settings, password, proxy_password)
        began(pool.close)
        pool.know_servers(servers)
        try:
            found = pool.read(lambda session: probe(session, settings.controllers, settings.user, lacking=lacking))
            capabilities = found.capabilities
            if is_granted(capabilities.cmdlets, cmdlets.SET_AD_SERVER_SETTINGS.name):
                pool.prepare_by(lambda session: prepare(session, capabilities.domain_controller))
            pool.know_servers(found.servers)
            if capabilities.concurrency is not None:
                pool.allow(capabilities.concurrency)
            return cls(Calls(pool, capabilities, settings.write_timeout))
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
        self._calls.pool.close()

    @property
    def access_servers(self) -> tuple[str, ...]:
        """The servers that sessions may be opened at, by host name, the configured one first."""
        return self._calls.pool.servers

    @property
    def load(self) -> Load:
        """What is asked of Exchange now."""
        return self._calls.pool.load

    # -- listing ---------------------------------------------------------------------------------------------------

    def list_devices(self, changed_since: datetime | None = None) -> Iterator[Device | UnreadableObject]:
        """All devices in one bulk call, or those that changed at or after a moment.

        One that cannot be read comes as a value, and the rest goes on.
        """
        for number, row in enumerate(self._listing.rows(cmdlets.GET_MOBILE_DEVICE, changed_since)):
            yield row if isinstance(row, UnreadableObject) else reading.device(number, row)

    @property
    def can_watch(self) -> bool:
        """Whether devices can be asked for by when they first synchronised; found out once."""
        return self._listing.filters(cmdlets.GET_MOBILE_DEVICE, Stamp.FIRST_SYNC)

    def new_devices(self, since: datetime) -> Iterator[Device | UnreadableObject]:
        """The devices that first synchronised at or after a moment; only where ``can_watch``."""
        found = self._listing.stamped(cmdlets.GET_MOBILE_DEVICE, Stamp.FIRST_SYNC, since)
        for number, row in enumerate(found):
            yield row if isinstance(row, UnreadableObject) else reading.device(number, row)

    def list_mailboxes(self, changed_since: datetime | None = None) -> Iterator[Mailbox | UnreadableObject]:
        """All mailboxes in view with their lists in one bulk call, or those that changed at or after a moment."""
        kinds = recipients.kinds_here(self._calls)
        for number, row in enumerate(self._listing.rows(cmdlets.GET_CAS_MAILBOX, changed_since)):
            yield row if isinstance(row, UnreadableObject) else reading.mailbox(number, row, kinds)

    def recipients(self) -> list[Recipient]:
        """All mailboxes that are not a plain user's, those that moved away, and accounts that lost theirs."""
        return recipients.recipients(self._calls)

    def kinds(self) -> dict[str, MailboxKind]:
        """The kinds of ``recipients`` by Guid; all others are plain users'."""
        return {entry.guid: entry.kind for entry in self.recipients()}

    def statistics(self, device_guid: str) -> Statistics:
        """What one device's synchronisation says. Raises CmdletFailed, for instance where its mailbox is gone."""
        return statistics.of_one(self._calls, device_guid)

    def statistics_of(self, guids: Iterable[str]) -> Generator[tuple[str, Statistics | ExchangeError], None, None]:
        """The statistics of many devices, each by its guid or with the error that it met; in parallel, in any order.

        To be closed by who does not read it to its end.
        """
        return statistics.of_many(self._calls, guids)

    def servers(self) -> list[Server]:
        """The Exchange servers of the organization."""
        return [reading.server(row) for row in self._calls.read(cmdlets.GET_EXCHANGE_SERVER)]

    def grants(self) -> list[Grant]:
        """What the account's roles give of each cmdlet that we use, as probed when the session was opened."""
        return grants(self.capabilities)

    def every_cmdlet(self) -> tuple[str, ...]:
        """The names of all cmdlets that the account's roles grant, ours or not."""
        return self._calls.pool.read(every_cmdlet)

    def require(self) -> None:
        """Raise CmdletNotGranted where a cmdlet is missing without which there is no inventory."""
        require(self.capabilities.cmdlets, self.capabilities.server)

    # -- mailboxes -------------------------------------------------------------------------------------------------

    def read_access(self, mailbox_guid: str, dn: str) -> AccessLists:
        """A mailbox's two lists, from a domain controller of its own domain (``dn`` tells which)."""
        return access.read_lists(self._calls, mailbox_guid, dn)

    def set_access(
        self,
        mailbox_guid: str,
        dn: str,
        change: AccessChange,
        permit: Permit,
        seen: AccessLists | None = None,
        *,
        again: bool = True,
    ) -> AccessLists:
        """Change a mailbox's lists in one write; the lists as read back from the controller that was written.

        Nothing is written where the lists are not as they were ``seen`` when the change was made up: they are read once
        more, unless ``again`` says that this was just now, and ``permit`` sees to it that it still was.
        Raises CmdletFailed (look at ``access_denied`` and ``not_found``), CmdletNotGranted, WriteRefused,
        WriteUncertain, and the rest of the ExchangeError family where nothing was sent.
        """
        return access.change_lists(self._calls, mailbox_guid, dn, change, permit, seen, again=again)

    def mailbox_access(self, mailbox_guid: str, dn: str) -> MailboxAccess:
        """Whether a mailbox may use ActiveSync, and its mobile policy."""
        return access.read_access(self._calls, mailbox_guid, dn)

    def set_mailbox(
        self,
        guid: str,
        dn: str,
        permit: Permit,
        eas_enabled: bool | None = None,
        mailbox_policy: str | None = None,
    ) -> MailboxAccess:
        """Switch ActiveSync for a mailbox, or give it a policy by name. Raises as ``set_access``."""
        return access.change_access(self._calls, guid, dn, permit, eas_enabled, mailbox_policy)

    # -- devices ---------------------------------------------------------------------------------------------------

    def wipe_state(self, device_guid: str, dn: str, *, account_only: bool = False) -> Wipe:
        """How far a wipe of a device is; ``dn`` is the device's or its mailbox's."""
        return orders.read_wipe(self._calls, device_guid, dn, account_only=account_only)

    def wipe(self, device_guid: str, dn: str, permit: Permit, notify: tuple[str, ...] = ()) -> Wipe:
        """Ask for a wipe of the whole device, unless one is under way. Raises as ``set_access``."""
        return orders.wipe(self._calls, device_guid, dn, permit, notify, account_only=False)

    def wipe_account(self, device_guid: str, dn: str, permit: Permit, notify: tuple[str, ...] = ()) -> Wipe:
        """Ask for a wipe of the account's data only. Raises CmdletNotGranted where Exchange has no such wipe."""
        return orders.wipe(self._calls, device_guid, dn, permit, notify, account_only=True)

    def cancel_wipe(self, device_guid: str, dn: str, permit: Permit, *, account_only: bool = False) -> Wipe:
        """Take back a wipe that is not acknowledged. Raises as ``set_access``."""
        return orders.cancel_wipe(self._calls, device_guid, dn, permit, account_only=account_only)

    def remove_device(self, device_guid: str, dn: str, permit: Permit) -> None:
        """Remove a partnership, unless it is gone already. Raises as ``set_access``."""
        orders.remove_device(self._calls, device_guid, dn, permit)

    # -- the organization ------------------------------------------------------------------------------------------

    def settings(self) -> OrganizationSettings:
        """The organization's mobile settings."""
        return mobile_settings.settings(self._calls)

    def change_settings(
        self,
        permit: Permit,
        default_level: str | None = None,
        admin_recipients: tuple[str, ...] | None = None,
        user_mail_insert: str | None = None,
        ota_notification_insert: str | None = None,
        seen: OrganizationSettings | None = None,
    ) -> OrganizationSettings:
        """Change mobile settings where they differ. None leaves one as it is; an empty text or tuple clears it.

        Where they are not as they were ``seen``, nothing is written.
        """
        return mobile_settings.change_settings(
            self._calls, permit, default_level, admin_recipients, user_mail_insert, ota_notification_insert, seen
        )

    def device_classes(self) -> list[DeviceClass]:
        """The types and models of devices that the organization has met."""
        return mobile_settings.device_classes(self._calls)

    def rules(self) -> list[AccessRule]:
        """The device access rules."""
        return rules.rules(self._calls)

    def create_rule(self, characteristic: str, query: str, level: str, permit: Permit) -> AccessRule:
        """Make a rule, unless just that one is there."""
        return rules.create_rule(self._calls, characteristic, query, level, permit)

    def change_rule(self, guid: str, level: str, permit: Permit) -> AccessRule:
        """Give a rule another level; Exchange changes nothing else of one."""
        return rules.change_rule(self._calls, guid, level, permit)

    def remove_rule(self, guid: str, permit: Permit) -> None:
        """Remove a rule, unless it is gone already."""
        rules.remove_rule(self._calls, guid, permit)

    def policies(self) -> list[MailboxPolicy]:
        """The mobile device mailbox policies; settings by the names since Exchange 2013, on every version."""
        return policies.policies(self._calls)

    def create_policy(self, name: str, settings: Mapping[str, Setting], permit: Permit) -> MailboxPolicy:
        """Make a policy, unless one of that name and these settings is there."""
        return policies.create_policy(self._calls, name, settings, permit)

    def change_policy(self, guid: str, settings: Mapping[str, Setting], permit: Permit) -> MailboxPolicy:
        """Change settings of a policy where they differ; None clears one."""
        return policies.change_policy(self._calls, guid, settings, permit)

    def remove_policy(self, guid: str, permit: Permit) -> None:
        """Remove a policy, unless it is gone already. Exchange keeps the default one."""
        policies.remove_policy(self._calls, guid, permit)
