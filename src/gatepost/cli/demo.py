"""``gatepost demo``: everything on one machine, as real processes that talk over real ports.

Only starts processes: the embedded database and the service, the lab as an Exchange, and the connector between them.
The folder stays, so a second start is quick; ``--once`` takes a folder of its own and leaves nothing.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import typer

from gatepost.cli.output import talk
from gatepost.cli.processes import Interruption, Program, Programs
from gatepost.cli.story import LEVELS, Api, Story
from gatepost.errors import GatepostError, SettingsError
from gatepost.settings import ConnectorSettings, load

TENANT, ORGANIZATION, ADMINISTRATOR = "demo", "Lab", "admin"
HELD = 4
PORTS_TRIED = 50
QUICK_EVERY = 3.0
STORY_EVERY = 3.0
EFFECT = 1.0  # seconds until a phone talks again after a change


@dataclass
class Clock:
    """How long each step took, in seconds."""

    begun: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str, words: str) -> Iterator[None]:
        """Time a step, and say what happens."""
        talk.print(f"{words} …", style="dim", highlight=False)
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)

    def total(self) -> dict[str, float]:
        """All steps and their total."""
        return {**self.seconds, "total": round(time.monotonic() - self.begun, 2)}


@dataclass(frozen=True)
class Place:
    """Where things are in the demo's folder."""

    folder: Path

    @property
    def data(self) -> Path:
        """The service's data, with the database."""
        return self.folder / "service"

    @property
    def connector(self) -> Path:
        """The connector's folder, with its identity and store."""
        return self.folder / "connector"

    @property
    def config(self) -> Path:
        """The connector's settings."""
        return self.folder / "connector.toml"

    @property
    def password(self) -> Path:
        """The administrator's password; exists once the administrator does."""
        return self.folder / "administrator.password"

    @property
    def story_told(self) -> Path:
        """Exists once the story of one phone was told."""
        return self.folder / "story.told"

    @property
    def tenant_made(self) -> Path:
        """Exists once the tenant does."""
        return self.folder / "tenant.made"


def demo(
    once: bool = typer.Option(False, "--once", help="Run the whole flow once, in a folder of its own, and end."),
    devices: int = typer.Option(1_000, "--devices", min=1, help="How many mobile devices the lab's Exchange has."),
    port: int = typer.Option(8443, "--port", min=1, max=65_535, help="The console's port, or the next free one."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object when the inventory has arrived."),
    folder: Path | None = typer.Option(None, "--folder", help="A folder that stays, instead of the usual one."),
) -> None:
    """Everything on one machine: a lab Exchange, the connector, the service and its console."""
    interruption = Interruption()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_stopped_in_words())
        if folder is None and once:
            place = Place(stack.enter_context(_passing_folder()))
        else:
            place = Place(_lasting_folder(folder or _usual_folder(), devices))
        programs = stack.enter_context(Programs(place.folder / "logs", interruption))
        clock = Clock()
        console, lab = _start(programs, place, clock, devices, _free_port(port), tells=not once)
        story = _story(programs, place, clock, console, lab)
        report = _inventory(programs, place, clock, console)
        held = report["state"] == "held"
        if once and not held:
            programs.start("connector", "connector", "run", "--config", place.config)
            _tell(story, place, report)
        if as_json:
            print(json.dumps(_result(report, clock, console)), flush=True)
        if once and held:
            raise typer.Exit(HELD)
        if not once:
            _live(programs, place, console, report, None if held else story)
        elif not as_json:
            talk.print(_told(report), highlight=False)


# -- the steps ---------------------------------------------------------------------------------------------------------


def _start(programs: Programs, place: Place, clock: Clock, devices: int, port: int, tells: bool) -> tuple[str, Program]:
    """Start service and lab side by side, make what the first start needs; the console's address, and the lab."""
    with clock.step("start", "Starting database, service and an Exchange"):
        service = programs.start("service", "service", "run", "--data", place.data, "--port", str(port))
        story = str(STORY_EVERY if tells else 0)
        lab_folder = place.folder / "lab"
        lab_folder.mkdir(mode=0o700, exist_ok=True)
        lab = programs.start(
            "lab",
            *("lab", "exchange", "--hands", "--devices", str(devices), "--folder", lab_folder),
            *("--story-every", story, "--effect", str(EFFECT)),
            hears=True,
        )
        console = str(programs.ready(service)["url"])
        _wait_until_ready(programs, console)
        _configure(place, programs.ready(lab), console)
    with clock.step("enrol", "Making tenant, administrator and connector"):
        _make_tenant(programs, place)
        if not (place.connector / "identity.json").exists():
            _enrol(programs, place, console)
    return console, lab


def _make_tenant(programs: Programs, place: Place) -> None:
    """The tenant and its administrator, unless an earlier start made them."""
    data = ("--data", place.data)
    if not place.tenant_made.exists():
        programs.do("Making the tenant", "admin", "tenant", "create", "--slug", TENANT, "--name", "Demo", *data)
        place.tenant_made.touch()
    if not place.password.exists():
        candidate = place.password.with_suffix(".new")
        _write_secret(candidate, secrets.token_urlsafe(12))
        programs.do(
            "Making the administrator",
            *("admin", "administrator", "create", "--tenant", TENANT, "--name", ADMINISTRATOR),
            *("--password-file", candidate, *data),
        )
        candidate.rename(place.password)


def _enrol(programs: Programs, place: Place, console: str) -> None:
    """A ticket, and the connector that pays with it."""
    ticket = place.folder / "ticket"
    ticket.unlink(missing_ok=True)
    _, made = programs.do(
        "Making a ticket",
        *("admin", "ticket", "create", "--tenant", TENANT, "--organization", ORGANIZATION),
        *("--output", ticket, "--data", place.data),
    )
    programs.do(
        "Enrolling the connector",
        *("connector", "setup", "--config", place.config, "--service", console, "--ticket-file", ticket),
        *("--service-fingerprint", json.loads(made)["fingerprint"], "--replace"),
    )


def _inventory(programs: Programs, place: Place, clock: Clock, console: str) -> dict[str, Any]:
    """The first full synchronisation, with its progress bar where there is a terminal; returns its report."""
    with clock.step("inventory", "Reading the inventory through remote PowerShell"):
        code, output = programs.do(
            "The synchronisation",
            *("connector", "sync", "--full", "--json", "--config", place.config),
            show=talk.is_terminal,
            fine=(0, HELD),
        )
        report: dict[str, Any] = json.loads(output)
    if code == HELD:
        talk.print(f"The service holds this synchronisation: {report['why']}", style="yellow", markup=False)
        talk.print(f"Accept the inventory on the console, page Connection: {_for_people(console)}", markup=False)
    return report


def _story(programs: Programs, place: Place, clock: Clock, console: str, lab: Program) -> Story | None:
    """Somebody with a pilot's policy, before the inventory that finds them; None where the story cannot be told.

    It is told once in a folder, and not where somebody set the connector to observe.
    """
    if place.story_told.exists() or _mode(place) != "enforce":
        return None
    password = place.password.read_text(encoding="utf-8").strip()
    api = Api.sign_in(console, TENANT, ADMINISTRATOR, password)

    def hand(**asked: object) -> dict[str, Any]:
        programs.watch()
        try:
            return lab.ask(asked)
        except GatepostError:
            programs.watch()
            raise

    hand(do="level", level="Quarantine")
    story = Story(api, hand, clock.step, programs.watch)
    story.prepare()
    return story


def _tell(story: Story | None, place: Place, report: dict[str, Any]) -> None:
    """The story of one phone; what it came to is added to the report."""
    if story is not None:
        report.update(story.tell())
        report["decisions"] = story.decisions()
        place.story_told.touch()


def _told(report: dict[str, Any]) -> str:
    """In one line what was done."""
    told = f"{report['changes']} changes at Exchange, {report['notices']} notices" if "changes" in report else ""
    return f"Done: {report['devices']:,} devices, {_mailboxes(report)}{'; ' * bool(told)}{told}."


def _live(programs: Programs, place: Place, console: str, report: dict[str, Any], story: Story | None) -> NoReturn:
    """Let the connector work, tell the story, and let phones appear and change, until somebody stops it."""
    programs.start("connector", "connector", "run", "--config", place.config)
    password = place.password.read_text(encoding="utf-8").strip()
    talk.print()
    talk.print(
        f"{report['devices']:,} devices and {_mailboxes(report)} arrived; now phones appear and change.",
        highlight=False,
    )
    talk.print("Console  ", f"{_for_people(console)}/t/{TENANT}/", style="bold", markup=False, highlight=False)
    talk.print(f"Sign in   tenant {TENANT}, user {ADMINISTRATOR}, password {password}", markup=False, highlight=False)
    talk.print(f"Connector {place.config}", markup=False, highlight=False)
    talk.print(f"Logs      {place.folder / 'logs'}", markup=False, highlight=False)
    talk.print("Ctrl-C stops everything.", style="dim")
    if story is not None:
        talk.print("\nThe story of one phone; look at it on the console meanwhile.", style="bold")
        _tell(story, place, report)
        talk.print(f"{_told(report)} Policy, holds and notices are on the console.", highlight=False)
    while True:
        programs.watch()
        time.sleep(0.5)


def _result(report: dict[str, Any], clock: Clock, console: str) -> dict[str, Any]:
    """What ``--json`` prints. Where the inventory is held nothing is decided, written or mailed."""
    return {
        "devices": report["devices"],
        "mailboxes": report["mailboxes"] - report["elsewhere"],
        "decisions": report.get("decisions") or dict.fromkeys(LEVELS, 0),
        "changes": report.get("changes", 0),
        "notices": report.get("notices", 0),
        "seconds": clock.total(),
        "console": _for_people(console),
    }


def _mailboxes(report: dict[str, Any]) -> str:
    """How many mailboxes there are, as the console counts them, and how many moved away or were disabled."""
    elsewhere = f", {report['elsewhere']:,} elsewhere" if report["elsewhere"] else ""
    return f"{report['mailboxes'] - report['elsewhere']:,} mailboxes{elsewhere}"


# -- folders, settings, ports, signals ---------------------------------------------------------------------------------


def _usual_folder() -> Path:
    """``.demo`` in a checkout, else a folder of the user's cache."""
    checkout = Path(__file__).parents[3]
    if (checkout / "pyproject.toml").is_file() and os.access(checkout, os.W_OK):
        return checkout / ".demo"
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    return Path(cache) / "gatepost-demo"


def _lasting_folder(base: Path, devices: int) -> Path:
    """A folder for each size of organization: another number of devices is another organization."""
    folder = base.absolute() / f"devices-{devices}"
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose one by --folder."
        ) from error
    return folder


@contextlib.contextmanager
def _stopped_in_words() -> Iterator[None]:
    """Being stopped is how a demo usually ends."""
    try:
        yield
    except KeyboardInterrupt:
        talk.print("Stopped; nothing is left running.")


@contextlib.contextmanager
def _passing_folder() -> Iterator[Path]:
    """A folder that is gone afterwards. The database's own user must be able to pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-demo-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(secret + "\n")


def _configure(place: Place, lab: dict[str, Any], console: str) -> None:
    """The connector's settings; the ports may be others at each start.

    It enforces and may change Exchange's own settings, for what it writes to is a lab; unless somebody set the mode to
    observe since an earlier start.
    """
    mode = _mode(place)
    quoted = {name: json.dumps(str(value)) for name, value in lab.items()}
    place.config.write_text(
        f"folder = {json.dumps(str(place.connector))}\nmode = {json.dumps(mode)}\nsettings_may_change = true\n\n"
        f'[exchange]\nurl = {quoted["https_url"]}\nauth = "basic"\nuser = {quoted["user"]}\n'
        f"password_file = {quoted['password_file']}\nca_file = {quoted['ca_file']}\n\n"
        f"[service]\nurl = {json.dumps(console)}\n\n[sync]\nquick_every = {QUICK_EVERY}\n\n"
        f"[notices]\naccount = {quoted['mail_account']}\nuser = {quoted['user']}\nurl = {quoted['ews_url']}\n"
        f"password_file = {quoted['password_file']}\nca_file = {quoted['ca_file']}\n",
        encoding="utf-8",
    )


def _mode(place: Place) -> str:
    """The connector's mode as its settings have it; enforce where there are none that can be read."""
    with contextlib.suppress(SettingsError):  # none yet, half of a file, or one that an older version wrote
        return load(ConnectorSettings, place.config).mode if place.config.exists() else "enforce"
    return "enforce"


def _wait_until_ready(programs: Programs, console: str) -> None:
    end = time.monotonic() + 30
    while True:
        programs.watch()
        try:
            with urllib.request.urlopen(f"{console}/readyz", timeout=5) as answer:  # noqa: S310 - our own service
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            pass
        if time.monotonic() > end:
            raise GatepostError("The service does not become ready.", "Look at its log in the demo's folder.")
        time.sleep(0.1)


def _for_people(console: str) -> str:
    """The console's address with a name in it, which passkeys need."""
    return console.replace("127.0.0.1", "localhost")


def _free_port(wanted: int) -> int:
    """The port wanted, or the next free one; says so."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port != wanted:
                talk.print(f"Port {wanted} is taken; the console is on {port}.", highlight=False)
            return port
    raise SettingsError(f"No port from {wanted} on is free.", "Choose one by --port.")
