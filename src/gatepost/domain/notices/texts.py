"""What a language needs to say: the form of a catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass

from gatepost.domain.access import Reason
from gatepost.domain.notices.templates import Kind, Template

TOLD = (
    Reason.RULE,
    Reason.PINNED,
    Reason.CLOUD_CACHE,
    Reason.UNMANAGED,
    Reason.NONCOMPLIANT,
    Reason.UNMANAGED_GRACE,
    Reason.NONCOMPLIANT_GRACE,
    Reason.KNOWN,
    Reason.COMPLIANT,
    Reason.PRE_APPROVED,
)
"""The reasons that are told to people. The others are about us, and say nothing to whoever carries the phone."""


@dataclass(frozen=True, slots=True)
class Help:
    """The page to which a notice leads. ``sections`` are headings with steps; ``portal`` and ``contact`` lead there."""

    title: str
    lead: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    portal: str
    contact: str
    promise: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All texts of one language.

    ``happened`` are the sentences of which a digest is made, with ``{device}``. ``phone`` stands for a device without a
    name, ``person`` for somebody without one. ``insert`` goes into Exchange's own mails, with ``{link}``. ``test`` is
    put before a mail that an administrator sends as a test. ``name`` is the language's name in itself.
    """

    code: str
    name: str
    templates: Mapping[Kind, Template]
    reasons: Mapping[Reason, str]
    happened: Mapping[Kind, str]
    phone: str
    person: str
    insert: str
    test: str
    help: Help
