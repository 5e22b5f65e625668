"""Messages in memory: what was sent, in the Inbox of who gets it and in the Sent Items of who sent it.

Mailboxes are those of the lab's organization, and one more: that of the lab's own account, which notices are sent from
and which no cmdlet lists. A message to anybody else has left the organization and is kept in ``left``.
"""

import datetime as dt
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import uuid4

from gatepost.lab.organization import Organization
from gatepost.lab.rows import ON_PREMISES

DOMAIN = "lab.example"
FOLDERS = {"msgfolderroot": "Top of Information Store", "root": "", "inbox": "Inbox", "sentitems": "Sent Items"}
"""The folders of every mailbox, by the names that EWS knows them by."""

PropertyName = tuple[str, str]
"""The set (a name of EWS, or a guid) and the name of an extended property."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in one folder. ``properties`` are the extended ones, headers among them."""

    sender: str
    to: tuple[str, ...]
    subject: str
    body: str
    body_type: str
    properties: Mapping[PropertyName, str]
    at: dt.datetime
    internet_id: str
    mailbox: str = ""
    folder: str = ""
    id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that its sender gave it, by their names."""
        return {name: value for (kind, name), value in self.properties.items() if kind == "InternetHeaders"}


class Mailroom:
    """All folders of all mailboxes; any thread may use it. ``account`` is the address of the lab's own mailbox.

    ``granted`` are addresses of mailboxes to which that account has full access, in small letters.
    """

    def __init__(self, organization: Organization, user: str) -> None:
        self.account = f"{user.rpartition(chr(92))[2]}@{DOMAIN}".lower()
        self._organization = organization
        self._lock = threading.Lock()
        self._messages: list[Message] = []
        self.left: list[Message] = []
        self.granted: set[str] = set()

    def resolve(self, address: str) -> str | None:
        """The primary address of the mailbox that has this one; None where there is none here."""
        if address.lower() == self.account:
            return self.account
        box = self._organization.find_mailbox(address)
        return box.smtp.lower() if box is not None and box.smtp and box.kind in ON_PREMISES else None

    def found(self, name: str) -> list[tuple[str, str]]:
        """Names and addresses of the mailboxes whose name, alias or address begins with a text."""
        wanted = name.lower().removeprefix("smtp:")
        boxes = [box for box in self._organization.mailboxes if box.smtp and box.kind in ON_PREMISES]
        found = [
            (box.display_name, box.smtp or "")
            for box in boxes
            if any(text and text.lower().startswith(wanted) for text in (box.display_name, box.alias, box.smtp))
        ]
        return found + ([("Gatepost", self.account)] if self.account.startswith(wanted) else [])

    def send(self, message: Message, *, keep: bool) -> None:
        """Deliver to each that gets it, and keep a copy where that is wanted."""
        with self._lock:
            for address in dict.fromkeys(message.to):
                box = self.resolve(address)
                if box is None:
                    self.left.append(message)
                else:
                    self._messages.append(replace(message, mailbox=box, folder="inbox", id=uuid4().hex))
            if keep:
                self._messages.append(replace(message, mailbox=message.sender, folder="sentitems", id=uuid4().hex))

    def folder(self, mailbox: str, folder: str) -> list[Message]:
        """The messages of a folder, the newest first."""
        with self._lock:
            return [one for one in reversed(self._messages) if (one.mailbox, one.folder) == (mailbox.lower(), folder)]

    def may_open(self, mailbox: str) -> bool:
        """Whether the lab's account may open a mailbox: its own, or one that it was ``granted`` full access to."""
        return mailbox == self.account or mailbox in self.granted

    def items(self, ids: Iterable[str]) -> list[Message | None]:
        """The messages of these ids in mailboxes that may be opened; None for each that is not there."""
        with self._lock:
            known = {one.id: one for one in self._messages if self.may_open(one.mailbox)}
        return [known.get(one) for one in ids]
