"""``gatepost connector setup``: guided in a terminal, or silent with a file of answers."""

import json
import sys
from collections.abc import Mapping, Sequence
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.prompt import Confirm, Prompt

from gatepost.cli import output
from gatepost.domain.checks import Check, Level, worst
from gatepost.errors import GatepostError, OrganizationOccupied, SettingsError, UsageError

if TYPE_CHECKING:
    from gatepost.connector.setup.questions import Group, Question
    from gatepost.connector.setup.replies import Replies
    from gatepost.connector.setup.steps import Place, Step, Wanted

FINDINGS = 3
NOTHING = "none"


def setup(
    config: Path | None = typer.Option(None, "--config", metavar="FILE", help="The connector's settings, as TOML."),
    folder: Path | None = typer.Option(None, "--folder", metavar="DIR", help="Where the connector keeps what it has."),
    answers_file: Path | None = typer.Option(
        None, "--answers", metavar="FILE", help="Ask nothing: the answers are in this file, as TOML."
    ),
    change: str | None = typer.Option(
        None,
        "--change",
        metavar="SUBJECT",
        help="Ask for one subject only, and keep the identity: server, account, proxy, notices, mode or service.",
    ),
    ticket_file: Path | None = typer.Option(
        None, "--ticket-file", metavar="FILE", help="The one-time ticket, where there is no set-up package."
    ),
    service: str | None = typer.Option(None, "--service", metavar="URL", help="The service's address."),
    fingerprint: str | None = typer.Option(
        None, "--service-fingerprint", metavar="HEX", help="Of the service's key, as its administrator sees it."
    ),
    replace: bool = typer.Option(False, "--replace", help="Also where another connector is at work: it ends then."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Connect an Exchange organization: ask or read the answers, try them, enrol, and let the doctor look.

    With settings that are written already, --ticket-file enrols by them and asks nothing. Exit code 3 where the doctor
    finds what must be mended (the connector is enrolled all the same), 4 where another connector is to be replaced
    first.
    """
    from gatepost.connector.setup import steps

    if change is None and answers_file is None and ticket_file is not None and config is not None and config.exists():
        _enrol_by_settings(config, ticket_file, service, fingerprint, replace=replace, as_json=as_json)
        return
    packaged = steps.find_package() if ticket_file is None else None
    place = steps.place(config, folder, packaged, changes=change is not None)
    if answers_file is None and not sys.stdin.isatty():
        raise UsageError("Nobody is there to answer: this is no terminal.", "Give the answers in a file: --answers.")
    given = {"ticket_file": ticket_file, "service": service, "service_fingerprint": fingerprint}
    options = {name: str(value) for name, value in given.items() if value}
    session = Session(place, packaged, options, answers_file, replace=replace, as_json=as_json)
    if change is None:
        session.connect()
    else:
        session.change(_group(change))


def _group(subject: str) -> "Group":
    from gatepost.connector.setup.questions import Group

    try:
        return Group(subject)
    except ValueError:
        raise typer.BadParameter(f"choose one of {', '.join(Group)}", param_hint="--change") from None


def _enrol_by_settings(
    config: Path, ticket_file: Path, service: str | None, fingerprint: str | None, *, replace: bool, as_json: bool
) -> None:
    """Enrol as the settings are; nothing is asked, tried or examined."""
    from gatepost.connector.setup import steps

    if not fingerprint:
        raise UsageError(
            "The fingerprint of the service's key is missing.", "Give it as you were told: --service-fingerprint."
        )
    identity = steps.enrol_as_written(config, service, ticket_file, fingerprint, replace=replace)
    if as_json:
        output.print_json_lines([identity.shown()])
    else:
        output.talk.print(f"Enrolled as connector {identity.connector}, epoch {identity.epoch}.", markup=False)


class Session:
    """One run of set-up: who answers, what was answered so far, and how it is shown."""

    def __init__(
        self,
        place: "Place",
        packaged: Path | None,
        options: Mapping[str, str],
        answers_file: Path | None,
        *,
        replace: bool,
        as_json: bool,
    ) -> None:
        self._place = place
        self._packaged = packaged
        self._options = dict(options)
        self._answers_file = answers_file
        self._replace = replace
        self._as_json = as_json

    # -- connecting ------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Ask, try, keep, enrol and examine."""
        from gatepost.connector.setup import steps

        values = self._before()
        fixed = {"service"} if "service" in self._options else set()
        if self._packaged and self._spends:
            values["service"] = steps.service_of(self._packaged)
            fixed.add("service")
        self._refuse_under_a_running_one()
        given, want = self._agree(None, values, fixed)
        with steps.alone(self._place):
            settings = steps.keep(want, self._tell)
            if self._spends and (ticket := self._ticket) is not None:
                fingerprint = self._options["service_fingerprint"]
                steps.enrol(settings, ticket, fingerprint, lambda other: self._may_replace(other, given), self._tell)
            steps.delete(given.files if "delete_password_files" in given.switches else ())
        checks = steps.ask_doctor(settings, self._tell, lambda _: None)
        self._conclude(checks)

    @property
    def _ticket(self) -> Path | None:
        """The ticket's file: of the package, as told, or as answered; None while it is not known."""
        if self._packaged:
            return self._packaged / "ticket"
        return Path(self._options["ticket_file"]) if "ticket_file" in self._options else None

    @property
    def _spends(self) -> bool:
        """Whether a ticket is to be spent: not where there is an identity, and no ticket any more."""
        ticket = self._ticket
        return self._place.enrolled is None or (ticket is not None and ticket.exists())

    def _refuse_under_a_running_one(self) -> None:
        if self._spends and self._place.running:
            raise UsageError(
                f"A connector runs on the folder {self._place.folder}.",
                "Stop it first; or change a subject: --change account, for instance.",
            )

    def _agree(self, group: "Group | None", values: dict[str, str], fixed: set[str]) -> "tuple[Replies, Wanted]":
        """Answers that were tried and work. In a terminal they may be mended until they do."""
        from gatepost.connector.setup import replies, steps

        kept = replies.passwords_kept(self._place.settings)
        passwords: dict[str, str] = {}
        while True:
            given = self._answers(group, values, {**kept, **passwords}, fixed)
            given = replies.Replies(
                given.values, {**passwords, **given.passwords}, given.files, given.extra, given.switches
            )
            values, passwords = dict(given.values), dict(given.passwords)
            try:
                if group is None and self._spends:
                    self._refuse_under_a_running_one()
                    self._know_service()
                want = steps.wanted(self._place, given)
                for attempt in steps.ALL_TRIES if group is None else steps.TRIES[group]:
                    attempt(want, self._tell)
            except GatepostError as error:
                self._line_ends()
                if self._answers_file is not None or isinstance(error, UsageError):
                    raise
                output.say_error(error)
                if not Confirm.ask("Change the answers and try again?", default=True, console=output.talk):
                    raise typer.Exit(error.exit_code) from error
            else:
                return given, want

    def _know_service(self) -> None:
        """The fingerprint and the ticket are there, and the package is the service's. Raises SettingsError."""
        from gatepost.connector.setup import steps

        terminal = self._answers_file is None
        if "service_fingerprint" not in self._options:
            if not terminal:
                raise SettingsError(
                    f"service_fingerprint is missing in {self._answers_file}.",
                    "Give it as you were told it, there or by --service-fingerprint.",
                )
            self._ask_fingerprint()
        steps.check_fingerprint(self._options["service_fingerprint"])
        if self._ticket is None:
            if not terminal:
                raise SettingsError(
                    f"ticket_file is missing in {self._answers_file}, and there is no set-up package here.",
                    "Run this from the unzipped package, or name the ticket's file.",
                )
            self._explain("A file with the one-time ticket, as the service's administrator made it.")
            self._options["ticket_file"] = Prompt.ask("Ticket file", console=output.talk)
        if self._packaged:
            try:
                steps.look_at_package(self._packaged, self._options["service_fingerprint"], self._tell)
            except SettingsError:
                if terminal:
                    del self._options["service_fingerprint"]
                raise
        elif not (file := Path(self._options["ticket_file"])).is_file():
            if terminal:
                del self._options["ticket_file"]
            raise SettingsError(f"There is no ticket file {file}.", "Check the path, or ask for a new ticket.")

    def _ask_fingerprint(self) -> None:
        from gatepost.connector.setup import steps

        self._explain("64 hex digits, beside the download on the console; have them told apart from the package.")
        while True:
            answer = Prompt.ask("Fingerprint of the service's key", console=output.talk)
            try:
                steps.check_fingerprint(answer)
            except SettingsError as error:
                output.say_error(error)
            else:
                self._options["service_fingerprint"] = answer
                return

    def _may_replace(self, other: OrganizationOccupied, given: "Replies") -> bool:
        """Whether another connector is to end; a person is asked."""
        self._line_ends()
        if self._replace or "replace" in given.switches:
            return True
        if self._answers_file is not None:
            raise Occupied(other)
        output.talk.print(
            f"This organization has a connector already: on {other.host or 'an unknown host'}, version"
            f" {other.version or 'unknown'}, last contact {other.last_contact or 'never'}.\n"
            "If this one takes its place, that one ends: it writes nothing more and forgets its identity.",
            markup=False,
        )
        return Confirm.ask("Replace it?", default=False, console=output.talk)

    # -- changing --------------------------------------------------------------------------------------------------

    def change(self, group: "Group") -> None:
        """Ask for one subject, try it, and write it; the identity stays."""
        from gatepost.connector.setup import steps

        before = self._place.settings
        if before is None:
            raise SettingsError(
                f"There are no settings in {self._place.config} that could be changed.",
                "Name them with --config, or run set-up without --change.",
            )
        values = self._before()
        if str(group) == "proxy":
            values["environment"] = ""  # whoever changes the proxies is asked about both
        given, want = self._agree(group, values, set())
        with steps.alone(self._place):
            after = steps.keep(want, self._tell)
            steps.delete(given.files if "delete_password_files" in given.switches else ())
        running, same = self._place.running, after == before
        if self._as_json:
            print(json.dumps({"changed": str(group), "running": running, "restart": running and not same}))
        elif not running:
            output.talk.print("It counts from the next start.")
        elif same:
            output.talk.print("The running connector takes it up when it opens its next connection.")
        else:
            output.talk.print("The running connector goes on with what it had: start it again.")

    # -- asking ----------------------------------------------------------------------------------------------------

    def _before(self) -> dict[str, str]:
        from gatepost.connector.setup import replies

        values = replies.present(self._place.settings)
        return values | {name: value for name, value in self._options.items() if name == "service"}

    def _answers(
        self, group: "Group | None", values: Mapping[str, str], kept: Mapping[str, str], fixed: set[str]
    ) -> "Replies":
        from gatepost.connector.setup import questions, replies

        if self._answers_file is not None:
            given = replies.read(self._answers_file, values, kept, group)
            self._options = {**given.extra, **self._options}
            return given
        asked = [question for question in questions.of_group(group) if question.name not in fixed]
        answers, passwords = dict(values), dict[str, str]()
        for question in asked:
            if not question.applies(answers):
                continue
            self._explain(question.help)
            if question.password:
                if answer := self._ask_password(question, answers, question.password in kept):
                    passwords[question.password] = answer
            else:
                answers[question.name] = self._ask(question, answers)
        return replies.Replies(answers, passwords)

    def _ask(self, question: "Question", answers: Mapping[str, str]) -> str:
        """An answer that can be used; Enter takes the one in brackets, and *none* takes away what need not be."""
        needed = question.needed(answers)
        default: Any = answers.get(question.name) or (... if needed else NOTHING)
        while True:
            answer = Prompt.ask(
                question.asks, default=default, choices=list(question.choices) or None, console=output.talk
            ).strip()
            answer = "" if answer.lower() == NOTHING and not needed else answer
            try:
                question.refuse(answer)
            except SettingsError as error:
                output.say_error(error)
            else:
                if answer or not needed:
                    return answer

    def _ask_password(self, question: "Question", answers: Mapping[str, str], there: bool) -> str:
        """A password, which is not shown: nothing is echoed before the question stands there. Empty keeps the old."""
        needed = question.needed(answers) and not there
        asks = f"{question.asks} (Enter keeps the present one): " if there else f"{question.asks}: "
        while True:
            answer = getpass(asks)
            if answer or not needed:
                return answer

    def _explain(self, text: str) -> None:
        output.talk.print(f"\n{text}", style="dim", markup=False)

    # -- showing ---------------------------------------------------------------------------------------------------

    _open = False

    def _tell(self, step: "Step", found: str | None) -> None:
        """A line for each step: its name when it begins, what was found when it is done."""
        if found is None:
            self._line_ends()
            output.talk.print(f"{step:<9} ", end="", style="bold")
        else:
            output.talk.print(found, markup=False, soft_wrap=True)
        self._open = found is None

    def _line_ends(self) -> None:
        if self._open:
            output.talk.print("")
        self._open = False

    def _conclude(self, checks: Sequence[Check]) -> None:
        """The doctor's findings, what to run next, and the exit code."""
        from gatepost.connector.setup import steps

        identity = self._place.enrolled
        bad = [check for check in checks if check.level in {Level.BAD, Level.WARNING}]
        output.talk.print(f"{sum(check.level is Level.GOOD for check in checks)} checks are good, {len(bad)} are not")
        self._open = False
        if self._as_json:
            shown = identity.shown() if identity else {}
            documents = [check.document() for check in checks]
            print(json.dumps({**shown, "config": str(self._place.config), "checks": documents}))
        for check in bad:
            output.talk.print(f"{check.level}: {check.what}", markup=False, soft_wrap=True)
            output.talk.print(
                " ".join(filter(None, (check.why, check.remedy))), markup=False, soft_wrap=True, style="dim"
            )
        output.talk.print("\nThe connector is set up. Start it:", highlight=False)
        output.talk.print(steps.command_of(self._place), markup=False, soft_wrap=True)
        if worst(checks) is Level.BAD:
            raise typer.Exit(FINDINGS)


class Occupied(OrganizationOccupied):
    """The same, with the remedy of a silent set-up."""

    def __init__(self, other: OrganizationOccupied) -> None:
        super().__init__(other.host, other.version, other.last_contact)
        self.remedy = "To put this one in its place, say replace = true in the answers. The ticket is still good."
