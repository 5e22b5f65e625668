"""The pages about notices: who tells people of their phones, in which words, within which limits; and a test."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from gatepost.domain.notices import CATALOGUES, PLACEHOLDERS, Fault, Kind, Template, check
from gatepost.domain.wishes import LONGEST_INSERT, WishName
from gatepost.errors import Problem
from gatepost.service import connections, wishes
from gatepost.service.administrators import Session
from gatepost.service.database import Scope
from gatepost.service.notices import choices, outbox, wording
from gatepost.service.notices.choices import Choices, Words
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.i18n import N_
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

PAGE = "/administration/notices"
INSERTS = (WishName.USER_MAIL_INSERT, WishName.OTA_NOTIFICATION_INSERT)
MISTAKES = {
    "speaks": N_("Choose one."),
    "language": N_("Choose one."),
    "zone": N_("Write a time zone such as Europe/Amsterdam."),
    "hosts": N_("Write one host name a line, such as help.example.com; at most 20."),
    "portal": N_("Write an https address on one of the hosts, or nothing."),
    "contact": N_("Write one line of at most 300 characters; a link in it must lead to one of the hosts."),
    "a_person": N_("Write a whole number from 1 to 100."),
    "a_tenant": N_("Write a whole number from 1 to 1,000,000."),
}
FAULTS = {
    "empty": N_("Write something."),
    "long": N_("This is too long. At most so many characters:"),
    "placeholder": N_("This placeholder is not known here:"),
    "braces": N_("There are two braces that begin or end no placeholder."),
    "link": N_("A link may lead only to a host that is allowed, by https. This one does not:"),
    "link-in-subject": N_("A subject holds no link:"),
    "control": N_("There is a character in it that cannot be seen."),
}
NO_MAILBOX = N_("No person's mailbox of this organization has that address.")
router = console_router()
Reader = Annotated[Session, requires(Permission.NOTICES_READ)]
Manager = Annotated[Session, requires(Permission.NOTICES_MANAGE)]
Fresh = Annotated[Session, requires(Permission.NOTICES_MANAGE, step_up=True)]
Changer = Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)]


@router.get(PAGE)
async def page(request: Request, session: Reader) -> Response:
    """Settings, words, a test, and the newest notices."""
    return await _page(request, session)


@router.post(PAGE)
async def choose(request: Request, session: Fresh) -> Response:
    """Put other settings in the place of those before."""
    form = await request.form()
    wanted = _typed(form)
    try:
        async with tenant_of(request, session) as scope:
            await choices.choose(scope, wanted, _base(request), session.name)
    except Problem as problem:
        if problem.type != "notice-setting":
            raise
        return await _page(request, session, typed=wanted, wrong=str(problem.fields["place"]))
    return RedirectResponse(f"{PAGE}#settings", 303)


@router.post(f"{PAGE}/test")
async def test(request: Request, session: Manager) -> Response:
    """Send a test."""
    form = await request.form()
    address = str(form.get("address", ""))[:320]
    try:
        async with tenant_of(request, session) as scope:
            await outbox.test(scope, address, _kind(form), str(form.get("language", "")), session.name)
    except Problem as problem:
        if problem.type != "no-mailbox":
            raise
        return await _page(request, session, address=address)
    return RedirectResponse(f"{PAGE}#newest", 303)


@router.post(f"{PAGE}/exchange/{{organization_id}}")
async def insert(request: Request, organization_id: UUID, session: Changer) -> Response:
    """Wish for our link in the texts that Exchange adds to its own mails."""
    async with tenant_of(request, session) as scope:
        text = _insert(await choices.words(scope, _base(request)))
        if not text:
            raise Problem(409, "refused", "There is no address that people could be led to.")
        for name in INSERTS:
            await wishes.set(scope, organization_id, name, text, session.name)
    return RedirectResponse(f"{PAGE}#exchange", 303)


@router.get(f"{PAGE}/words/{{kind}}/{{language}}")
async def words(request: Request, kind: Kind, language: str, session: Reader) -> Response:
    """The words of one kind in one language, and the mail that they make."""
    return await _words(request, session, kind, _language(language))


@router.post(f"{PAGE}/words/{{kind}}/{{language}}")
async def set_words(request: Request, kind: Kind, language: str, session: Manager) -> Response:
    """Look at other words, keep them, or go back to ours."""
    form = await request.form()
    typed = Template(_lines(form, "subject", 1_000).strip(), _lines(form, "body", 20_000).strip())
    wanted = str(form.get("do", ""))
    if wanted == "look":
        return await _words(request, session, kind, _language(language), typed)
    try:
        async with tenant_of(request, session) as scope:
            kept = None if wanted == "ours" else typed
            await choices.set_template(scope, kind, _language(language), kept, _base(request), session.name)
    except Problem as problem:
        if problem.type != "notice-template":
            raise
        return await _words(request, session, kind, language, typed)
    return RedirectResponse(f"{PAGE}/words/{kind.value}/{language}", 303)


async def _words(
    request: Request, session: Session, kind: Kind, language: str, typed: Template | None = None
) -> Response:
    async with tenant_of(request, session) as scope:
        known = await choices.words(scope, _base(request))
    kept = known.template(kind, CATALOGUES[language])
    shown = typed or kept
    faults = check(shown, kind, known.hosts)
    tried = Words(known.choices, known.slug, known.base, {**known.own, (kind.value, language): shown})
    mail = wording.example(tried, kind, language).mail
    return render.page(
        request,
        "notice_words.html",
        session=session,
        status=400 if faults else 200,
        kind=kind.value,
        catalogue=CATALOGUES[language],
        shown=shown,
        own=(kind.value, language) in known.own,
        unsaved=typed is not None and typed != kept,
        faults=[_fault(fault) for fault in faults],
        mail=mail,
        inner=Markup(mail.inner),  # noqa: S704 - made of escaped pieces in domain.notices
        placeholders=sorted(PLACEHOLDERS[kind]),
    )


async def _page(
    request: Request, session: Session, *, typed: Choices | None = None, wrong: str = "", address: str = ""
) -> Response:
    async with tenant_of(request, session) as scope:
        known = await choices.words(scope, _base(request))
        newest, counted = await outbox.recent(scope), await outbox.counts(scope)
        inserts = await _inserts(scope)
    return render.page(
        request,
        "notices.html",
        session=session,
        status=400 if wrong or address else 200,
        chosen=typed or known.choices,
        wrong=wrong,
        mistake=MISTAKES[wrong] if wrong else NO_MAILBOX,
        address=address,
        link=known.link,
        hosts=sorted(known.hosts),
        kinds=[kind.value for kind in Kind],
        catalogues=list(CATALOGUES.values()),
        own=frozenset(known.own),
        counts=counted,
        newest=newest,
        insert=_insert(known),
        inserts=inserts,
    )


async def _inserts(scope: Scope) -> list[dict[str, Any]]:
    """Each organization with how it stands with the texts of Exchange's own mails."""
    found = []
    for each in await connections.organizations(scope):
        standing = await wishes.standing(scope, each["organization_id"])
        found.append({**each, "texts": [standing[name] for name in INSERTS]})
    return found


def _insert(words: Words) -> str:
    """The text for Exchange's own mails; nothing where there is no address, or Exchange would not take it."""
    text = CATALOGUES[words.choices.language].insert.format(link=words.link) if words.link else ""
    return text if len(text) <= LONGEST_INSERT else ""


def _typed(form: FormData) -> Choices:
    """The settings as they were typed; what is no number becomes none that is allowed."""
    hosts = [line.strip() for line in _lines(form, "hosts", 6_000).splitlines() if line.strip()]
    return Choices(
        speaks=_line(form, "speaks"),
        language=_line(form, "language"),
        zone=_line(form, "zone"),
        hosts=tuple(hosts[: choices.MOST_HOSTS + 1]),
        portal=_line(form, "portal"),
        contact=_line(form, "contact"),
        a_person=_whole(_line(form, "a_person")),
        a_tenant=_whole(_line(form, "a_tenant")),
    )


def _line(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()[:1_000]


def _whole(text: str) -> int:
    """A number that was typed; 0, which no limit may be, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def _lines(form: FormData, name: str, longest: int) -> str:
    """A text of lines, as a browser sends them."""
    return str(form.get(name, ""))[:longest].replace("\r\n", "\n").replace("\r", "\n")


def _kind(form: FormData) -> Kind:
    try:
        return Kind(str(form.get("kind", "")))
    except ValueError as error:
        raise Problem(400, "malformed", "There is no such kind of notice.") from error


def _language(language: str) -> str:
    if language not in CATALOGUES:
        raise Problem(404, "not-found", "There are no notices in that language.")
    return language


def _fault(fault: Fault) -> dict[str, str]:
    return {"place": fault.place, "text": FAULTS[fault.problem], "what": fault.what}


def _base(request: Request) -> str | None:
    """Where the service is reached."""
    base: str | None = request.app.state.settings.public_url
    return base
