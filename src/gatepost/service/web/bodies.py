"""Large bodies: limited while they stream; a connector's also checked against its digest, unpacked without trust."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import zlib
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from gatepost.domain.contract import BYTES_SENT, BYTES_UNPACKED
from gatepost.errors import Problem

DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]+):")
GZIP = zlib.MAX_WBITS | 16
GZIP_BEGINS = b"\x1f\x8b"
LARGEST_LIST = 32 * 1024 * 1024
MISTAKES_TOLD = 20
Listed = TypeVar("Listed", bound=BaseModel)


async def read_sent(request: Request) -> bytes:
    """The bytes sent, at most 1 MiB, as their digest says, which is signed.

    Raises Problem 413 ``too-large``, 401 ``signature`` where the bytes are others: the same may be sent again.
    """
    body = await read_limited(request)
    _check_digest(request.headers.get("content-digest", ""), body)
    return body


async def read_limited(request: Request, limit: int = BYTES_SENT) -> bytes:
    """The bytes sent, at most so many (1 MiB). Raises Problem 413 ``too-large``."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large("sent", limit)
    sent = bytearray()
    async for piece in request.stream():
        sent += piece
        if len(sent) > limit:
            raise _too_large("sent", limit)
    return bytes(sent)


async def read_list(request: Request, kind: type[Listed]) -> Listed:
    """A list that a script sends, at most 32 MiB of JSON, checked in a thread.

    For routes that know who asks by then: FastAPI itself would read the body first. Raises Problem 413 ``too-large``,
    RequestValidationError.
    """
    body = await read_limited(request, LARGEST_LIST)
    try:
        return await asyncio.to_thread(kind.model_validate_json, body)
    except ValidationError as error:
        told = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_input=False)]
        raise RequestValidationError(told[:MISTAKES_TOLD]) from error


def listed(kind: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a route that reads its body by ``read_list``."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": kind.model_json_schema()}}}}


def unpack(body: bytes) -> bytes:
    """The document in a body, at most 4 MiB: never more is unpacked than that.

    A body that begins as gzip does is gzip; ``Content-Encoding`` is not signed, so it is not asked.
    """
    if not body.startswith(GZIP_BEGINS):
        return body
    stream = zlib.decompressobj(GZIP)
    try:
        document = stream.decompress(body, BYTES_UNPACKED + 1)
    except zlib.error as error:
        raise Problem(400, "malformed", "The body is not gzip.") from error
    if len(document) > BYTES_UNPACKED:
        raise _too_large("unpacked", BYTES_UNPACKED)
    if not stream.eof or stream.unused_data:
        raise Problem(400, "malformed", "The gzip body is cut off or has something after its end.")
    return document


def _check_digest(header: str, body: bytes) -> None:
    found = DIGEST.search(header)
    try:
        told = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        told = b""
    if not hmac.compare_digest(told, hashlib.sha256(body).digest()):
        raise Problem(401, "signature", "Content-Digest is missing or is not the sha-256 of the bytes that came.")


def _too_large(what: str, limit: int) -> Problem:
    return Problem(413, "too-large", f"More than {limit:,} bytes {what}. Send smaller parts.", limit=limit)
