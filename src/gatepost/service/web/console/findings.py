"""Findings for people: those about a device lead to its page, and are told in the person's language where we can."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gatepost.service import access
from gatepost.service.access import Standing
from gatepost.service.connections import Row
from gatepost.service.database import Scope
from gatepost.service.devices import queries
from gatepost.service.ledger import Key
from gatepost.service.web import explaining


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding, and what it is about; ``device`` and ``standing`` are None where it is about none that is known.

    ``word`` names the trouble in the vocabulary ``vocabulary``; ``sentence`` is to be translated, and empty where only
    the finding's own English says it; ``detail`` is the connector's English.
    """

    finding: Row
    device: Row | None = None
    standing: Standing | None = None
    vocabulary: str = "result"
    word: str = ""
    sentence: str = ""
    detail: str = ""


async def shown(scope: Scope, organization_id: UUID, findings: Sequence[Row]) -> list[Shown]:
    """Findings with the devices that they are about."""
    subjects = [_key(finding) for finding in findings]
    keys = sorted({key for key in subjects if key[1]})
    standings = {
        (row.mailbox_guid, row.device_id): row
        for row in (await access.standing(scope, organization_id, keys) if keys else ())
    }
    devices = await queries.by_keys(scope, organization_id, keys) if keys else {}
    return [
        _shown(finding, devices.get(key), standings.get(key)) for finding, key in zip(findings, subjects, strict=True)
    ]


def _key(finding: Row) -> Key:
    """The mailbox and device id that a finding's subject names; without an id where it names something else."""
    mailbox, _, device_id = str(finding["subject"]).partition("/")
    try:
        return UUID(mailbox), device_id
    except ValueError:
        return UUID(int=0), ""


def _shown(finding: Row, device: Row | None, standing: Standing | None) -> Shown:
    code = finding["code"]
    if standing is None or finding["origin"] != access.ORIGIN or code not in standing.troubles:
        return Shown(finding, device, standing)
    if code == access.PRESUMED:
        return Shown(finding, device, standing, "ownership", "presumed", explaining.PRESUMED)
    word = standing.result.value if standing.result else "conflict"
    return Shown(finding, device, standing, "result", word, explaining.explain(standing), explaining.detail(standing))
