"""Who does something: what an action keeps of the administrator behind it, and what an approval asks of them."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from gatepost.service.administrators import Session


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks or approves; ``fresh_passkey``: a passkey proved just now who it is."""

    administrator_id: UUID
    name: str
    fresh_passkey: bool = False

    @classmethod
    def of(cls, session: Session) -> Self:
        """The person of a session."""
        return cls(session.administrator_id, session.name, session.has_fresh_passkey)
