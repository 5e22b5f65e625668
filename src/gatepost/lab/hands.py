"""What people do at the lab's Exchange, and what they see there, as JSON: one object a line, one answer a line.

``gatepost lab exchange --hands`` reads such lines from its standard input. With it a demonstration, or a test of whole
processes, sets up a phone at the moment that it wants, and looks at Exchange past the program under test::

    {"do": "level", "level": "Quarantine"}           the organization's default level
    {"do": "person"}                                 somebody gets a mailbox
    {"do": "appear", "line": "iphone"}               a phone is set up on a person's new mailbox, or on a named one
    {"do": "look", "device": GUID}                   its state, its mailbox's lists, who wrote them, the mail there
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gatepost.lab.catalogue import LINES
from gatepost.lab.mailroom import Mailroom
from gatepost.lab.organization import Organization
from gatepost.lab.pipelines import Audited
from gatepost.lab.rows import TICKS, Device, Mailbox
from gatepost.lab.seeding import Seeder

LEVELS = ("Allow", "Quarantine", "Block")
DISCOVERY = 1.0  # seconds


class Hands:
    """The hands of people at one lab; ``audit`` gives the administrator audit log, ``seeder`` makes phones."""

    def __init__(
        self, organization: Organization, mail: Mailroom, audit: Callable[[], list[Audited]], seeder: Seeder
    ) -> None:
        self._organization = organization
        self._mail = mail
        self._audit = audit
        self._seeder = seeder
        self._acts = {"level": self._level, "person": self._join, "appear": self._appear, "look": self._look}

    def do(self, line: str) -> str:
        """The answer to a line; what cannot be done is answered with an ``error``."""
        try:
            asked = json.loads(line)
            answer = self._acts[asked["do"]](asked)
        except (ValueError, KeyError, TypeError, LookupError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        return json.dumps(answer)

    @staticmethod
    def only_looks(line: str) -> bool:
        """Whether a line changes nothing."""
        try:
            asked = json.loads(line)
        except ValueError:
            return True
        return not isinstance(asked, dict) or asked.get("do") == "look"

    def _level(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Set the organization's default level, as an administrator would."""
        level = asked["level"]
        if level not in LEVELS:
            raise ValueError(f"level is one of {', '.join(LEVELS)}")
        self._organization.view().change_settings(default_level=level)
        return {"level": level}

    def _join(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        """Somebody gets a mailbox."""
        return self._owner(self._newcomer())

    def _appear(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A phone is set up; Exchange knows what it is after ``discovery`` seconds."""
        organization = self._organization
        box = organization.find_mailbox(asked["mailbox"]) if "mailbox" in asked else self._newcomer()
        if box is None:
            raise LookupError(f"there is no mailbox {asked['mailbox']}")
        device = self._seeder.new_device(box, LINES[asked.get("line", "iphone")])
        now = organization.clock()
        device.first_sync, device.created, device.changed = now, now // TICKS * TICKS, now
        organization.appear(device, float(asked.get("discovery", DISCOVERY)))
        return {"guid": device.guid, "device_id": device.device_id, **self._owner(box)}

    def _newcomer(self) -> Mailbox:
        """A person whose mailbox was made just now; the seeder's own have a past."""
        box, now = self._seeder.person(), self._organization.clock()
        box.created, box.changed = now // TICKS * TICKS, now
        return box

    def _look(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What Exchange has of a phone at the controller of its mailbox, and what the mailbox's owner reads."""
        device = self._organization.find_device(asked["device"])
        if device is None:
            raise LookupError(f"there is no device {asked['device']}")
        box = self._organization.home(device.mailbox).find_mailbox(device.mailbox.guid) or device.mailbox
        return {
            "state": device.state,
            "reason": device.reason,
            "allowed": _holds(box.allowed, device),
            "blocked": _holds(box.blocked, device),
            "writes": [
                {name: str(value) for name, value in entry.parameters.items()}
                for entry in self._audit()
                if entry.cmdlet == "Set-CASMailbox" and entry.succeeded and device.device_id in str(entry.parameters)
            ],
            "mails": [
                {"subject": mail.subject, "body": mail.body, "headers": mail.headers}
                for mail in reversed(self._mail.folder(box.smtp or "", "inbox"))
            ],
        }

    def _owner(self, box: Mailbox) -> dict[str, Any]:
        return {"mailbox": box.smtp, "mailbox_guid": box.guid, "display_name": box.display_name}


def _holds(ids: tuple[str, ...], device: Device) -> bool:
    return any(each.casefold() == device.device_id.casefold() for each in ids)
