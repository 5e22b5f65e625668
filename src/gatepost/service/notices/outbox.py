"""What administrators see of mails, and the test that they send."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.domain.notices import CATALOGUES, Kind
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Scope
from gatepost.service.notices.making import A_DAY

SHOWN = 50


async def recent(scope: Scope, limit: int = SHOWN) -> list[dict[str, Any]]:
    """The newest mails."""
    return await scope.all("notices.recent", limit=limit)


async def counts(scope: Scope) -> dict[str, int]:
    """How many mails of the last 24 hours there are in each state."""
    return {row["state"]: row["mails"] for row in await scope.all("notices.counts", since=datetime.now(UTC) - A_DAY)}


async def test(scope: Scope, address: str, kind: Kind, language: str, actor: str) -> UUID:
    """Have a test sent to a person's mailbox; the notice's id.

    Raises Problem 400 for a language that has no notices, 404 where no person of the tenant has the address.
    """
    if language not in CATALOGUES:
        raise Problem(400, "malformed", f"Choose one of {', '.join(CATALOGUES)}.", place="language")
    found = await scope.one("notices.mailbox_of", address=address.strip())
    if found is None:
        raise Problem(404, "no-mailbox", "No person's mailbox of this organization has that address.", place="address")
    made = await scope.one("notices.test", **found, kind=kind.value, language=language)
    assert made is not None
    details = {"kind": kind.value, "language": language, "mailbox": str(found["mailbox_guid"])}
    await audit.record(scope, Event.NOTICE_TESTED, actor, details, found["organization_id"])
    notice_id: UUID = made["notice_id"]
    return notice_id
