"""Pages: one template environment per language, and what every template may use.

A page that refreshes itself asks with its last ``ETag``; where nothing changed the answer is 304 and the browser leaves
the page alone, so that a selection, the focus and a screen reader are not disturbed.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import Response

from gatepost import __version__
from gatepost.service.administrators import Session
from gatepost.service.web import i18n, static_files, words
from gatepost.service.web.i18n import LANGUAGES, Language
from gatepost.service.web.permissions import permissions_of
from gatepost.service.web.sessions import FORM_TOKEN

LANGUAGE_COOKIE = "gatepost-language"
ZONE_COOKIE = "gatepost-zone"
NOTHING = Markup('<span class="nothing" aria-hidden="true">&ndash;</span><span class="unseen">{}</span>')
NO_ID = re.compile(r"[^A-Za-z0-9_]")
BREAKS = re.compile(r"(?<=\w)[@/§]")
MOMENT = Markup('<time datetime="{iso}">{text}</time>')


def language_of(request: Request) -> Language:
    """The language that the person chose, or that the browser prefers."""
    return i18n.choose(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language"))


def zone_of(request: Request) -> tzinfo:
    """The browser's time zone, as our script noted it in a cookie; UTC until then."""
    return i18n.zone(request.cookies.get(ZONE_COOKIE))


@pass_context
def moment(context: Context, value: datetime | None) -> Markup:
    """A moment in the person's time zone, or a dash."""
    if value is None:
        return nothing(context)
    language: Language = context["language"]
    iso = value.astimezone(UTC).isoformat(timespec="seconds")
    return MOMENT.format(iso=iso, text=language.moment(value, context["zone"]))


@pass_context
def day(context: Context, value: date) -> str:
    """A day as the language writes it."""
    language: Language = context["language"]
    return language.day(value)


@pass_context
def ago(context: Context, value: datetime) -> str:
    """A moment as a distance from now."""
    language: Language = context["language"]
    return language.distance(value, context["now"])


@pass_context
def nothing(context: Context) -> Markup:
    """What stands where Exchange gave no value: a dash to the eye, words to the ear."""
    language: Language = context["language"]
    return NOTHING.format(language.text("not given"))


@pass_context
def foreign(context: Context, value: object) -> Markup:
    """A text of somebody else, isolated, so that its direction and control characters stay inside it.

    A line may end before an ``@``, ``/`` or ``§`` after a word, so that addresses and paths need not break inside one.
    """
    if value is None or value == "":
        return nothing(context)
    escaped = str(escape(words.visible(str(value))))  # no Markup: its join would escape what is put in
    return Markup("<bdi>{}</bdi>").format(Markup(BREAKS.sub(r"<wbr>\g<0>", escaped)))  # noqa: S704 - escaped above


@pass_context
def number(context: Context, value: int) -> str:
    """A whole number as the language writes it."""
    language: Language = context["language"]
    return language.number(value)


@pass_context
def duration(context: Context, value: timedelta) -> str:
    """A length of time."""
    language: Language = context["language"]
    return language.duration(value)


@pass_context
def zone_name(context: Context, now: datetime) -> str:
    """The name of the person's time zone."""
    language: Language = context["language"]
    return language.zone_name(context["zone"], now)


def plain(value: object) -> str:
    """A foreign text where no markup may stand, as in a title."""
    return words.visible(str(value))


def idref(name: object) -> str:
    """A field's name as an element's id: ``rules[3].name`` is ``rules-3--name``."""
    return NO_ID.sub("-", str(name))


@pass_context
def word(context: Context, name: object, vocabulary: str) -> words.Word:
    """The person's word for a name of the database."""
    return words.word(context["language"], vocabulary, name)


@pass_context
def translated(context: Context, source: str) -> str:
    """A text that Python marked with ``N_``."""
    language: Language = context["language"]
    return language.text(source)


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("gatepost.service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # The i18n extension, loaded above, adds this method; Jinja's types do not know it.
    environment.install_gettext_translations(language.catalogue, newstyle=True)  # type: ignore[attr-defined]
    filters = (moment, day, ago, foreign, number, duration, zone_name, plain, idref, word, translated)
    environment.filters["ordered"] = words.ordered
    environment.tests["moment"] = lambda value: isinstance(value, datetime)
    environment.filters |= {entry.__name__: entry for entry in filters}
    environment.globals |= {
        "static": static_files.url, "nothing": nothing, "language": language, "languages": list(LANGUAGES.values()),
        "form_token_name": FORM_TOKEN, "version": __version__,
    }  # fmt: skip
    return environment


_ENVIRONMENTS = {code: _environment(language) for code, language in LANGUAGES.items()}


def text(language: str, template: str, **values: Any) -> str:  # noqa: ANN401 - what templates show
    """A template in a language, with these values."""
    return _ENVIRONMENTS[language].get_template(template).render(**values)


def page(
    request: Request,
    template: str,
    *,
    session: Session | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,  # noqa: ANN401 - what templates show
) -> Response:
    """The answer that shows a template; 304 where a refreshing page has this text already."""
    html = text(
        language_of(request).code,
        template,
        request=request,
        place=template.partition(".")[0],
        session=session,
        may=permissions_of(session.roles) if session else frozenset(),
        zone=zone_of(request),
        now=datetime.now(UTC),
        **values,
    )
    tag = f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
    every = {"ETag": tag, "Vary": "Accept-Language, Cookie", **(headers or {})}
    if status == 200 and request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=every)
    return Response(html, status_code=status, media_type="text/html; charset=utf-8", headers=every)
