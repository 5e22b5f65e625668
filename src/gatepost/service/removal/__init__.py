"""Removing a connection: what it would do to whom, the ends that there are, and how far an undoing has come."""

from gatepost.service.administrators.person import Person
from gatepost.service.removal.flow import (
    Progress,
    Removal,
    advance,
    approve,
    ask,
    cancel,
    latest,
    progress,
    refresh,
)
from gatepost.service.removal.preview import Preview, preview, script

__all__ = [
    "Person",
    "Preview",
    "Progress",
    "Removal",
    "advance",
    "approve",
    "ask",
    "cancel",
    "latest",
    "preview",
    "progress",
    "refresh",
    "script",
]
