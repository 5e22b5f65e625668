"""pypsrp's own classes as the lab's client: written by others, and used by nothing of ours but tests."""

import ssl
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import Message
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from psrpcore._crypto import PSRemotingCrypto
from psrpcore.types import deserialize
from pypsrp.complex_objects import GenericComplexObject, PSInvocationState
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from gatepost.lab.server import Lab

COMPLETED, FAILED, STOPPED = PSInvocationState.COMPLETED, PSInvocationState.FAILED, PSInvocationState.STOPPED


class Answer(NamedTuple):
    """What a pipeline gave: rows as dictionaries, type names of the first, warnings, error ids with texts, state."""

    rows: list[dict[str, Any]]
    types: list[str]
    warnings: list[str]
    errors: list[tuple[str, str]]
    state: int

    @property
    def error_ids(self) -> list[str]:
        """The FullyQualifiedErrorId of each error."""
        return [error_id for error_id, _ in self.errors]


def connection(
    lab: Lab,
    *,
    auth: str = "basic",
    url: str | None = None,
    path: str = "PowerShell",
    user: str | None = None,
    password: str | None = None,
    **options: Any,
) -> WSMan:
    """A WSMan connection to the lab; Basic goes to HTTPS, the others to plain HTTP unless ``url`` says otherwise."""
    address = urlsplit(url or (lab.https_url if auth == "basic" else lab.http_url))
    return WSMan(
        address.hostname or "",
        port=address.port,
        username=user or lab.user,
        password=lab.password if password is None else password,
        ssl=address.scheme == "https",
        path=path,
        auth=auth,
        cert_validation=str(lab.ca_file),  # type: ignore[arg-type]  # a path is taken as well
        **options,
    )


@contextmanager
def session(lab: Lab, *, whole_forest: bool = True, **options: Any) -> Iterator[RunspacePool]:
    """An open session, which sees the whole forest unless told not to."""
    with connection(lab, **options) as wsman, RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool:
        if whole_forest:
            assert run(pool, "Set-ADServerSettings", ViewEntireForest=True).state == COMPLETED
        yield pool


def run(pool: RunspacePool, cmdlet: str, *, select: list[str] | None = None, **parameters: Any) -> Answer:
    """Run a cmdlet to its end."""
    shell = PowerShell(pool).add_cmdlet(cmdlet).add_parameters(parameters)
    if select is not None:
        shell.add_cmdlet("Select-Object").add_parameter("Property", select)
    return finish(shell)


def finish(shell: PowerShell) -> Answer:
    """Invoke a prepared pipeline."""
    output = shell.invoke()
    return Answer(
        rows=[_properties(item) for item in output],
        types=list(output[0].types) if output else [],
        warnings=[str(warning.message) for warning in shell.streams.warning],
        errors=[(str(error.fq_error), str(error)) for error in shell.streams.error],
        state=shell.state,
    )


def plain(value: Any) -> Any:
    """A value of pypsrp as a plain one: lists become lists of texts, other objects their text."""
    if not isinstance(value, GenericComplexObject):
        return value
    inside = [ET.fromstring(part) for part in value.property_sets if isinstance(part, str)]
    if inside and inside[0].tag == "LST":
        return [deserialize(item, PSRemotingCrypto()) for item in inside[0]]
    return value.to_string


def _properties(item: GenericComplexObject) -> dict[str, Any]:
    both = {**item.adapted_properties, **item.extended_properties}
    return {name: plain(value) for name, value in both.items()}


class Response(NamedTuple):
    """A bare HTTP answer."""

    status: int
    headers: Message
    body: bytes


def post(url: str, ca_file: Path | None = None, *, method: str = "POST", body: bytes = b"", **headers: str) -> Response:
    """One HTTP request by nothing but the standard library; headers are written with underscores."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    secure = ssl.create_default_context(cafile=ca_file)
    wire = HTTPSConnection(host, port, context=secure) if address.scheme == "https" else HTTPConnection(host, port)
    with closing(wire):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        wire.request(method, f"{address.path}?{address.query}".rstrip("?"), body, names)
        answer = wire.getresponse()
        return Response(answer.status, answer.headers, answer.read())


def basic(lab: Lab) -> str:
    """The Authorization header of the lab's account."""
    return "Basic " + b64encode(f"{lab.user}:{lab.password}".encode()).decode()
