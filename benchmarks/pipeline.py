"""From Exchange to the database: 100,000 devices through lab, connector and service, with the rate of each stage.

    python -m benchmarks.pipeline [--devices 100000] [--peer 3000]

Everything runs as processes of its own over real ports (TLS and Basic), as in the demo. The peer is a script on pypsrp
that takes the same bulk listing the ordinary way, on the first ``--peer`` devices of a lab of its own. Figures are of
one machine that all of them share, so compare ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from rich.console import Console
from rich.table import Table

from gatepost.cli.processes import Interruption, Programs
from gatepost.exchange.cmdlets import GET_MOBILE_DEVICE
from gatepost.exchange.organization import Organization
from gatepost.settings import ExchangeSettings


def prepare(programs: Programs, folder: Path, devices: int) -> tuple[Path, dict[str, Any]]:
    """Service, lab, tenant and an enrolled connector; the connector's settings file and the lab's announcement."""
    data, config, ticket = folder / "service", folder / "connector.toml", folder / "ticket"
    service = programs.start("service", "service", "run", "--data", data, "--port", "0")
    lab = programs.start("lab", "lab", "exchange", "--devices", str(devices), "--folder", folder / "lab")
    url, exchange = programs.ready(service)["url"], programs.ready(lab)
    config.write_text(
        f"folder = '{folder / 'connector'}'\n[service]\nurl = '{url}'\n[exchange]\nurl = '{exchange['https_url']}'\n"
        f"auth = 'basic'\nuser = '{exchange['user']}'\nca_file = '{exchange['ca_file']}'\n"
        f"password_file = '{exchange['password_file']}'\n"
    )
    programs.do("tenant", "admin", "tenant", "create", "--slug", "bench", "--name", "Bench", "--data", data)
    admin = ("admin", "ticket", "create", "--tenant", "bench", "--organization", "Lab", "--data", data)
    programs.do("ticket", *admin, "--output", ticket)
    programs.do("enrolment", "connector", "setup", "--config", config, "--ticket-file", ticket)
    return config, exchange


def listing(exchange: dict[str, Any]) -> tuple[int, float, int, float]:
    """Both bulk listings by our client, decoded and thrown away: devices, seconds, mailboxes, seconds."""
    password = Path(exchange["password_file"]).read_text().strip()
    settings = ExchangeSettings(
        url=exchange["https_url"], auth="basic", user=exchange["user"], ca_file=Path(exchange["ca_file"])
    )
    with Organization.connect(settings, password) as organization:
        start = time.perf_counter()
        devices = sum(1 for _ in organization.list_devices())
        between = time.perf_counter()
        mailboxes = sum(1 for _ in organization.list_mailboxes())
        return devices, between - start, mailboxes, time.perf_counter() - between


def synchronise(config: Path) -> tuple[dict[str, Any], float]:
    """One full synchronisation by the connector as a process: its report, and its peak memory in MB."""
    output = config.with_suffix(".report")
    with output.open("w") as file:
        command = [sys.executable, "-m", "gatepost", "connector", "sync", "--full", "--json", "--config", str(config)]
        process = subprocess.Popen(command, stdout=file)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit("the synchronisation failed")
    return json.loads(output.read_text()), usage.ru_maxrss / 1024


def peer(exchange: dict[str, Any]) -> tuple[int, float]:
    """The same listing of devices by pypsrp's own classes, projected: devices, seconds."""
    parts = urlsplit(exchange["https_url"])
    wsman = WSMan(
        parts.hostname or "", port=parts.port, username=exchange["user"], path="PowerShell", ssl=True, auth="basic",
        password=Path(exchange["password_file"]).read_text().strip(), cert_validation=exchange["ca_file"],
        max_envelope_size=512_000,
    )  # fmt: skip
    with wsman, RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool:
        PowerShell(pool).add_cmdlet("Set-ADServerSettings").add_parameter("ViewEntireForest", True).invoke()
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", "Unlimited")
        shell.add_cmdlet("Select-Object").add_parameter("Property", list(GET_MOBILE_DEVICE.fields))
        start = time.perf_counter()
        found = shell.invoke()
        return len(found), time.perf_counter() - start


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--peer", type=int, default=3_000)
    given = parser.parse_args()
    console, interruption = Console(), Interruption()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Programs(folder / "peer-logs", interruption) as programs:
            lab = programs.start("lab", "lab", "exchange", "--devices", str(given.peer), "--folder", folder / "small")
            peer_devices, peer_seconds = peer(programs.ready(lab))
        with Programs(folder / "logs", interruption) as programs:
            config, exchange = prepare(programs, folder, given.devices)
            devices, device_seconds, mailboxes, mailbox_seconds = listing(exchange)
            first, peak = synchronise(config)
            again, _ = synchronise(config)
    table = Table("stage", "what", "seconds", "a second", title=f"{devices:,} devices, {mailboxes:,} mailboxes")
    rows = [
        ("lab → client", "devices, decoded", device_seconds, devices),
        ("lab → client", "mailboxes with lists, decoded", mailbox_seconds, mailboxes),
        ("lab → connector's store", "devices and mailboxes", first["seconds"]["list"], devices + mailboxes),
        ("connector → database", "first synchronisation", first["seconds"]["send"], devices + mailboxes),
        ("connector → database", "again, nothing changed", again["seconds"]["send"], devices + mailboxes),
        ("lab → database", "first synchronisation, whole", first["seconds"]["total"], devices),
        ("peer: pypsrp", f"{peer_devices:,} devices, the same 20 properties", peer_seconds, peer_devices),
    ]
    for stage, what, seconds, count in rows:
        table.add_row(stage, what, f"{seconds:.2f}", f"{count / seconds:,.0f}")
    console.print(table)
    console.print(f"connector's peak memory: {peak:.0f} MB")


if __name__ == "__main__":
    main()
