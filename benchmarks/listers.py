"""Those who take an inventory, each as a process of its own: ours, and scripts as people write them on pypsrp.

    python -m benchmarks.listers WHO [--whole] [--sample MAILBOXES] < what-the-lab-said.json

``ours`` fills the connector's store, ``lists`` reads mailboxes with their lists and keeps nothing. ``bulk`` is a script
on pypsrp that lists mailboxes and devices into SQLite; ``each`` one that lists mailboxes and then asks for the
statistics of each one's devices. The answer is one line of JSON (``Taken``).
"""

import argparse
import json
import re
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from gatepost.connector.inventory import OVERLAP
from gatepost.connector.listing import Listing
from gatepost.connector.stopping import Stop
from gatepost.connector.store import FILE, Store
from gatepost.connector.taking import Taking, Unwatched
from gatepost.domain.contract import Scope
from gatepost.exchange.cmdlets import GET_CAS_MAILBOX, GET_MOBILE_DEVICE, GET_MOBILE_DEVICE_STATISTICS
from gatepost.exchange.organization import Organization
from gatepost.settings import ExchangeSettings


class Taken(msgspec.Struct):
    """What an inventory came to: counts, seconds, processor seconds of the client, bytes of HTTP, and memory in MB."""

    devices: int
    mailboxes: int
    seconds: float
    processor: float
    bytes: int
    peak: float


class Counting(ssl.SSLSocket):
    """A TLS socket that counts what is read from it, whoever does."""

    received = 0

    def recv_into(self, *arguments: Any, **more: Any) -> int:  # noqa: ANN401 - passed on
        """Read and count."""
        count = super().recv_into(*arguments, **more)
        Counting.received += count
        return count


def ours(lab: dict[str, Any], folder: Path, _sample: int, _whole: bool) -> tuple[int, int]:
    """Both listings into the connector's store."""
    with _organization(lab, folder) as organization, Store(folder / "store" / FILE, "o", "c", 1, "h") as store:
        listing = Listing(store)
        Taking(listing, OVERLAP, Stop(), Unwatched()).take(organization, Scope.FULL)
        return listing.totals()


def lists(lab: dict[str, Any], folder: Path, _sample: int, _whole: bool) -> tuple[int, int]:
    """All mailboxes with their lists, decoded and thrown away."""
    with _organization(lab, folder) as organization:
        return 0, sum(1 for _ in organization.list_mailboxes())


def _organization(lab: dict[str, Any], folder: Path) -> Organization:
    settings = ExchangeSettings(url=lab["url"], auth="basic", user=lab["user"], ca_file=folder / "ca.pem")
    return Organization.connect(settings, lab["password"])


def bulk(lab: dict[str, Any], folder: Path, _sample: int, whole: bool) -> tuple[int, int]:
    """Both listings by pypsrp, the wanted properties into SQLite."""
    counts = []
    with _pool(lab, folder) as pool, sqlite3.connect(folder / "peer.sqlite") as db:
        for cmdlet in (GET_MOBILE_DEVICE, GET_CAS_MAILBOX):
            db.execute(f'CREATE TABLE "{cmdlet.name}" (guid TEXT PRIMARY KEY, row TEXT)')
            shell = PowerShell(pool).add_cmdlet(cmdlet.name).add_parameter("ResultSize", "Unlimited")
            if not whole:
                shell.add_cmdlet("Select-Object").add_parameter("Property", list(cmdlet.fields))
            found = [_wanted(entry, cmdlet.fields) for entry in shell.invoke()]
            rows = [(str(row["Guid"]), json.dumps(row)) for row in found]
            db.executemany(f'INSERT INTO "{cmdlet.name}" VALUES (?, ?)', rows)
            counts.append(len(rows))
    return counts[0], counts[1]


def each(lab: dict[str, Any], folder: Path, sample: int, _whole: bool) -> tuple[int, int]:
    """The statistics of the devices of ``sample`` mailboxes, one call a mailbox, into SQLite."""
    name, count = GET_MOBILE_DEVICE_STATISTICS.name, 0
    with _pool(lab, folder) as pool, sqlite3.connect(folder / "peer.sqlite") as db:
        db.execute("CREATE TABLE statistics (guid TEXT, row TEXT)")
        shell = PowerShell(pool).add_cmdlet("Get-CASMailbox").add_parameter("ResultSize", str(sample))
        shell.add_cmdlet("Select-Object").add_parameter("Property", ["Guid"])
        guids = [entry.extended_properties["Guid"] for entry in shell.invoke()]
        for guid in guids:
            asked = PowerShell(pool).add_cmdlet(name).add_parameter("Mailbox", str(guid)).invoke()
            rows = [_wanted(entry, GET_MOBILE_DEVICE_STATISTICS.fields) for entry in asked]
            db.executemany(
                "INSERT INTO statistics VALUES (?, ?)", [(str(row["Guid"]), json.dumps(row)) for row in rows]
            )
            count += len(rows)
    return count, len(guids)


@contextmanager
def _pool(lab: dict[str, Any], folder: Path) -> Iterator[RunspacePool]:
    """A runspace pool of pypsrp that sees the whole forest; with its default sizes but for the envelope."""
    parts = urlsplit(lab["url"])
    wsman = WSMan(
        parts.hostname or "", port=parts.port, username=lab["user"], password=lab["password"], path="PowerShell",
        ssl=True, auth="basic", max_envelope_size=512_000,
        cert_validation=str(folder / "ca.pem"),  # type: ignore[arg-type]  # a path is taken as well
    )  # fmt: skip
    with wsman, RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool:
        PowerShell(pool).add_cmdlet("Set-ADServerSettings").add_parameter("ViewEntireForest", True).invoke()
        yield pool


def _wanted(found: Any, fields: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401 - pypsrp's object
    """The properties that are wanted, whichever kind they are."""
    have = {**found.adapted_properties, **found.extended_properties}
    return {field: _plain(have.get(field)) for field in fields}


def _plain(value: Any) -> Any:  # noqa: ANN401 - pypsrp's object
    return value if isinstance(value, str | bool | int | list | None) else str(value)


LISTERS: dict[str, Callable[[dict[str, Any], Path, int, bool], tuple[int, int]]] = {
    "ours": ours, "lists": lists, "bulk": bulk, "each": each,
}  # fmt: skip


def run(who: str, lab: dict[str, Any], *, whole: bool = False, sample: int = 0) -> Taken:
    """Run one as a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.listers",
        who,
        "--sample",
        str(sample),
        *(["--whole"] if whole else []),
    ]
    done = subprocess.run(command, input=json.dumps(lab), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{who} failed:\n{done.stderr[-2000:]}")
    return msgspec.json.decode(done.stdout, type=Taken)


def main() -> None:
    """Be one of them; the lab's announcement is on the input."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("who", choices=LISTERS)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--sample", type=int, default=0)
    given = parser.parse_args()
    lab = json.load(sys.stdin)
    ssl.SSLContext.sslsocket_class = Counting
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ca.pem").write_bytes(Path(lab["ca_file"]).read_bytes())
        start, processor = time.perf_counter(), time.process_time()
        devices, mailboxes = LISTERS[given.who](lab, folder, given.sample, given.whole)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        taken = Taken(devices, mailboxes, seconds, processor, Counting.received, _peak())
    print(msgspec.json.encode(taken).decode())


def _peak() -> float:
    """The most memory that this process had, in MB; of its own, not of the one that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
