"""Alerts for scripts: what is wrong, and where it is told."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from gatepost.domain.contract import iso
from gatepost.service.administrators import Session
from gatepost.service.alerts import register, targets, texts
from gatepost.service.web.i18n import SOURCE_LANGUAGE
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])


class NewTarget(BaseModel):
    """Where alerts are to go: a mail address, an https address, or ``udp://``, ``tcp://``, ``tls://`` and a host."""

    kind: Literal["mail", "webhook", "syslog"]
    address: str = Field(max_length=500)
    language: str = SOURCE_LANGUAGE


@router.get("")
async def listing(request: Request, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]) -> dict[str, Any]:
    """What is wrong or was within a week, and the targets with how their newest sending went."""
    async with tenant_of(request, session) as scope:
        told = await register.shown(scope, datetime.now(UTC))
        known = await targets.all_of(scope)
    english = texts.language_of(SOURCE_LANGUAGE)
    return {
        "alerts": [
            {
                "id": row["alert_id"],
                "organization_id": row["organization_id"],
                "condition": row["condition"],
                "text": texts.sentence(row, english, over=row["ended_at"] is not None),
                "begun_at": iso(row["begun_at"]),
                "ended_at": iso(row["ended_at"]),
            }
            for row in told
        ],
        "targets": [{**row, "made_at": iso(row["made_at"]), "last_ok_at": iso(row["last_ok_at"])} for row in known],
    }


@router.post("/targets", status_code=201)
async def add(
    request: Request, target: NewTarget, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]
) -> dict[str, Any]:
    """Add a target. The secret signs what a webhook gets; it is answered this once."""
    async with tenant_of(request, session) as scope:
        keys = await request.app.state.keys.of(scope)
        target_id, secret = await targets.add(
            scope,
            keys,
            target.kind,
            target.address,
            target.language,
            session.name,
            by_mail=request.app.state.ways.relay is not None,
        )
    return {"target_id": target_id, **({"secret": secret} if secret else {})}


@router.post("/targets/{target_id}/test", status_code=202)
async def test(
    request: Request, target_id: UUID, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]
) -> dict[str, str]:
    """Send a test there; the listing tells how it went."""
    async with tenant_of(request, session) as scope:
        await targets.test(scope, target_id, session.name)
    return {"state": "waiting"}


@router.delete("/targets/{target_id}", status_code=204)
async def remove(
    request: Request, target_id: UUID, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]
) -> None:
    """Let no alert go there any more."""
    async with tenant_of(request, session) as scope:
        await targets.remove(scope, target_id, session.name)
