"""The body of a connector's request: limited while it streams, checked against its digest, unpacked without trust."""

import base64
import binascii
import hashlib
import hmac
import re
import zlib

from fastapi import Request

from gatepost.domain.contract import BYTES_SENT, BYTES_UNPACKED
from gatepost.errors import Problem

DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]+):")
GZIP = zlib.MAX_WBITS | 16
GZIP_BEGINS = b"\x1f\x8b"


async def read_sent(request: Request) -> bytes:
    """The bytes sent, at most 1 MiB, as their digest says, which is signed.

    Raises Problem 413 ``too-large``, 401 ``signature`` where the bytes are others: the same may be sent again.
    """
    body = await read_limited(request)
    _check_digest(request.headers.get("content-digest", ""), body)
    return body


async def read_limited(request: Request) -> bytes:
    """The bytes sent, at most 1 MiB. Raises Problem 413 ``too-large``."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > BYTES_SENT:
        raise _too_large("sent", BYTES_SENT)
    sent = bytearray()
    async for piece in request.stream():
        sent += piece
        if len(sent) > BYTES_SENT:
            raise _too_large("sent", BYTES_SENT)
    return bytes(sent)


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
