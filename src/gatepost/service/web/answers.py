"""Answers to connectors carry the service's signature: also refusals, and whatever a handler further out makes of them.

A proxy on the way may read an answer and may not change, invent or exchange one (docs/protocol.md).
"""

import base64
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.domain import signing
from gatepost.service.keys import TenantKeys

SIGNER = "gatepost_signer"


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key signs the answer to one request, and what of the request the signature covers."""

    keys: TenantKeys
    about: str

    def signature(self, status: int, body: bytes) -> str:
        """The value of the header."""
        return base64.b64encode(self.keys.sign(signing.answer_bytes(status, body, self.about))).decode("ascii")


def sign_answer(request: Request, keys: TenantKeys, about: str) -> None:
    """Sign whatever this request is answered with from here on."""
    request.scope[SIGNER] = Signer(keys, about)


class SignedAnswers:
    """ASGI middleware, outside of everything that answers: an answer that is to be signed is held until it is whole."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started: list[Message] = []
        body = bytearray()

        async def signing_send(message: Message) -> None:
            signer: Signer | None = scope.get(SIGNER)
            if signer is None:
                await send(message)
            elif message["type"] == "http.response.start":
                started.append(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    [start] = started
                    headers = MutableHeaders(scope=start)
                    headers[signing.SIGNATURE] = signer.signature(start["status"], bytes(body))
                    await send(start)
                    await send({"type": "http.response.body", "body": bytes(body)})

        await self.app(scope, receive, signing_send)
