"""Which life of a connector's store speaks, and up to which revision it may have written (docs/protocol.md).

A *memory* lasts as long as one store: every write in it is reported. Another one begins with another connector, with
another instance, or where a document holds less than the one before it. What was acknowledged by then may have been
written without a report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gatepost.domain.contract import CheckIn
from gatepost.service.connectors import Connector
from gatepost.service.database import Scope

ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory: its number in the organization, the revision it holds, and what was acknowledged before it began."""

    number: int
    held: int
    doubted: int

    def columns(self) -> dict[str, int]:
        """What the check-in row remembers."""
        return {"memory": self.number, "held": self.held, "doubted": self.doubted}


async def listen(scope: Scope, connector: Connector, last: Mapping[str, Any], sealed: CheckIn) -> Memory:
    """The memory that a new document speaks from; what it holds is acknowledged if its connector may write."""
    if last["memory"] and last["instance"] == connector.instance and sealed.revision >= last["held"]:
        memory = Memory(last["memory"], sealed.revision, last["doubted"])
    else:
        memory = await _begin(scope, connector.organization_id, sealed.revision)
    if sealed.status.mode == ENFORCE and sealed.revision:
        await scope.run("access.acknowledge", organization_id=connector.organization_id, revision=sealed.revision)
    return memory


def known(last: Mapping[str, Any]) -> Memory:
    """The memory that the last document spoke from."""
    return Memory(last["memory"], last["held"], last["doubted"])


async def recall(scope: Scope, connector: Connector, last: Mapping[str, Any]) -> Memory:
    """The memory that a farewell speaks from: that of the last document, or a new one where there was none."""
    return known(last) if last["memory"] else await _begin(scope, connector.organization_id, 0)


async def _begin(scope: Scope, organization_id: UUID, held: int) -> Memory:
    begun = await scope.one("access.begin_memory", organization_id=organization_id)
    assert begun is not None, "enrolment makes the head"
    return Memory(begun["memory"], held, begun["doubted"])
