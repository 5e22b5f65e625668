"""One running cmdlet: where it runs, with what, whether it may go on, and what it says beside its output."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any

from gatepost.lab import errors
from gatepost.lab.binding import Arguments, Cmdlet
from gatepost.lab.dialects import Dialect
from gatepost.lab.errors import Voice
from gatepost.lab.filters import FilterError, compile_filter
from gatepost.lab.organization import Organization, UnknownControllerError, View
from gatepost.lab.rows import Mailbox
from gatepost.lab.texts import say
from gatepost.lab.thresholds import Threshold

DEFAULT_RESULTS = 1_000

Ask = Callable[[str], bool]
"""Asks the person at the client a question; raises CmdletError where there is nobody."""


@dataclass(slots=True)
class Session:
    """What one session has been told: how much of the forest it sees, and where it reads."""

    user: str
    entire_forest: bool = False
    controller: str | None = None


@dataclass(slots=True)
class Call:
    """One running cmdlet; ``touched`` names the object that it changed, and ``written_at`` where, for the audit log."""

    cmdlet: Cmdlet
    organization: Organization
    session: Session
    arguments: Arguments
    granted: Sequence[Cmdlet]
    dialect: Dialect
    voice: Voice
    ask: Ask
    thresholds: dict[str, Threshold]
    shell_limit: int
    touched: str = ""
    written_at: str = ""
    warnings: list[str] = field(default_factory=list)
    failures: list[errors.CmdletError] = field(default_factory=list)

    @property
    def controller(self) -> str:
        """The domain controller that answers."""
        return (
            self.arguments.text("DomainController")
            or self.session.controller
            or self.organization.domains[0].controllers[0]
        )

    @property
    def view(self) -> View:
        """The organization as that controller has it, and where changes of this call are made. Raises CmdletError."""
        return self._view(self.controller)

    def writer(self, mailbox: Mailbox) -> View:
        """Where a change of that mailbox or its devices is made.

        That is the named controller, or one of the mailbox's own domain: the session's, if it is there, or the first.
        """
        near = self.arguments.text("DomainController") or self.session.controller
        if near is None or near.lower() not in mailbox.domain.controllers:
            near = self.arguments.text("DomainController") or mailbox.domain.controllers[0]
        self.written_at = near
        return self._view(near)

    def _view(self, controller: str) -> View:
        try:
            return self.organization.view(controller)
        except UnknownControllerError as error:
            raise errors.not_found(self.cmdlet.name, controller, controller) from error

    def sees(self, mailbox: Mailbox) -> bool:
        """Whether the call finds the mailbox: in the domain of a named controller, else in the session's view."""
        named = self.arguments.text("DomainController")
        if named is not None:
            return named.lower() in mailbox.domain.controllers
        return self.session.entire_forest or mailbox.domain is self.organization.domains[0]

    def fail(self, error: errors.CmdletError) -> None:
        """Report an error and go on, unless the caller wanted to stop."""
        if self.arguments.stop:
            error.fatal = True
        if error.fatal:
            raise error
        self.failures.append(error)

    def missing(self, identity: str) -> None:
        """Report that there is no object of that identity."""
        self.fail(errors.not_found(self.cmdlet.name, identity, self.controller))

    def warn(self, text: str, **fields: object) -> None:
        """Give a warning, by its key in ``texts``."""
        self.warnings.append(say(text, fields, self.voice.language))

    def agreed(self, action: str, **fields: object) -> bool:
        """Whether to go on: not with ``-WhatIf``; after asking where the cmdlet or ``-Confirm`` wants it.

        ``action`` is a key in ``texts``. Raises CmdletError where nobody can be asked.
        """
        if self.arguments.values.get("WhatIf"):
            return False
        return not self.arguments.values.get("Confirm", self.cmdlet.asks) or self.asked(action, **fields)

    def asked(self, action: str, **fields: object) -> bool:
        """Ask, whatever ``-Confirm`` says. Raises CmdletError where nobody can be asked."""
        language = self.voice.language
        return self.ask(say("confirm-action", {"action": say(action, fields, language)}, language))

    def limit(self, rows: Iterable[Any]) -> list[Any]:
        """Apply ``-Filter``, ``-SortBy`` and ``-ResultSize``, with the warning where rows are left out."""
        given = "ResultSize" in self.arguments.values
        size = self.arguments.values.get("ResultSize", DEFAULT_RESULTS)
        chosen = self._sorted(self._filtered(rows))
        if size is None:
            return list(chosen)
        first = list(islice(chosen, size + 1))
        if len(first) > size:
            self.warn("more-results" if given else "first-results")
        return first[:size]

    def _filtered(self, rows: Iterable[Any]) -> Iterable[Any]:
        text = self.arguments.text("Filter")
        if text is None or self.cmdlet.shape is None:
            return rows
        try:
            chosen = compile_filter(text, self.cmdlet.shape.properties, self.dialect.time_filters)
            return filter(chosen, rows)
        except FilterError as error:
            raise errors.bad_filter(self.cmdlet.name, text, error.problem, error.place) from error

    def _sorted(self, rows: Iterable[Any]) -> Iterable[Any]:
        name = (self.arguments.text("SortBy") or "").lower()
        properties = self.cmdlet.shape.properties if self.cmdlet.shape else ()
        found = next((prop for prop in properties if prop.name.lower() == name), None)
        if found is None:
            return rows
        fetch = attrgetter(found.attribute)
        return sorted(rows, key=lambda row: (fetch(row) is not None, fetch(row)))
