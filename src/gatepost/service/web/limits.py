"""How much anybody may send: no body is held in memory that no route could want, whoever sends it.

A connector's documents, lists of people, of compliance and of devices, and forms with a file have limits of their own
and are read by their routes once it is known who sends them (``bodies``, ``ConsoleRoute``). A policy fits into 1 MiB,
everything else into 64 KiB.
"""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
LARGEST_POLICY = 1024 * 1024
HOLDS_A_POLICY = re.compile(r"/policy/(?:edit|save|preview(?:\.(?:csv|json))?)$|/api/v1/(?:policies|previews.*)$")
LIMITED_ELSEWHERE = re.compile(
    r"/connector/|/onboarding/|/api/v1/(?:entries/[^/]+/(?:adoptions|adoptions/preview|pins)|groups|people|"
    r"sources/[^/]+/records)$"
)


class BodyLimit:
    """ASGI middleware: a body that is larger than its path may have is refused with 413, once it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, counting what is read of its body."""
        limited = scope["type"] == "http" and not LIMITED_ELSEWHERE.match(scope["path"])
        await self.app(scope, _counted(scope, receive) if limited else receive, send)


def _counted(scope: Scope, receive: Receive) -> Receive:
    announced = Headers(scope=scope).get("content-length", "")
    largest = LARGEST_POLICY if HOLDS_A_POLICY.match(scope["path"]) else LARGEST_BODY
    received = 0

    async def counted() -> Message:
        nonlocal received
        if announced.isdecimal() and int(announced) > largest:
            raise _too_large(largest)
        message = await receive()
        received += len(message.get("body", b""))
        if received > largest:
            raise _too_large(largest)
        return message

    return counted


def _too_large(largest: int) -> HTTPException:
    return HTTPException(413, f"The body of this request may have {largest:,} bytes.")
