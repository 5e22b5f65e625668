"""Answers to Receive that a fault has spoilt; ``parts`` are the envelope's beginning, stream elements, and its end."""

from base64 import b64decode, b64encode
from collections.abc import Set as AbstractSet

from gatepost.lab.dialects import Fault

_CUT = 40
"""How many bytes a truncated fragment lacks."""


def spoil(parts: list[bytes], faults: AbstractSet[Fault]) -> list[bytes]:
    """The answer as the faults have it; answers without a command's output stay whole."""
    if not has_output(parts):
        return parts
    if Fault.TRUNCATED_FRAGMENT in faults:
        text = b64encode(b64decode(parts[-3])[:-_CUT])
        return [*parts[:-3], text, *parts[-2:]]
    if Fault.MALFORMED_SOAP in faults:
        whole = b"".join(parts)
        return [whole[: len(whole) // 2], b"</not-what-was-opened>"]
    if Fault.DOCTYPE_SOAP in faults:
        return [b'<!DOCTYPE Envelope [<!ENTITY e "expanded">]>', *parts]
    return parts


def has_output(parts: list[bytes]) -> bool:
    """Whether an answer carries streams of a command, between its beginning and its end."""
    return len(parts) >= 5 and b"CommandState" in parts[-1]
