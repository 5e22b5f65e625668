"""The page that shows what a policy would do before it is saved or rolled out, and who exactly; the same as files.

A version is looked at by its address. A policy that is not saved yet is sent along by every button of the page. Both go
with the moment for which it was counted, so that the pages and files behind it tell of the same.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from gatepost.domain.desired import Level
from gatepost.domain.policies import read_policy
from gatepost.errors import Problem
from gatepost.service import connections
from gatepost.service.administrators import Session
from gatepost.service.policies import choices, versions
from gatepost.service.policies.preview import Wanted
from gatepost.service.policies.rings import Ring
from gatepost.service.policies.who import LARGEST_PAGE, Filter, Page, What
from gatepost.service.policies.worker import Worker
from gatepost.service.web import render, spreadsheets, words
from gatepost.service.web.console.policy import PAGE
from gatepost.service.web.console.policy_edit import PolicyRoute, edited, mistakes, sent
from gatepost.service.web.console.route import console_router
from gatepost.service.web.i18n import Language
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.policy_charts import NO_MODEL, charts
from gatepost.service.web.policy_form import Groups
from gatepost.service.web.sessions import tenant_of

HERE = f"{PAGE}/preview"
LASTS = timedelta(minutes=30)
ASKED = ("version", "ring", "pilot", "organization", "at", "what", "reason", "level", "family", "model", "group")
COLUMNS = (
    "mailbox", "device_id", "friendly_name", "family", "model", "os", "before", "after", "reason", "rule", "loses",
    "gains", "organization_id", "guid",
)  # fmt: skip
WHAT: Mapping[str, What] = {what: what for what in get_args(What)}
router = console_router(PolicyRoute)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked at: the policy, and as texts of ``ASKED`` all that the page's links carry on."""

    document: Mapping[str, Any]
    saved: bool
    texts: Mapping[str, str]
    wanted: Wanted
    filter: Filter

    @property
    def sent(self) -> str:
        """The policy as the page's buttons send it along; empty for a version, which has an address."""
        return "" if self.saved else json.dumps(self.document, ensure_ascii=False)

    def link(self, **changes: str | None) -> str:
        """What is asked, with some of it changed, as a query. What is empty is left out, but a model without a name."""
        texts = {**self.texts, **changes}
        return urlencode({name: text for name, text in texts.items() if text or (name == "model" and text is not None)})


@router.get(HERE)
async def preview_version(
    request: Request, session: Annotated[Session, requires(Permission.POLICIES_READ)]
) -> Response:
    """What a version would do."""
    texts = dict(request.query_params)
    if not texts.get("version"):
        return await _to_newest(request, session)
    return await _page(request, session, await _asked(request, session, texts), texts.get("cursor", ""))


@router.post(HERE)
async def preview_draft(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """What the policy that is being written would do; the form again where it cannot be read."""
    draft = await sent(request, session)
    if wrong := await mistakes(request, session, draft):
        return await edited(request, session, draft, wrong)
    texts = await _pressed(request)
    document = draft.document(render.zone_of(request))
    return await _page(request, session, await _asked(request, session, texts, document), texts.get("cursor", ""))


@router.get(f"{HERE}.csv")
async def version_csv(request: Request, session: Annotated[Session, requires(Permission.POLICIES_READ)]) -> Response:
    """Who exactly, of a version, as CSV."""
    return await _csv(request, session, await _asked(request, session, dict(request.query_params)))


@router.post(f"{HERE}.csv")
async def draft_csv(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """Who exactly, of the policy that is being written, as CSV."""
    return await _csv(request, session, await _asked_of_draft(request, session))


@router.get(f"{HERE}.json")
async def version_json(request: Request, session: Annotated[Session, requires(Permission.POLICIES_READ)]) -> Response:
    """The counts, of a version, as JSON."""
    return await _json(request, session, await _asked(request, session, dict(request.query_params)))


@router.post(f"{HERE}.json")
async def draft_json(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """The counts, of the policy that is being written, as JSON."""
    return await _json(request, session, await _asked_of_draft(request, session))


async def _to_newest(request: Request, session: Session) -> Response:
    async with tenant_of(request, session) as scope:
        newest = await versions.newest(scope)
    return RedirectResponse(f"{HERE}?version={newest.version}" if newest else PAGE, 303)


async def _pressed(request: Request) -> dict[str, str]:
    """What the pressed button asks for; nothing where it is the form's, which asks for all of it anew."""
    return dict(parse_qsl(str((await request.form()).get("go", "")), keep_blank_values=True))


async def _asked_of_draft(request: Request, session: Session) -> Asked:
    """What is asked of the policy that is being written. Raises Problem 400 where it cannot be read."""
    draft = await sent(request, session)
    if await mistakes(request, session, draft):
        raise Problem(400, "malformed", "The policy cannot be read. Its form says what is wrong.")
    return await _asked(request, session, await _pressed(request), draft.document(render.zone_of(request)))


async def _asked(
    request: Request, session: Session, texts: Mapping[str, str], document: Mapping[str, Any] | None = None
) -> Asked:
    """What is asked for; what cannot be is left out. Raises Problem 404 for a version that is not there."""
    known = {name: texts[name][:500] for name in ASKED if name in texts}
    version = known.get("version", "")
    async with tenant_of(request, session) as scope:
        if document is None:
            number = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0
            document = (await versions.get(scope, number)).document
        pilot = Groups((), known.get("pilot", "")).resolved(await choices.groups(scope))
    ring = known.get("ring", "")
    moment = _moment(known.get("at", ""))
    known["at"] = moment.isoformat()
    wanted = Wanted(
        document=document,
        organization_id=_id(known.get("organization", "")),
        ring=Ring(ring) if ring in set(Ring) else Ring.ALL,
        pilot=_id(pilot.chosen[0]) if pilot.chosen else None,
        now=moment,
    )
    return Asked(document, bool(version), known, wanted, _filter(known))


def _filter(asked: Mapping[str, str]) -> Filter:
    level = asked.get("level", "")
    return Filter(
        what=WHAT.get(asked.get("what", ""), "changes"),
        reason=asked.get("reason", ""),
        level=level if level in set(Level) else "",
        family=asked.get("family", ""),
        model=asked.get("model"),
        group=asked.get("group", ""),
    )


def _moment(text: str) -> datetime:
    """The moment for which it was counted, while that is not long ago; else now."""
    now = datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now
    return moment if moment.tzinfo and now - LASTS <= moment <= now else now


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _page(request: Request, session: Session, asked: Asked, cursor: str) -> Response:
    """The page: the counts, the charts, and a page of the devices that fit."""
    worker: Worker = request.app.state.worker
    seen = await worker.preview(session.tenant_id, asked.wanted)
    found = await worker.who(session.tenant_id, asked.wanted, asked.filter, cursor)
    async with tenant_of(request, session) as scope:
        groups = await choices.groups(scope)
        organizations = await connections.organizations(scope)
        defaults = await choices.defaults(scope)
    language = render.language_of(request)
    policy = read_policy(asked.document)
    typed = (await request.form()) if request.method == "POST" else {}
    return render.page(
        request,
        "policy/preview.html",
        session=session,
        asked=asked,
        seen=seen,
        found=found,
        charts=charts(seen, language),
        narrowed=_narrowed(asked.filter, language, groups),
        everything=asked.link(reason="", level="", family="", group="", model=None),
        following=asked.link(cursor=found.next) if found.next else "",
        unquarantined=_unquarantined(seen, defaults),
        rules={rule.rule_id: rule.name for rule in policy.rules},
        rings=tuple(Ring),
        groups=groups,
        organizations=organizations,
        note=str(typed.get("note", ""))[:500],
        newest=str(typed.get("newest", ""))[:20],
    )


def _unquarantined(seen: Mapping[str, Any], defaults: Iterable[Mapping[str, Any]]) -> list[str]:
    """The organizations whose default is known and does not quarantine, where anything is to be quarantined."""
    if not seen["levels"]["quarantine"]["after"]:
        return []
    return [row["name"] for row in defaults if (row["default_level"] or "quarantine").lower() != "quarantine"]


def _narrowed(wanted: Filter, language: Language, groups: Mapping[str, str]) -> list[str]:
    """What the list is narrowed to, in words."""
    told = [
        words.word(language, vocabulary, name).text
        for vocabulary, name in (("reason", wanted.reason), ("level", wanted.level), ("family", wanted.family))
        if name
    ]
    if wanted.model is not None:
        told.append(words.visible(wanted.model) or language.text(NO_MODEL))
    return [*told, words.visible(groups.get(wanted.group, wanted.group))] if wanted.group else told


async def _json(request: Request, session: Session, asked: Asked) -> Response:
    worker: Worker = request.app.state.worker
    seen = await worker.preview(session.tenant_id, asked.wanted)
    headers = {"Content-Disposition": 'attachment; filename="gatepost-preview.json"'}
    return JSONResponse(seen, headers=headers)


async def _csv(request: Request, session: Session, asked: Asked) -> Response:
    """The file; what is wrong at its first page is told as a page, before any of it is sent."""
    worker: Worker = request.app.state.worker
    first = await worker.who(session.tenant_id, asked.wanted, asked.filter, "", LARGEST_PAGE)
    headers = {"Content-Disposition": 'attachment; filename="gatepost-preview.csv"'}
    lines = _lines(worker, session.tenant_id, asked, first)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(worker: Worker, tenant_id: UUID, asked: Asked, found: Page) -> AsyncIterator[str]:
    yield spreadsheets.MARK + spreadsheets.line(COLUMNS)
    while True:
        for row in found.rows:
            yield spreadsheets.line("" if row[name] is None else str(row[name]) for name in COLUMNS)
        if found.next is None:
            return
        found = await worker.who(tenant_id, asked.wanted, asked.filter, found.next, LARGEST_PAGE)
