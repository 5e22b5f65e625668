"""A mail in words: the person's language, the tenant's template, and what is known of the devices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from babel.dates import format_datetime

from gatepost.domain.access import Reason
from gatepost.domain.notices import Catalogue, Kind, Mail, clean, language_of, render
from gatepost.service.notices.choices import Words

Row = Mapping[str, Any]
PATTERN = "d MMMM y, HH:mm"
EXAMPLE_REASONS = {Kind.ALLOWED: Reason.COMPLIANT, Kind.WARNING: Reason.UNMANAGED_GRACE}


@dataclass(frozen=True, slots=True)
class Written:
    """A mail with what it is: its kind and language."""

    kind: Kind
    language: str
    mail: Mail


def write(words: Words, reader: Row, items: Sequence[Row]) -> Written:
    """One mail to who reads a mailbox; a digest where there is more than one thing to tell."""
    catalogue = language_of(reader["language"], words.choices.language)
    kind = Kind(items[0]["kind"]) if len(items) == 1 else Kind.DIGEST
    values = {
        "user.name": reader["name"] or catalogue.person,
        "organization": clean(reader["organization"]),
        "contact": words.choices.contact,
        "link": words.link,
    }
    if kind is not Kind.DIGEST:
        values |= _about(words, catalogue, items[0])
    listed = [_line(words, catalogue, item) for item in items]
    template = words.template(kind, catalogue)
    mail = render(template, values, words.hosts, language=catalogue.code, listed=listed)
    return Written(kind, catalogue.code, mail)


def example(words: Words, kind: Kind, language: str, *, test: bool = False) -> Written:
    """A mail about a phone that is made up, for the preview and for a test."""
    catalogue = language_of(language)
    item = {
        "device_id": "EXAMPLE",
        "friendly_name": "Phone",
        "model": "Example 7",
        "family": "Example",
        "until": datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2),
    }
    kinds = (Kind.BLOCKED, Kind.ALLOWED) if kind is Kind.DIGEST else (kind,)
    items = [{**item, "kind": each, "reason": EXAMPLE_REASONS.get(each, Reason.UNMANAGED)} for each in kinds]
    reader = {"name": "A. Example", "language": catalogue.code, "organization": "Example"}
    written = write(words, reader, items)
    return _marked(written, catalogue) if test else written


def _marked(written: Written, catalogue: Catalogue) -> Written:
    """A test says that it is one, before anything else."""
    mail, said = written.mail, catalogue.test
    inner = f"<p><strong>{escape(said)}</strong></p>\n{mail.inner}"
    marked = Mail(mail.subject, inner, f"{said}\n\n{mail.text}", mail.language)
    return Written(written.kind, written.language, marked)


def _about(words: Words, catalogue: Catalogue, item: Row) -> dict[str, str]:
    return {
        "device.name": _device(catalogue, item),
        "device.model": item["model"] or "",
        "device.family": item["family"] or "",
        "reason": _reason(catalogue, item),
        "until": _until(words, catalogue, item),
    }


def _line(words: Words, catalogue: Catalogue, item: Row) -> str:
    """One thing of a digest, with its reason."""
    happened = catalogue.happened[Kind(item["kind"])]
    told = happened.format(device=clean(_device(catalogue, item)), until=_until(words, catalogue, item))
    return f"{told} {_reason(catalogue, item)}".strip()


def _device(catalogue: Catalogue, item: Row) -> str:
    """What a person knows the phone by: its name and model, or what there is of them."""
    name, model = item["friendly_name"] or "", item["model"] or ""
    if name and model and name != model:
        return f"{name} ({model})"
    return name or model or item["family"] or catalogue.phone


def _reason(catalogue: Catalogue, item: Row) -> str:
    """The sentence for a reason that people are told; nothing for one that is about us."""
    known = {reason.value: sentence for reason, sentence in catalogue.reasons.items()}
    return known.get(str(item["reason"]), "")


def _until(words: Words, catalogue: Catalogue, item: Row) -> str:
    if item["until"] is None:
        return ""
    zone = words.choices.tzinfo
    moment = item["until"].astimezone(zone)
    written = format_datetime(moment, PATTERN, tzinfo=zone, locale=catalogue.code)
    return f"{written} {moment.tzname() or ''}".strip()
