"""The lab: an Exchange organization behind a remote PowerShell endpoint, on HTTP and HTTPS at once, with its mail.

with Lab(LabSettings(devices=300)) as lab:
    lab.https_url, lab.ca_file, lab.user, lab.password
"""

import os
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Self

from gatepost.errors import SettingsError
from gatepost.lab.certificates import make_certificates
from gatepost.lab.dialects import Dialect, Fault, dialect_named
from gatepost.lab.endpoint import Endpoint
from gatepost.lab.faults import Faults, faults_named
from gatepost.lab.hands import Hands
from gatepost.lab.mailroom import Mailroom
from gatepost.lab.mailsite import MailSite
from gatepost.lab.operations import Service
from gatepost.lab.organization import Organization
from gatepost.lab.pipelines import Audited, Engine, Logged
from gatepost.lab.profiles import PROFILES
from gatepost.lab.scenario import Story
from gatepost.lab.seeding import Seeder, fill
from gatepost.lab.shells import Shell, Shells
from gatepost.lab.signin import Accounts
from gatepost.settings import LabSettings, read_secret

MAX_SHELLS = 18
HANDS = 0x4A4D5  # the chance of what is done by hand is another than the story's
IDLE = 900.0


class Lab:
    """One emulated organization; made, started, stopped. ``dialect`` and ``faults`` as in ``dialects``.

    ``faults`` may be added to and taken from while it runs, so that a server misbehaves in the middle of something.
    """

    def __init__(
        self,
        settings: LabSettings | None = None,
        *,
        dialect: Dialect | None = None,
        faults: AbstractSet[Fault] = frozenset(),
        max_shells: int = MAX_SHELLS,
    ) -> None:
        self.settings = settings or LabSettings()
        self.dialect = dialect or Dialect()
        self.faults = faults if isinstance(faults, Faults) else Faults(faults)
        if self.settings.profile not in PROFILES:
            raise SettingsError(
                f"There is no profile {self.settings.profile!r}.", f"Choose one of {', '.join(PROFILES)}."
            )
        self._profile = PROFILES[self.settings.profile]
        seeder = fill(Seeder(self.settings.seed, self.settings.profile), self.settings.devices)
        self.organization: Organization = seeder.organization
        self.organization.forest.replication = self.settings.replication
        self.organization.phones.effect = self.settings.effect
        self.organization.phones.blocked_fetch = self.settings.profile != "2010sp1"
        journal = self.settings.folder / "story" if self.settings.folder else None
        self.user = self.settings.user
        self.mail = Mailroom(self.organization, self.user)
        self._hands = Hands(self.organization, self.mail, lambda: self.audit, seeder.beside(self.settings.seed ^ HANDS))
        self.story = Story(
            self.organization, seeder, self.settings.seed, self.settings.story_every, journal, self._hands.do
        )
        self._engine = Engine(
            self.organization,
            profile=self.settings.profile,
            roles=self.settings.roles,
            shell_limit=max_shells,
            projection=self.settings.projection,
            dialect=self.dialect,
            faults=self.faults,
        )
        self.shells = Shells(max_shells, IDLE, self._make_shell)
        self._own_folder = self.settings.folder is None
        self.folder = Path()
        self.password = ""
        self.ca_file = Path()
        self.password_file = Path()
        self._endpoints: list[Endpoint] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def calls(self) -> list[Logged]:
        """The cmdlets that were run, in order, up to now."""
        return list(self._engine.calls)

    @property
    def audit(self) -> list[Audited]:
        """The administrator audit log: every cmdlet that is not a Get-, in order, up to now."""
        return list(self._engine.audit)

    @property
    def http_url(self) -> str:
        """The endpoint on plain HTTP, where only sealed messages are taken."""
        return self._url("http", 0)

    @property
    def https_url(self) -> str:
        """The endpoint on TLS."""
        return self._url("https", 1)

    @property
    def ews_url(self) -> str:
        """Exchange Web Services, on TLS only."""
        return self._url("https", 1, "/EWS/Exchange.asmx")

    @property
    def autodiscover_url(self) -> str:
        """Autodiscover, on TLS only."""
        return self._url("https", 1, "/autodiscover/autodiscover.xml")

    def act(self, line: str) -> str:
        """Do by hand what a line of JSON says, as a part of the story; its answer (``lab.hands``)."""
        return self._hands.do(line) if self._hands.only_looks(line) else self.story.act(line)

    def start(self) -> Self:
        """Open the ports. Raises SettingsError when a port or folder cannot be had."""
        self._prepare()
        hosts = tuple(dict.fromkeys(("localhost", "127.0.0.1", self.settings.host)))
        files = make_certificates(self.folder, hosts, publish_other=Fault.UNKNOWN_CA in self.faults)
        self.ca_file = files.ca_file
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(files.server_file)
        binding = files.binding if self.dialect.protection else None
        accounts = Accounts(self.user, self.password, self.folder, keytab=self.settings.keytab, binding=binding)
        service = Service(self.shells, self.organization.servers[0].fqdn, self.dialect, self.faults)
        if self.dialect.redirect == "port":
            behind = [self._listen(0, service, accounts, None), self._listen(0, service, accounts, tls)]
            targets = [f"http://localhost:{behind[0].port}", f"https://localhost:{behind[1].port}"]
        else:
            behind, targets = [], ["", ""]
        self._endpoints = [
            self._listen(self.settings.port, service, accounts, None, targets[0]),
            self._listen(self.settings.https_port, service, accounts, tls, targets[1]),
            *behind,
        ]
        self.story.replay()
        for endpoint in self._endpoints:
            endpoint.start()
        if self.settings.story_every > 0:
            self.story.start()
        return self

    def stop(self) -> None:
        """Close shells and ports; a folder of the lab's own goes too."""
        self.story.stop()
        self.shells.close()
        for endpoint in self._endpoints:
            endpoint.stop()
        self._endpoints = []
        if self._own_folder and self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _url(self, scheme: str, number: int, path: str = "/PowerShell") -> str:
        if not self._endpoints:
            raise RuntimeError("the lab has not been started")
        host = "localhost" if self.settings.host in {"127.0.0.1", "0.0.0.0"} else self.settings.host  # noqa: S104
        return f"{scheme}://{host}:{self._endpoints[number].port}{path}"

    def _make_shell(self, number: str, user: str, full: bool) -> Shell:
        return Shell(
            number, user, self._engine, full=full, latency=self.settings.latency, protocol=self._profile.protocol
        )

    def _prepare(self) -> None:
        """The folder and the password, which stands in a file that only its owner reads."""
        try:
            if self.settings.folder is None:
                self.folder = Path(tempfile.mkdtemp(prefix="gatepost-lab-"))
            else:
                self.folder = self.settings.folder
                self.folder.mkdir(parents=True, exist_ok=True)
            self.password_file = self.settings.password_file or self.folder / "password"
            if self.settings.password_file is None:
                handle = os.open(self.password_file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(secrets.token_urlsafe(18) + "\n")
        except OSError as error:
            raise SettingsError(
                f"The lab's folder cannot be used: {error}.", "Choose another with --folder."
            ) from error
        self.password = read_secret(self.password_file)

    def _listen(
        self, port: int, service: Service, accounts: Accounts, tls: ssl.SSLContext | None, moved_to: str = ""
    ) -> Endpoint:
        try:
            return Endpoint(
                (self.settings.host, port),
                service,
                accounts,
                tls=tls,
                dialect=self.dialect,
                faults=self.faults,
                moved_to=moved_to,
                mail=MailSite(self.mail, self.faults) if tls else None,
            )
        except OSError as error:
            raise SettingsError(
                f"The lab cannot listen on {self.settings.host} port {port}: {error.strerror}.", "Choose another port."
            ) from error


def named_lab(settings: LabSettings, dialects: str = "", faults: str = "") -> Lab:
    """A lab that is not started yet, with dialects and faults by their names. Raises SettingsError."""
    return Lab(settings, dialect=dialect_named(dialects), faults=faults_named(faults))
