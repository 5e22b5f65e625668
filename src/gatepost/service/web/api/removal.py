"""Removing a connection, for scripts: the preview, the ends, the approval, the file."""

from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.service import audit, removal
from gatepost.service.administrators import Session
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/connections/{organization}/removal", tags=["connections"])


class Asked(BaseModel):
    """What is to become of our entries; ``digest`` is the preview's, for ``undo``."""

    ending: Literal["leave", "file", "undo", "force"]
    digest: str = ""


class Approved(BaseModel):
    """The preview that is approved, by its digest."""

    digest: str


def _document(known: removal.Removal) -> dict[str, Any]:
    """A removal as JSON values."""
    document = asdict(known)
    return document | {name: iso(document[name]) for name in ("asked_at", "approved_at", "ended_at")}


def _preview(seen: removal.Preview) -> dict[str, Any]:
    """A preview as JSON values: the counts, and each device that gains or loses."""
    changes = [
        {
            "mailbox": seen.devices[each.device]["mailbox"],
            "mailbox_guid": each.mailbox,
            "device": each.device,
            "device_id": each.device_id,
            "gains": each.gains,
            "loses": each.loses,
            "before": {"state": each.before.state, "decided_by": each.before.reason},
            "after": {"state": each.after.state, "decided_by": each.after.reason, "rule": each.after.rule},
        }
        for each in seen.effect.changes
    ]
    counts = {"budget": seen.budget, "used": seen.used, "needs_approval": seen.held, "unreachable": seen.unreachable}
    return {**seen.numbers, **counts, "rules_unread": seen.unread, "digest": seen.digest, "changes": changes}


@router.get("")
async def look(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]
) -> dict[str, Any]:
    """What a removal would do, and the removal that is under way or the last one, with how far it is."""
    async with tenant_of(request, session) as scope:
        seen = await removal.preview(scope, organization)
        known = await removal.latest(scope, organization)
        far = await removal.progress(scope, organization, known) if known and known.is_open else None
    return {
        "preview": _preview(seen),
        "removal": _document(known) if known else None,
        "progress": asdict(far) if far else None,
    }


@router.post("", status_code=202)
async def remove(
    request: Request,
    organization: UUID,
    asked: Asked,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> dict[str, Any]:
    """Remove the connection, by the end that was chosen."""
    async with tenant_of(request, session) as scope:
        return _document(await removal.ask(scope, organization, asked.ending, asked.digest, removal.Person.of(session)))


@router.post("/approve", status_code=202)
async def approve(
    request: Request,
    organization: UUID,
    approved: Approved,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> dict[str, Any]:
    """Approve an undoing by which many lose access."""
    async with tenant_of(request, session) as scope:
        return _document(await removal.approve(scope, organization, approved.digest, removal.Person.of(session)))


@router.post("/refresh", status_code=202)
async def refresh(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> dict[str, Any] | None:
    """Ask anew, where what waits has another effect by now; null where nothing waits."""
    async with tenant_of(request, session) as scope:
        known = await removal.refresh(scope, organization, removal.Person.of(session))
    return _document(known) if known else None


@router.post("/cancel", status_code=202)
async def cancel(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> dict[str, Any]:
    """Let the connection live on."""
    async with tenant_of(request, session) as scope:
        return _document(await removal.cancel(scope, organization, removal.Person.of(session)))


@router.post("/file", response_class=PlainTextResponse)
async def file(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE)]
) -> PlainTextResponse:
    """The PowerShell file that takes off exactly our entries."""
    async with tenant_of(request, session) as scope:
        name, text = await removal.script(scope, organization, session.name)
        await audit.record(scope, Event.REMOVAL_FILE, session.name, {"file": name}, organization)
    return PlainTextResponse("\ufeff" + text, headers={"Content-Disposition": f'attachment; filename="{name}"'})
