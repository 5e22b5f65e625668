"""Sessions of scripts: sign in, sign out."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from gatepost.service.administrators import Session, sessions
from gatepost.service.administrators.sign_in import sign_in
from gatepost.service.web.permissions import Permission, public, requires
from gatepost.service.web.sessions import client_address

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])


class SignIn(BaseModel):
    """Who signs in, at which tenant (its short name)."""

    tenant: Annotated[str, Field(max_length=100)]
    name: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=1_024)]


class Opened(BaseModel):
    """A session: send ``token`` as ``Authorization: Bearer``; good for 8 hours, or 30 minutes without a request."""

    token: str


@router.post("", status_code=201, dependencies=[public("the sign-in itself; limited by address and name")])
async def open_session(request: Request, asked: SignIn) -> Opened:
    """Sign in. Whoever has a passkey cannot: it needs a browser."""
    database, address = request.app.state.database, client_address(request)
    token = await sign_in(database, asked.tenant, asked.name, asked.password, address, None)
    return Opened(token=str(token))


@router.delete("", status_code=204)
async def close_session(request: Request, session: Annotated[Session, requires(Permission.SESSION_END)]) -> Response:
    """Sign out."""
    await sessions.sign_out(request.app.state.database, session, client_address(request))
    return Response(status_code=204)
