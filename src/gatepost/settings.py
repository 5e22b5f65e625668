"""The settings of the three programs: a TOML file and options become frozen objects, checked once.

No setting holds a secret: passwords, keys and tokens are named by file. Durations are in seconds.
"""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from gatepost.errors import SettingsError

USUAL_PORTS = {"https": 443, "http": 80}
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

AUTH_METHODS = ("kerberos", "negotiate", "basic")
PROXY_AUTH_METHODS = ("basic", "negotiate")
MODES = ("observe", "enforce")
LONGEST_WRITE = 100.0  # seconds; a lease has 120, and a document is on its way for some
EXCHANGE_ONLINE = (
    "office365.com", "office365.us", "outlook.com", "office.com", "outlook.de", "outlook.cn", "outlook.us",
    "apps.mil",
)  # fmt: skip
"""The domains below which Exchange Online answers, in all of Microsoft's clouds."""


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach one Exchange organization; the same names as the options of ``gatepost exchange``.

    ``url`` is the remote PowerShell endpoint, ``keytab`` a key table to sign in with by Kerberos.
    ``allowed_redirects`` are host names a 302 may lead to.
    ``envelope`` is the largest answer asked for, in bytes; ``timeout`` bounds one HTTP request, ``write_timeout`` one
    write as a whole, and after ``recycle_after`` a session is closed and opened anew, all in seconds. ``runspaces``
    bounds the sessions open at a time. ``proxy_user`` and ``proxy_password_file`` sign in at the proxy by
    ``proxy_auth``; hosts of ``no_proxy`` (names, or endings that begin with a dot) are reached past it. ``controllers``
    are domain controllers to prefer, by full name.
    """

    url: str
    auth: str = "negotiate"
    user: str | None = None
    password_file: Path | None = None
    keytab: Path | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    proxy_auth: str = "basic"
    proxy_user: str | None = None
    proxy_password_file: Path | None = None
    no_proxy: tuple[str, ...] = ()
    allowed_redirects: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()
    envelope: int = 512_000
    timeout: float = 60.0
    write_timeout: float = 60.0
    recycle_after: float = 1_800.0
    runspaces: int = 6

    def __post_init__(self) -> None:
        """Refuse what cannot work, in words."""
        _refuse_sign_in_within("[exchange]", self.url, self.proxy)
        if not self.url.lower().startswith(("http://", "https://")):
            raise SettingsError(
                f"url is not an address: {self.url}.", "Give one such as https://mail.example.com/PowerShell."
            )
        host = _host_of(self.url)
        refuse_exchange_online(host, f"url is {self.url}")
        if self.auth not in AUTH_METHODS:
            raise SettingsError(f"auth is {self.auth!r}.", f"Choose one of {', '.join(AUTH_METHODS)}.")
        if self.auth == "basic" and not self.url.lower().startswith("https://"):
            raise SettingsError(
                "auth is basic over plain HTTP, which sends the password in clear.", "Use an https address."
            )
        if self.keytab and self.auth != "kerberos":
            raise SettingsError(f"keytab needs Kerberos, and auth is {self.auth}.", "Say kerberos, or leave it out.")
        if self.auth == "kerberos" and _is_number(host):
            raise SettingsError(
                f"auth is kerberos and the address is a number ({host}), for which Kerberos gives no ticket.",
                "Name the server by its own full name, such as http://ex1.example.com/PowerShell.",
            )
        _refuse_other_proxies("proxy", self.proxy)
        if self.proxy_auth not in PROXY_AUTH_METHODS:
            raise SettingsError(
                f"proxy_auth is {self.proxy_auth!r}.", f"Choose one of {', '.join(PROXY_AUTH_METHODS)}."
            )
        if self.timeout <= 0 or self.runspaces < 1 or self.envelope < 32_768:
            raise SettingsError("timeout, runspaces or envelope is too small.", "Use at least 1 s, 1 and 32768 bytes.")


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the connector reaches the service; ``proxy_user`` signs in at the proxy by Basic."""

    url: str
    ca_file: Path | None = None
    proxy: str | None = None
    proxy_user: str | None = None
    proxy_password_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a password in an address, and a proxy that is none."""
        _refuse_sign_in_within("[service]", self.url, self.proxy)
        _refuse_other_proxies("[service] proxy", self.proxy)


class SyncSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the inventory is taken, in seconds: full once a day, quick every 15 minutes unless set.

    ``overlap`` is how far behind its watermark a quick sync looks; a difference counts as drift only ``grace`` after
    our own write, for until then it may be replication. ``statistics_every`` is how old a device's statistics may get;
    0 asks for none. ``watch_every`` is how often new devices are looked for between two syncs; 0 for never. All in
    seconds.
    """

    full_every: float = 86_400.0
    quick_every: float = 900.0
    overlap: float = 900.0
    grace: float = 1_200.0
    statistics_every: float = 86_400.0
    watch_every: float = 12.0


class NoticeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mailbox that notices are sent from, by EWS: found by Autodiscover, or at a fixed ``url``.

    ``account`` is its address; ``user`` signs in where that is not the address. ``proxy`` and ``ca_file`` are those of
    ``[exchange]`` unless set here. ``most_a_day``: mails in 24 hours, whatever the service asks for.
    """

    account: str
    user: str | None = None
    password_file: Path | None = None
    url: str | None = None
    autodiscover: tuple[str, ...] = ()
    ca_file: Path | None = None
    proxy: str | None = None
    most_a_day: int = 1_000

    def __post_init__(self) -> None:
        """Refuse what cannot be an account or an address."""
        if self.most_a_day < 0:
            raise SettingsError("[notices] most_a_day is below 0.", "Give a number of mails; 0 sends none.")
        if self.account.count("@") != 1 or self.account.startswith("@") or self.account.endswith("@"):
            raise SettingsError(
                f"[notices] account is {self.account!r}.", "Give the mailbox's address, such as gatepost@example.com."
            )
        for address in filter(None, (self.url, *self.autodiscover)):
            if not address.lower().startswith("https://"):
                raise SettingsError(
                    f"[notices] has an address that is not https: {address}.",
                    "Give one such as https://mail.example.com/EWS/Exchange.asmx.",
                )
            refuse_exchange_online(_host_of(address), f"[notices] names {address}")


class ConnectorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One connector: the folder of its store and identity, its Exchange, its service.

    What it may do is a local decision, which the service cannot change: ``mode`` (``observe`` writes nothing,
    ``enforce`` writes), ``scope`` (the mailboxes that may be written: addresses, ``@domain`` or ``*``) and ``ceiling``
    (writes that take access away, an hour). ``settings_may_change``: Exchange's own settings too, its default level
    and the texts of its mails. ``key_file`` seals the passwords in the folder, ``secrets.key`` there unless set.
    """

    folder: Path
    exchange: ExchangeSettings
    service: UplinkSettings
    sync: SyncSettings = msgspec.field(default_factory=SyncSettings)
    notices: NoticeSettings | None = None
    mode: str = "observe"
    scope: tuple[str, ...] = ("*",)
    ceiling: int = 1_000
    settings_may_change: bool = False
    key_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a mode that is none: a misspelt one must not be taken for either."""
        if self.mode not in MODES:
            raise SettingsError(f"mode is {self.mode!r}.", f"Choose one of {', '.join(MODES)}.")
        if self.exchange.write_timeout > LONGEST_WRITE:
            raise SettingsError(
                f"write_timeout is {self.exchange.write_timeout:g} s; a lease lasts 120 s and must outlive the write.",
                f"Use at most {LONGEST_WRITE:g} s.",
            )
        if self.ceiling < 0:
            raise SettingsError("ceiling is below 0.", "Give a number of writes an hour; 0 takes no access away.")


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service. Without ``database_url`` it runs its own PostgreSQL on ``data``.

    ``database_url`` signs in as the app role; ``public_url`` is the address that people type, and decides on cookies.
    With it, ``trusted_proxies`` (addresses or networks) say for whom they ask; attempts to sign in are counted by that.
    ``key_file`` seals secrets in the database, ``service.key`` in ``data`` unless set; every replica needs the same.
    ``packages`` is the folder with the connector's packages (``make package``), else ``packages`` in ``data``.
    Alerts leave by ``mail_relay`` (``host:port``), with ``mail_security`` starttls, tls or none. ``alert_networks`` are
    networks inside which webhooks and syslog servers may be; ``alert_ca_file`` has authorities of theirs and of the
    relay, beside the system's. Every ``alerts_every`` seconds the service sees whether something needs a person; 0:
    never.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8443
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ("127.0.0.1",)
    database_url: str | None = None
    postgres_bin: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    key_file: Path | None = None
    packages: Path | None = None
    mail_relay: str | None = None
    mail_from: str | None = None
    mail_user: str | None = None
    mail_password_file: Path | None = None
    mail_security: str = "starttls"
    alert_networks: tuple[str, ...] = ()
    alert_ca_file: Path | None = None
    alerts_every: float = 60.0

    def __post_init__(self) -> None:
        """Keep the public address as browsers name an origin. Raises SettingsError where it is none."""
        if self.public_url is not None:
            msgspec.structs.force_setattr(self, "public_url", _origin("--public-url", self.public_url))

    @property
    def vault_file(self) -> Path:
        """Where the installation's key lies."""
        return self.key_file or self.data / "service.key"

    @property
    def packages_folder(self) -> Path:
        """Where the connector's packages lie."""
        return self.packages or self.data / "packages"


class LabSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An emulated organization: how many devices, from which seed, on which ports (0 lets the system choose).

    ``story_every`` is the pause between the changes of a running story, in seconds; 0 tells none.
    ``projection`` lets ``Select-Object`` run behind a cmdlet; ``latency`` is added to every cmdlet, in seconds.
    ``replication`` is how long a change takes from one domain controller to the others (at most 900), ``effect`` how
    long after a change a phone talks again, so that its access state follows; both in seconds. ``roles`` are the
    management roles of the account; none means all. ``keytab`` has the key of the endpoint's service principal, for
    Kerberos.
    """

    devices: int = 1_000
    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    https_port: int = 0
    profile: str = "2019"
    user: str = "LAB\\gatepost"
    password_file: Path | None = None
    folder: Path | None = None
    projection: bool = True
    latency: float = 0.0
    story_every: float = 0.0
    replication: float = 0.0
    effect: float = 15.0
    roles: tuple[str, ...] = ()
    keytab: Path | None = None

    def __post_init__(self) -> None:
        """Refuse delays that no forest has."""
        if not 0 <= self.replication <= 900:
            raise SettingsError(f"replication is {self.replication:g} s.", "Use a time from 0 to 900 s.")
        if not 0 <= self.effect <= 86_400:
            raise SettingsError(f"effect is {self.effect:g} s.", "Use a time from 0 to 86400 s.")


def refuse_exchange_online(host: str, where: str) -> None:
    """Refuse a host of Exchange Online, which has no remote PowerShell; ``where`` begins the sentence."""
    name = f".{host.lower().rstrip('.')}"
    if any(name.endswith(f".{domain}") for domain in EXCHANGE_ONLINE):
        raise SettingsError(
            f"{where}, which is Exchange Online: Microsoft has switched its remote PowerShell off.",
            "Gatepost is for Exchange on premises; name one of its servers. Phones of mailboxes in Exchange Online are"
            " Intune's own affair.",
        )


def _host_of(address: str) -> str:
    """The host in an address. Raises SettingsError where it cannot be one."""
    try:
        split = urlsplit(address)
        host, _ = split.hostname or "", split.port
    except ValueError as error:
        raise SettingsError(f"{address} is not an address: {error}.", "Check brackets and the port.") from error
    if not host:
        raise SettingsError(
            f"{address} is not an address: it names no host.", "Give one such as https://mail.example.com/PowerShell."
        )
    if not address.isascii() or not address.isprintable():
        raise SettingsError(
            f"{address!a} is not an address: it has letters that none may have.",
            "Write the name as xn--…, and %-encode the rest.",
        )
    return host


def _refuse_other_proxies(name: str, proxy: str | None) -> None:
    """Refuse what is no HTTP proxy's address; ``name`` begins the sentence."""
    if proxy and not (proxy.lower().startswith("http://") and _host_of(proxy)):
        raise SettingsError(
            f"{name} is not the address of an HTTP proxy: {proxy}.", "Give one such as http://proxy.example.com:3128."
        )


def _is_number(host: str) -> bool:
    """Whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _origin(option: str, address: str) -> str:
    """Scheme, host and port as a browser's ``Origin`` has them: small letters, and no port that is the scheme's own.

    Passkeys and forms are compared with it byte for byte. Raises SettingsError.
    """
    try:
        parts = urlsplit(address.strip())
        port, host = parts.port, (parts.hostname or "").rstrip(".")
    except ValueError:
        port, host, parts = None, "", urlsplit("")
    plain = host and host.isascii() and host.isprintable() and " " not in host and parts.username is None
    if parts.scheme not in USUAL_PORTS or not plain or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(
            f"{option} is not the address of a host: {address}.",
            "Write it like https://gatepost.example.com, without a path; a name with other letters as xn--….",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in {None, USUAL_PORTS[parts.scheme]} else "")


def _refuse_sign_in_within(section: str, url: str, proxy: str | None) -> None:
    """Refuse ``user:password@`` in addresses, which are shown and logged. Raises SettingsError without the value."""
    for key, value in (("url", url), ("proxy", proxy)):
        if value and "@" in value:
            raise SettingsError(
                f"{section} {key} has a user or password in it (there is an @), and addresses are shown in logs.",
                "Leave that part out of the address.",
            )


def load(kind: type[T], path: Path) -> T:
    """Read a TOML file as settings of ``kind``; relative paths inside count from the file's folder.

    Raises SettingsError with the file and the key.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not TOML: {error}.", "Mend that line.") from error
    return build(kind, raw, str(path), path.parent)


def build(kind: type[T], raw: Mapping[str, Any], source: str, base: Path | None = None) -> T:
    """Settings of ``kind`` from a mapping; ``source`` names it in errors."""

    def decode(wanted: type, value: Any) -> Any:  # noqa: ANN401 - msgspec's hook
        if wanted is Path and isinstance(value, str | Path):
            return (base / value) if base else Path(value)
        raise TypeError(wanted)

    try:
        return msgspec.convert(raw, kind, strict=False, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting in {source} is not valid: {error}.", "Mend or remove that entry.") from error


def changed(settings: S, given: Mapping[str, Any]) -> S:
    """The same settings with some of them changed, checked again. Raises SettingsError."""
    return msgspec.structs.replace(settings, **given)


def read_secret(path: Path) -> str:
    """The secret in a file, without the line end. Raises SettingsError; the message never holds the content."""
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The secret file {path} cannot be read.", "Check the path, the rights and UTF-8."
        ) from error
    if not secret:
        raise SettingsError(f"The secret file {path} is empty.", "Write the secret into it, on one line.")
    return secret
