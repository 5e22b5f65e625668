"""How much anybody may send: no body is held in memory that no route could want, whoever sends it.

A connector's documents, and lists of people and of compliance, have limits of their own and are read by their routes
once it is known who sends them (``bodies``); everything else fits into 64 KiB.
"""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
LIMITED_ELSEWHERE = re.compile(r"/connector/|/api/v1/(?:groups|people|sources/[^/]+/records)$")


class BodyLimit:
    """ASGI middleware: a body of more than 64 KiB is refused with 413, announced or in pieces, once it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, counting what is read of its body."""
        limited = scope["type"] == "http" and not LIMITED_ELSEWHERE.match(scope["path"])
        await self.app(scope, _counted(scope, receive) if limited else receive, send)


def _counted(scope: Scope, receive: Receive) -> Receive:
    announced = Headers(scope=scope).get("content-length", "")
    received = 0

    async def counted() -> Message:
        nonlocal received
        if announced.isdecimal() and int(announced) > LARGEST_BODY:
            raise _too_large()
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise _too_large()
        return message

    return counted


def _too_large() -> HTTPException:
    return HTTPException(413, f"The body of this request may have {LARGEST_BODY:,} bytes.")
