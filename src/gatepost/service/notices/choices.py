"""What a tenant chose about notices: who speaks, in which words, how much a day, where links may lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from gatepost.domain.events import Event
from gatepost.domain.notices import CATALOGUES, Catalogue, Fault, Kind, Template, allowed_link, check, faults_of_words
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Scope

SPEAKERS = ("gatepost", "exchange", "both")
MOST_A_PERSON, MOST_A_TENANT = 100, 1_000_000
LONGEST_CONTACT = 300
MOST_HOSTS = 20


@dataclass(frozen=True, slots=True)
class Choices:
    """A tenant's settings. ``hosts`` are those that links may lead to, beside the service's own.

    ``portal`` is the organization's own page of help, ``contact`` who helps, in a line; both may be empty.
    ``a_person`` and ``a_tenant`` are the most mails in 24 hours, to one mailbox and in all.
    """

    speaks: str = "gatepost"
    language: str = "en"
    zone: str = "UTC"
    hosts: tuple[str, ...] = ()
    portal: str = ""
    contact: str = ""
    a_person: int = 5
    a_tenant: int = 1_000

    @property
    def tzinfo(self) -> tzinfo:
        """The time zone in which a mail writes times."""
        return ZoneInfo(self.zone)


USUAL = Choices()


@dataclass(frozen=True, slots=True)
class Words:
    """A tenant's choices with its own templates, and where the service itself is reached."""

    choices: Choices
    slug: str
    base: str | None
    own: Mapping[tuple[str, str], Template] = field(default_factory=dict)

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that a link may lead to."""
        return hosts_of(self.choices.hosts, self.base)

    @property
    def link(self) -> str:
        """Where people find help: the service's page; the organization's own where nobody said how that is reached."""
        if self.base and self.base.lower().startswith("https://"):
            return f"{self.base.rstrip('/')}/help/t/{self.slug}"
        return self.choices.portal

    def template(self, kind: Kind, catalogue: Catalogue) -> Template:
        """The words of a kind: the tenant's own, else ours."""
        return self.own.get((kind.value, catalogue.code)) or catalogue.templates[kind]


def hosts_of(chosen: Sequence[str], base: str | None) -> frozenset[str]:
    """The hosts that a link may lead to: those that were chosen, and the service's own."""
    own = urlsplit(base).netloc.lower() if base else ""
    return frozenset(filter(None, (*(each.lower() for each in chosen), own)))


async def choices(scope: Scope) -> Choices:
    """The tenant's settings, ours where nothing was chosen."""
    row = await scope.one("notice_choices.settings")
    return Choices(**{**row, "hosts": tuple(row["hosts"])}) if row else Choices()


async def words(scope: Scope, base: str | None) -> Words:
    """What is needed to write a mail. ``base`` is the service's public address, None where the operator gave none."""
    tenant = await scope.one("notice_choices.tenant")
    assert tenant is not None
    rows = await scope.all("notice_choices.templates")
    own = {(row["kind"], row["language"]): Template(row["subject"], row["body"]) for row in rows}
    return Words(await choices(scope), tenant["slug"], base, own)


async def choose(scope: Scope, wanted: Choices, base: str | None, actor: str) -> None:
    """Put these settings in the place of those before. Raises Problem 400 that names the field."""
    if wrong := fault_of(wanted, base):
        raise Problem(400, "notice-setting", wrong[1], place=wrong[0])
    before = await choices(scope)
    await scope.run("notice_choices.choose", **_columns(wanted))
    change = {"before": _columns(before), "after": _columns(wanted)}
    await audit.record(scope, Event.NOTICE_SETTINGS, actor, change)


def fault_of(wanted: Choices, base: str | None) -> tuple[str, str] | None:
    """The first field that cannot be so, and why; None where all can."""
    allowed = hosts_of(wanted.hosts, base)
    checks: tuple[tuple[str, bool, str], ...] = (
        ("speaks", wanted.speaks in SPEAKERS, f"Choose one of {', '.join(SPEAKERS)}."),
        ("language", wanted.language in CATALOGUES, f"Choose one of {', '.join(CATALOGUES)}."),
        ("zone", wanted.zone in available_timezones(), "Give a time zone such as Europe/Amsterdam."),
        ("hosts", _are_hosts(wanted.hosts), f"Give at most {MOST_HOSTS} host names, such as help.example.com."),
        ("portal", not wanted.portal or allowed_link(wanted.portal, allowed), "Give an https address on one of them."),
        ("contact", _is_line(wanted.contact, allowed), "Give one line; a link in it must lead to one of the hosts."),
        ("a_person", 1 <= wanted.a_person <= MOST_A_PERSON, f"Give a number from 1 to {MOST_A_PERSON}."),
        ("a_tenant", 1 <= wanted.a_tenant <= MOST_A_TENANT, f"Give a number from 1 to {MOST_A_TENANT:,}."),
    )
    return next(((name, why) for name, fine, why in checks if not fine), None)


async def set_template(
    scope: Scope, kind: Kind, language: str, template: Template | None, base: str | None, actor: str
) -> None:
    """Put a tenant's own words in the place of ours; None goes back to ours. Raises Problem 400 with every fault."""
    if language not in CATALOGUES:
        raise Problem(404, "not-found", "There are no notices in that language.")
    current = await words(scope, base)
    before = current.own.get((kind.value, language))
    if template is None:
        await scope.run("notice_choices.ours", kind=kind.value, language=language)
    else:
        faults = check(template, kind, current.hosts)
        if faults:
            raise Problem(400, "notice-template", refusal(faults), faults=[_fault(each) for each in faults])
        await scope.run(
            "notice_choices.own",
            kind=kind.value,
            language=language,
            subject=template.subject,
            body=template.body,
            by=actor,
        )
    change = {"kind": kind.value, "language": language, "before": _plain(before), "after": _plain(template)}
    await audit.record(scope, Event.NOTICE_TEMPLATE, actor, change)


def refusal(faults: Sequence[Fault]) -> str:
    """What is wrong with a template, in a sentence for scripts."""
    told = "; ".join(f"{each.place}: {each.problem}{f' ({each.what})' if each.what else ''}" for each in faults)
    return f"The template cannot be used: {told}."


def _are_hosts(hosts: Sequence[str]) -> bool:
    return len(hosts) <= MOST_HOSTS and all(allowed_link(f"https://{each}/", [each]) for each in hosts)


def _is_line(text: str, allowed: frozenset[str]) -> bool:
    return len(text) <= LONGEST_CONTACT and (not text or text.isprintable()) and not faults_of_words(text, allowed)


def _columns(chosen: Choices) -> dict[str, Any]:
    return {name: list(value) if isinstance(value := getattr(chosen, name), tuple) else value for name in _NAMES}


def _fault(fault: Fault) -> dict[str, str]:
    return {"place": fault.place, "problem": fault.problem, "what": fault.what}


def _plain(template: Template | None) -> dict[str, str] | None:
    return {"subject": template.subject, "body": template.body} if template else None


_NAMES = tuple(Choices.__dataclass_fields__)
