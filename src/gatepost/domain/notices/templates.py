"""A template and values become a mail; there is no logic in a template, and values are never more than words.

A template is plain text: paragraphs are parted by an empty line, ``{{device.name}}`` stands for a value, and an address
that begins with ``https://`` is a link, to a host that is allowed. Whatever comes from Exchange, a phone or a directory
is a value: it is cleaned of what would steer a mail program, can hold no link, and is escaped in HTML. A paragraph all
of whose placeholders are empty is left out.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape

LONGEST_SUBJECT = 150
LONGEST_BODY = 4_000
LONGEST_VALUE = 80
LONGEST_LINK = 500
LINK = "link"
LISTED = "devices"
FOREIGN = frozenset({"user.name", "device.name", "device.model", "device.family"})
"""Values that Exchange, a phone or a directory gave."""

_TOKEN = re.compile(r"\{\{\s*([a-z._]*)\s*\}\}|((?:https?://|www\.)[^\s<>\"'{}|\\^`]+)", re.IGNORECASE)
_BRACES = re.compile(r"\{\{|\}\}")
_ENDS = ".,;:!?)"
_ADDRESS = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?P<port>:[0-9]{1,5})?(?:[/?#][!-\[\]-~]*)?", re.IGNORECASE)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*")
_LINKISH = re.compile(r"(?<=\S)([.:/\\@])(?=[^\W\d_])")
_STYLE = "font-family:Segoe UI,Helvetica,Arial,sans-serif;font-size:11pt"
_SPACES = re.compile(r"\s+")


class Kind(StrEnum):
    """What a notice tells. ``digest`` tells of several devices, or several things, at once."""

    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    ALLOWED = "allowed"
    WARNING = "warning"
    DIGEST = "digest"


_OF_A_DEVICE = frozenset(
    {"user.name", "device.name", "device.model", "device.family", "reason", LINK, "contact", "organization"}
)
PLACEHOLDERS: Mapping[Kind, frozenset[str]] = {
    Kind.BLOCKED: _OF_A_DEVICE,
    Kind.QUARANTINED: _OF_A_DEVICE,
    Kind.ALLOWED: _OF_A_DEVICE,
    Kind.WARNING: _OF_A_DEVICE | {"until"},
    Kind.DIGEST: frozenset({"user.name", LISTED, LINK, "contact", "organization"}),
}
"""What a template of each kind may name."""


@dataclass(frozen=True, slots=True)
class Template:
    """The words of one kind in one language."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A finished mail: one line of subject, and the same words as HTML (``inner``: without its frame) and as text."""

    subject: str
    inner: str
    text: str
    language: str

    @property
    def html(self) -> str:
        """The whole HTML document."""
        return (
            f'<!DOCTYPE html>\n<html lang="{escape(self.language)}"><head><meta charset="utf-8">'
            f"<title>{escape(self.subject)}</title></head>\n"
            f'<body style="{_STYLE}">\n{self.inner}\n</body></html>\n'
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a template: where (``subject`` or ``body``), what, by a word, and the piece of text.

    ``empty``, ``long``, ``placeholder`` (none of this kind), ``braces`` (left open), ``link`` (to a host that is not
    allowed), ``link-in-subject``, ``control`` (a character that steers).
    """

    place: str
    problem: str
    what: str = ""


def check(template: Template, kind: Kind, hosts: Iterable[str]) -> list[Fault]:
    """Everything that is wrong with a template; nothing for one that may be used."""
    allowed = frozenset(hosts)
    found: list[Fault] = []
    for place, text, longest in (
        ("subject", template.subject, LONGEST_SUBJECT),
        ("body", template.body, LONGEST_BODY),
    ):
        if not text.strip():
            found.append(Fault(place, "empty"))
        if len(text) > longest:
            found.append(Fault(place, "long", str(longest)))
        if any(_steers(each) and not (place == "body" and each == "\n") for each in text):
            found.append(Fault(place, "control"))
        found += _faults_of_tokens(place, text, kind, allowed)
    return found


def faults_of_words(text: str, hosts: Iterable[str]) -> list[Fault]:
    """What is wrong with a line of a tenant's that stands in every mail: it has no placeholders."""
    allowed = frozenset(hosts)
    tokens = [(token[0], token[2]) for token in _TOKEN.finditer(text)]
    return [
        Fault("words", "link" if address else "placeholder", address or whole)
        for whole, address in tokens
        if address is None or not allowed_link(address.rstrip(_ENDS), allowed)
    ]


def _faults_of_tokens(place: str, text: str, kind: Kind, allowed: frozenset[str]) -> Iterator[Fault]:
    for token in _TOKEN.finditer(text):
        name, address = token[1], token[2]
        if address is not None:
            target = address.rstrip(_ENDS)
            if place == "subject":
                yield Fault(place, "link-in-subject", target)
            elif not allowed_link(target, allowed):
                yield Fault(place, "link", target)
        elif name not in PLACEHOLDERS[kind] or (place == "subject" and name in {LINK, LISTED}):
            yield Fault(place, "placeholder", token[0])
    if _BRACES.search(_TOKEN.sub("", text)):
        yield Fault(place, "braces")


def allowed_link(address: str, hosts: Iterable[str]) -> bool:
    """Whether an address is https, of a host that is allowed (itself, no parent), with no user and no odd character."""
    found = _ADDRESS.fullmatch(address) if len(address) <= LONGEST_LINK else None
    if found is None or not _HOST.fullmatch(found["host"].lower()):
        return False
    port = found["port"] or ""
    named = found["host"].lower() + ("" if port == ":443" else port)
    return named in {each.lower() for each in hosts}


def clean(value: str) -> str:
    """Somebody else's words for a mail: one line, nothing that steers, nothing that a mail program takes for a link."""
    seen = "".join(" " if each.isspace() or _steers(each) else each for each in value)
    parted = _LINKISH.sub(r"\1 ", _SPACES.sub(" ", seen).strip())
    return parted if len(parted) <= LONGEST_VALUE else parted[: LONGEST_VALUE - 1].rstrip() + "…"


def _steers(character: str) -> bool:
    """Whether a character is no letter, sign or space, but changes how others are shown or read."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def render(
    template: Template,
    values: Mapping[str, str],
    hosts: Iterable[str],
    *,
    language: str,
    listed: Iterable[str] = (),
) -> Mail:
    """The mail. ``listed`` are the lines of a digest's ``{{devices}}``, made by us of cleaned values.

    Values that are ``FOREIGN`` are cleaned here, ``values[LINK]`` is an address of ours. A link of the template whose
    host is not allowed (any more) stays words.
    """
    allowed = frozenset(hosts)
    lines = tuple(listed)
    known = {name: clean(value) if name in FOREIGN else value for name, value in values.items()}
    subject = clean_subject("".join(_pieces(template.subject, known, allowed, _plain, _plain_link)))
    paragraphs = [each for each in re.split(r"\n[ \t]*\n", template.body.strip()) if not _hollow(each, known, lines)]
    text = "\n\n".join(_text_of(each, known, allowed, lines) for each in paragraphs)
    inner = "\n".join(_html_of(each, known, allowed, lines) for each in paragraphs)
    return Mail(subject, inner, text + "\n", language)


def clean_subject(subject: str) -> str:
    """One line for a header, whatever the values brought."""
    line = _SPACES.sub(" ", "".join(" " if _steers(each) else each for each in subject)).strip()
    return line[:LONGEST_SUBJECT]


def _hollow(paragraph: str, values: Mapping[str, str], listed: tuple[str, ...]) -> bool:
    """Whether a paragraph names values, and none of them has anything to say."""
    names = [token[1] for token in _TOKEN.finditer(paragraph) if token[1] is not None]
    return bool(names) and not any(listed if name == LISTED else values.get(name) for name in names)


def _text_of(paragraph: str, values: Mapping[str, str], allowed: frozenset[str], listed: tuple[str, ...]) -> str:
    items = "\n".join(f"- {line}" for line in listed)
    return "".join(_pieces(paragraph, {**values, LISTED: items}, allowed, _plain, _plain_link))


def _html_of(paragraph: str, values: Mapping[str, str], allowed: frozenset[str], listed: tuple[str, ...]) -> str:
    if paragraph.strip() in {"{{devices}}", "{{ devices }}"}:
        return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in listed) + "</ul>"
    known = {**values, LISTED: "; ".join(listed)}
    inner = "".join(_pieces(paragraph, known, allowed, escape, _html_link))
    return "<p>" + inner.replace("\n", "<br>\n") + "</p>"


def _pieces(
    text: str,
    values: Mapping[str, str],
    allowed: frozenset[str],
    word: Callable[[str], str],
    link: Callable[[str], str],
) -> Iterator[str]:
    """The text with its placeholders and links put in, each piece made safe by ``word`` or ``link``."""
    end = 0
    for token in _TOKEN.finditer(text):
        yield word(text[end : token.start()])
        end = token.end()
        name, address = token[1], token[2]
        if address is not None:
            target = address.rstrip(_ENDS)
            yield link(target) if allowed_link(target, allowed) else word(_LINKISH.sub(r"\1 ", target))
            yield word(address[len(target) :])
        elif name == LINK and values.get(LINK):
            yield link(values[LINK])
        else:
            yield word(values.get(name, ""))
    yield word(text[end:])


def _plain(text: str) -> str:
    return text


def _plain_link(address: str) -> str:
    return address


def _html_link(address: str) -> str:
    return f'<a href="{escape(address)}">{escape(address)}</a>'
