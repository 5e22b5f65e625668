"""May this write start now? The local mode, scope and ceiling, which the service cannot change, and the lease.

Asked before a write is begun, and again just before its bytes leave: a process that was stopped in between would
otherwise write on a lease that has run out. Nothing can be asked after that, so a lease must outlive the whole write.
"""

from collections.abc import Callable

from gatepost.connector.lease import Lease
from gatepost.errors import WriteRefused
from gatepost.exchange.transport import Permit
from gatepost.settings import ConnectorSettings

OBSERVE, ENFORCE = "observe", "enforce"
EVERYBODY = "*"


class Permission:
    """What one connector may write. ``taken`` says how many writes of the last hour took access away, by our store."""

    def __init__(self, settings: ConnectorSettings, lease: Lease, taken: Callable[[], int]) -> None:
        self.enforcing = settings.mode == ENFORCE
        self.may_change_settings = self.enforcing and settings.settings_may_change
        self.ceiling = settings.ceiling
        self._scope = tuple(entry.strip().lower() for entry in settings.scope)
        self._write_timeout = settings.exchange.write_timeout
        self._lease = lease
        self._taken = taken

    @property
    def limits(self) -> str:
        """The local limits as a text that differs when one of them does."""
        return f"{self.enforcing} {self.ceiling} {' '.join(sorted(self._scope))}"

    def in_scope(self, address: str | None) -> bool:
        """Whether the mailbox with this primary address may be written: named itself, by its domain, or by ``*``."""
        if EVERYBODY in self._scope:
            return True
        folded = (address or "").lower()
        domain = folded[folded.rfind("@") :] if "@" in folded else None
        return bool(folded) and (folded in self._scope or domain in self._scope)

    @property
    def used(self) -> int:
        """Writes of the last hour that took access away: by our own store or as the service tells, whichever is more.

        A lost store forgets; the service does not hear of what was not reported yet.
        """
        return max(self._taken(), self._lease.taken_away)

    @property
    def may_take(self) -> int:
        """From how many devices access may still be taken now."""
        return max(0, self.ceiling - self.used)

    def check(self, address: str | None) -> None:
        """Raise WriteRefused where a write to the mailbox with this address may not start now."""
        if not self.enforcing:
            raise WriteRefused("mode", "The mode is observe: nothing is written.", "Run `gatepost connector mode`.")
        if not self.in_scope(address):
            raise WriteRefused(
                "scope", f"The mailbox {address or 'without an address'} is not in scope.", "Add it to `scope`."
            )
        self.check_lease()

    def check_settings(self) -> None:
        """Raise WriteRefused where no change of Exchange's own settings may start now."""
        if not self.may_change_settings:
            raise WriteRefused(
                "settings",
                "Exchange's own settings are not this connector's to change.",
                "Set `settings_may_change` in its settings, with the mode enforce.",
            )
        self.check_lease()

    def check_lease(self) -> None:
        """Raise WriteRefused where no write at all may start now, for want of a lease that outlives it."""
        if not self._lease.may_start(self._write_timeout):
            raise WriteRefused(
                "lease",
                f"No write may start: the lease lasts {self._lease.remaining():.0f} s more, a write up to "
                f"{self._write_timeout:.0f} s.",
                "The next answer of the service renews it.",
            )

    def permit(self, address: str | None) -> Permit:
        """The check to be made just before the bytes of a write to this mailbox leave."""
        return lambda: self.check(address)
