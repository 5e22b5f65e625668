"""Errors as problem documents (RFC 9457): type, title, status, detail, and the error's own fields."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gatepost.domain.contract import ContractError
from gatepost.errors import DatabaseError, Problem
from gatepost.service.web.console.route import problem_page, wants_page

MEDIA = "application/problem+json"
BUSY_SECONDS = 5
log = logging.getLogger("gatepost.service")


def document(status: int, kind: str, detail: str, fields: Mapping[str, Any] | None = None) -> Response:
    """One problem document; ``retry_after`` among the fields is sent as a header too."""
    body = {"type": kind, "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **(fields or {})}
    headers = {"Retry-After": str(body["retry_after"])} if body.get("retry_after") is not None else None
    return Response(json.dumps(body, default=str), status, headers, MEDIA)  # ASCII: what is repeated may be no text


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return document(error.status, error.type, error.detail, error.fields)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, ContractError)
    return document(400, "malformed", str(error), {"place": error.place})


async def _database(request: Request, error: Exception) -> Response:
    """What is wrong with the database is for the log; the caller learns only that it may try again."""
    log.warning("the database failed: %s", error)
    if wants_page(request):
        return await problem_page(request, Problem(503, "busy", ""))
    return document(503, "busy", "The service is busy. Try again.", {"retry_after": BUSY_SECONDS})


async def _invalid(_: Request, error: Exception) -> Response:
    """FastAPI's validation: where and what, never the value that was sent."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"place": ".".join(str(step) for step in entry["loc"]), "problem": entry["msg"]} for entry in error.errors()
    ]
    return document(400, "malformed", "The request is not what this address expects.", {"errors": errors})


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(error.status_code, "refused")
    if wants_page(request):
        return await problem_page(request, Problem(error.status_code, kind, ""))
    return document(error.status_code, kind, str(error.detail))


async def _hung_up(_: Request, error: Exception) -> Response:
    """The client went away in the middle of its body; nobody is there to read this."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=408)


async def _unexpected(request: Request, error: Exception) -> Response:
    """A mistake of ours: the log has it all, the caller gets nothing of it."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    if wants_page(request):
        return await problem_page(request, Problem(500, "failed", ""))
    return document(500, "failed", "The service failed; its log says why.")


def register(app: FastAPI) -> None:
    """Answer every error with a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(ContractError, _malformed)
    app.add_exception_handler(DatabaseError, _database)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _hung_up)
    app.add_exception_handler(Exception, _unexpected)
