"""Where a connector's passwords are: the file that the settings name, else its secrets; read anew each time.

So whoever opens Exchange, asks the service or sends a notice next uses the password as it is now.
"""

from pathlib import Path

from gatepost.connector import secrets
from gatepost.settings import ConnectorSettings, read_secret


class Passwords:
    """The passwords of one connector, each None where there is none. Raises SettingsError where one cannot be read.

    ``kept`` are its secrets, those of its folder unless given.
    """

    def __init__(self, settings: ConnectorSettings, kept: secrets.Secrets | None = None) -> None:
        self._settings = settings
        self._secrets = kept or secrets.of(settings)

    def exchange(self) -> str | None:
        """Of the account at Exchange."""
        return self._find(self._settings.exchange.password_file, secrets.EXCHANGE)

    def exchange_proxy(self) -> str | None:
        """Of the account at the proxy on the way to Exchange."""
        return self._find(self._settings.exchange.proxy_password_file, secrets.EXCHANGE_PROXY)

    def service_proxy(self) -> str | None:
        """Of the account at the proxy on the way to the service."""
        return self._find(self._settings.service.proxy_password_file, secrets.SERVICE_PROXY)

    def notices(self) -> str | None:
        """Of the mailbox that notices are sent from."""
        settings = self._settings
        if settings.notices is None:
            return None
        return self._find(settings.notices.password_file, secrets.NOTICES)

    def _find(self, file: Path | None, name: str) -> str | None:
        return read_secret(file) if file else self._secrets.find(name)
