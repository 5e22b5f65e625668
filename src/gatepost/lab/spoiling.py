"""Answers to Receive that a fault has spoilt; ``parts`` are the envelope's beginning, stream elements, and its end."""

from base64 import b64decode, b64encode

from gatepost.lab.dialects import Fault
from gatepost.lab.endings import Ending
from gatepost.lab.faults import Faults

_CUT = 40
"""How many bytes a truncated fragment lacks."""


def spoil(parts: list[bytes], faults: Faults) -> list[bytes]:
    """The answer as the faults have it; answers without a command's output stay whole."""
    if not has_output(parts):
        return parts
    if faults.strikes(Fault.TRUNCATED_FRAGMENT):
        text = b64encode(b64decode(parts[-3])[:-_CUT])
        return [*parts[:-3], text, *parts[-2:]]
    if faults.strikes(Fault.MALFORMED_SOAP):
        whole = b"".join(parts)
        return [whole[: len(whole) // 2], b"</not-what-was-opened>"]
    if faults.strikes(Fault.DOCTYPE_SOAP):
        return [b'<!DOCTYPE Envelope [<!ENTITY e "expanded">]>', *parts]
    return parts


def ending(parts: list[bytes], faults: Faults) -> Ending:
    """How an answer to Receive ends; one without a command's output goes out whole."""
    if has_output(parts):
        for fault, found in ((Fault.BREAK_OFF, Ending.CUT), (Fault.RESET, Ending.RESET), (Fault.DRIP, Ending.DRIP)):
            if faults.strikes(fault):
                return found
    return Ending.WHOLE


def has_output(parts: list[bytes]) -> bool:
    """Whether an answer carries streams of a command, between its beginning and its end."""
    return len(parts) >= 5 and b"CommandState" in parts[-1]
