"""A lab's engine without ports: cmdlets run directly, and their output is read by the standard library's parser."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gatepost.lab.calls import Session
from gatepost.lab.dialects import Dialect
from gatepost.lab.errors import CmdletError
from gatepost.lab.faults import Faults
from gatepost.lab.organization import Organization
from gatepost.lab.pipelines import Engine
from gatepost.lab.rows import Device, Mailbox
from gatepost.lab.seeding import make_organization

ROOT = ("dc1.lab.example", "dc2.lab.example")
CHILD = "dc1.emea.lab.example"


@dataclass
class OneCommand:
    """One command of a pipeline, as psrpcore would read it."""

    command_text: str
    parameters: list[tuple[str | None, Any]] = field(default_factory=list)
    is_script: bool = False
    end_of_statement: bool = True


class Said(NamedTuple):
    """What a cmdlet gave: rows as dictionaries of texts and lists, errors beside the output, warnings."""

    rows: list[dict[str, Any]]
    errors: list[CmdletError]
    warnings: list[str]

    @property
    def kinds(self) -> list[str]:
        """The exceptions of the errors, without their namespaces."""
        return [error.net_type.rpartition(".")[2] for error in self.errors]


class Bench:
    """An organization with an engine and one session that sees the whole forest."""

    def __init__(
        self, devices: int = 60, *, profile: str = "2019", roles: Sequence[str] = (), dialect: Dialect | None = None
    ) -> None:
        self.organization: Organization = make_organization(devices, profile=profile)
        self.engine = Engine(
            self.organization,
            profile=profile,
            roles=roles,
            projection=True,
            dialect=dialect or Dialect(),
            faults=Faults(),
        )
        self.session = Session("LAB\\admin", entire_forest=True)

    @property
    def cmdlets(self) -> set[str]:
        """The names of what the session may run."""
        return {cmdlet.name for cmdlet in self.engine.granted}

    def parameters(self, cmdlet: str) -> set[str]:
        """The parameters that the session may give a cmdlet."""
        return {name for one in self.engine.granted if one.name == cmdlet for name in one.parameter_types}

    def run(self, cmdlet: str, **parameters: Any) -> Said:
        """Run one cmdlet. Raises CmdletError where the pipeline fails."""
        command = OneCommand(cmdlet, list(parameters.items()))
        output = self.engine.run([command], self.session, "SHELL", full=False)
        rows = [_row(data) for data in output.objects]
        return Said(rows, [error for _, error in output.failures], output.warnings)

    def mailbox(self, name: str, controller: str | None = None) -> Mailbox:
        """The mailbox of that name as a controller has it."""
        found = self.organization.view(controller).find_mailbox(name)
        assert found is not None, name
        return found

    def phone(self, mailbox: str) -> Device:
        """A phone of that mailbox."""
        return self.mailbox(mailbox).devices[0]


def _row(data: bytes) -> dict[str, Any]:
    box = next(element for element in ET.fromstring(data) if element.tag in {"Props", "MS"})
    return {element.get("N", ""): _value(element) for element in box}


def _value(element: ET.Element) -> Any:
    if element.tag == "Nil":
        return None
    if element.tag == "B":
        return element.text == "true"
    if element.tag == "Obj":
        return [entry.text for entry in element.iter("S")]
    return element.text or ""
