"""What connector and service sign, and how a key is told to people; pure text and bytes, no keys (docs/protocol.md).

A request is signed with the connector's key, its answer with the service's, over the request's own signature: an answer
fits one request and no other. Whoever stands between may read, and can neither change, invent nor exchange.
"""

import base64
import hashlib

KEY, EPOCH, INSTANCE, TIME = "Gatepost-Key", "Gatepost-Epoch", "Gatepost-Instance", "Gatepost-Time"
DIGEST, SIGNATURE = "Content-Digest", "Gatepost-Signature"
SIGNED_HEADERS = (KEY, EPOCH, INSTANCE, TIME, DIGEST)
REQUEST, ANSWER, MANIFEST = "gatepost request 1", "gatepost answer 1", "gatepost manifest 1"
HEX_DIGITS = frozenset("0123456789abcdef")
GROUP, DIGITS = 8, 64


def content_digest(body: bytes) -> str:
    """The value of ``Content-Digest`` (RFC 9530) for the bytes of a body as sent."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def request_bytes(method: str, target: str, headers: tuple[str, ...]) -> bytes:
    """What a request's signature covers: ``headers`` are the values of SIGNED_HEADERS, in their order.

    ``target`` is path and query from ``/connector/v1`` on, so that a proxy may put the service below another path.
    """
    return _lines(REQUEST, method.upper(), target, *headers)


def answer_bytes(status: int, body: bytes, request_signature: str) -> bytes:
    """What an answer's signature covers; ``request_signature`` is the value of the request's own header."""
    return _lines(ANSWER, str(status), content_digest(body), request_signature)


def manifest_bytes(body: bytes) -> bytes:
    """What the signature of a set-up package's manifest covers."""
    return _lines(MANIFEST, content_digest(body))


def fingerprint(public_key: bytes) -> str:
    """A public key's SHA-256 as people compare it: 64 hex digits in groups of eight."""
    digits = hashlib.sha256(public_key).hexdigest()
    return " ".join(digits[at : at + GROUP] for at in range(0, len(digits), GROUP))


def same_fingerprint(public_key: bytes, told: str) -> bool:
    """Whether what a person typed or pasted names this key; spaces, colons, hyphens and case do not matter."""
    return is_fingerprint(told) and _digits(told) == _digits(fingerprint(public_key))


def is_fingerprint(told: str) -> bool:
    """Whether what a person typed or pasted could name a key."""
    digits = _digits(told)
    return len(digits) == DIGITS and set(digits) <= HEX_DIGITS


def _digits(told: str) -> str:
    return "".join(digit for digit in told.lower().strip().removeprefix("sha256:") if digit not in " :-\t\n")


def _lines(*lines: str) -> bytes:
    """Lines that no value can break out of. Raises ValueError where one holds a line end."""
    if any("\n" in line or "\r" in line for line in lines):
        raise ValueError("a value that is signed holds a line end")
    return "\n".join(lines).encode("utf-8")
