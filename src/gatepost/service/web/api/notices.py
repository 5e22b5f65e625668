"""Notices for scripts: what is sent, by whose words, within which limits, and a test."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from gatepost.domain.contract import iso
from gatepost.domain.notices import CATALOGUES, Kind, Template
from gatepost.errors import Problem
from gatepost.service.administrators import Session
from gatepost.service.notices import choices, outbox, wording
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/notices", tags=["notices"])
Reader = Annotated[Session, requires(Permission.NOTICES_READ)]
Manager = Annotated[Session, requires(Permission.NOTICES_MANAGE)]
Fresh = Annotated[Session, requires(Permission.NOTICES_MANAGE, step_up=True)]


class Settings(BaseModel):
    """Who speaks, in which language and time zone where nothing is known, what links may lead to, and the limits.

    ``a_person`` and ``a_tenant`` are the most mails in 24 hours, to one mailbox and in all.
    """

    speaks: Literal["gatepost", "exchange", "both"] = "gatepost"
    language: str = "en"
    zone: str = Field(default="UTC", max_length=100)
    hosts: list[str] = Field(default_factory=list, max_length=choices.MOST_HOSTS)
    portal: str = Field(default="", max_length=500)
    contact: str = Field(default="", max_length=choices.LONGEST_CONTACT)
    a_person: int = choices.USUAL.a_person
    a_tenant: int = choices.USUAL.a_tenant


class Words(BaseModel):
    """A template: a line of subject and the text, with placeholders such as ``{{device.name}}``."""

    subject: str = Field(max_length=1_000)
    body: str = Field(max_length=20_000)


class Test(BaseModel):
    """A test to a person's mailbox."""

    address: str = Field(max_length=320)
    kind: Kind = Kind.BLOCKED
    language: str = "en"


@router.get("")
async def listing(request: Request, session: Reader) -> dict[str, Any]:
    """The newest notices, how many there are in each state of the last 24 hours, and the settings."""
    async with tenant_of(request, session) as scope:
        newest, counted = await outbox.recent(scope), await outbox.counts(scope)
        chosen = await choices.choices(scope)
    return {
        "notices": [_document(row) for row in newest],
        "last_day": counted,
        "settings": {name: getattr(chosen, name) for name in Settings.model_fields},
    }


@router.put("/settings")
async def choose(request: Request, settings: Settings, session: Fresh) -> dict[str, Any]:
    """Put these settings in the place of those before."""
    wanted = choices.Choices(**{**settings.model_dump(), "hosts": tuple(settings.hosts)})
    async with tenant_of(request, session) as scope:
        await choices.choose(scope, wanted, _base(request), session.name)
    return settings.model_dump()


@router.get("/templates/{kind}/{language}")
async def template(request: Request, kind: Kind, language: str, session: Reader) -> dict[str, Any]:
    """The words of a kind in a language, whether they are the tenant's own, and an example of the mail."""
    async with tenant_of(request, session) as scope:
        words = await choices.words(scope, _base(request))
    if language not in CATALOGUES:
        raise Problem(404, "not-found", "There are no notices in that language.")
    shown = words.template(kind, CATALOGUES[language])
    mail = wording.example(words, kind, language).mail
    return {
        "subject": shown.subject,
        "body": shown.body,
        "own": (kind.value, language) in words.own,
        "example": {"subject": mail.subject, "html": mail.html, "text": mail.text},
    }


@router.put("/templates/{kind}/{language}")
async def put_template(request: Request, kind: Kind, language: str, words: Words, session: Manager) -> dict[str, str]:
    """Put the tenant's own words in the place of ours."""
    async with tenant_of(request, session) as scope:
        own = Template(words.subject, words.body)
        await choices.set_template(scope, kind, language, own, _base(request), session.name)
    return {"state": "own"}


@router.delete("/templates/{kind}/{language}", status_code=204)
async def drop_template(request: Request, kind: Kind, language: str, session: Manager) -> None:
    """Go back to our words."""
    async with tenant_of(request, session) as scope:
        await choices.set_template(scope, kind, language, None, _base(request), session.name)


@router.post("/test", status_code=202)
async def test(request: Request, wanted: Test, session: Manager) -> dict[str, str]:
    """Have a test sent; the listing tells what became of it."""
    async with tenant_of(request, session) as scope:
        notice_id = await outbox.test(scope, wanted.address, wanted.kind, wanted.language, session.name)
    return {"notice_id": str(notice_id)}


def _document(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: iso(row[name]) for name in ("made_at", "due_at", "claimed_at", "ended_at")}
    plain = ("about", "kind", "language", "state", "recipient", "tells", "attempts", "why")
    return {"notice_id": row["notice_id"], **{name: row[name] for name in plain}, **times}


def _base(request: Request) -> str | None:
    """Where the service is reached."""
    base: str | None = request.app.state.settings.public_url
    return base
