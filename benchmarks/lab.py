"""How fast the lab is: what its writer renders, and what it sends to a client that only reads bytes.

    python -m benchmarks.lab [--devices 100000]

The lab runs as a process of its own, as in the demo; its processor time is read from the system, so that the figure is
the lab's own and not the client's. Linux only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import NAMESPACES, WSMan

from gatepost.lab import shapes
from gatepost.lab.clixml import Choice, Plan
from gatepost.lab.seeding import make_organization

PROJECTED = (
    "Guid", "DeviceId", "DistinguishedName", "Identity", "FriendlyName", "DeviceType", "DeviceModel", "DeviceOS",
    "DeviceOSLanguage", "DeviceUserAgent", "DeviceImei", "DeviceTelephoneNumber", "DeviceMobileOperator", "ClientType",
    "ClientVersion", "DeviceAccessState", "DeviceAccessStateReason", "DeviceAccessControlRule", "FirstSyncTime",
    "WhenChangedUTC",
)  # fmt: skip


def writer(devices: int) -> None:
    """Print what the writer renders, in each form."""
    rows = make_organization(devices).devices
    print(f"writer, {devices:,} devices, best of 5, one core")
    for name, choice in (
        ("projected, 20 properties", Choice(selected=PROJECTED)),
        ("whole objects", Choice()),
        ("whole objects, Full", Choice(full=True)),
    ):
        plan = Plan(shapes.MOBILE_DEVICE, choice)
        best, size = float("inf"), 0
        for _ in range(5):
            start = time.process_time()
            size = sum(len(plan(row)) for row in rows)
            best = min(best, time.process_time() - start)
        print(f"  {name:28} {devices / best:>9,.0f} devices/s  {size / devices:>6,.0f} bytes each")


class Draining(WSMan):
    """pypsrp's WSMan, which can also receive a command's answer to its end without reading it."""

    def drain(self, pool: RunspacePool, command: str) -> tuple[int, int]:
        """How many stream elements came, in how many bytes."""
        self.elements, self.bytes, self._draining = 0, 0, True
        pool.shell.receive("stdout", command_id=command)
        self._draining = False
        return self.elements, self.bytes

    def invoke(self, action: str, *arguments: Any, **more: Any) -> ET.Element:  # noqa: ANN401 - passed on
        """One request as pypsrp sends it, or the same one until the command is done."""
        if not getattr(self, "_draining", False):
            return super().invoke(action, *arguments, **more)
        resource_uri, resource, *sets = arguments
        envelope = ET.Element(f"{{{NAMESPACES['s']}}}Envelope")
        envelope.append(self._create_header(action, resource_uri, *sets)[1])
        ET.SubElement(envelope, f"{{{NAMESPACES['s']}}}Body").append(resource)
        request = ET.tostring(envelope)
        while True:
            answer = self.transport.send(request)
            self.elements += answer.count(b"<rsp:Stream ")
            self.bytes += len(answer)
            if b"CommandState/Done" in answer:
                return ET.fromstring(answer)


class Reader:
    """A client that opens a session with pypsrp, and receives without reading what it gets."""

    def __init__(self, ready: dict[str, str], auth: str) -> None:
        secure = auth == "basic"
        options: dict[str, Any] = {"ssl": secure, "path": "PowerShell", "auth": auth}
        self.wsman = Draining(
            "localhost",
            max_envelope_size=512_000,
            port=urlsplit(ready["https_url" if secure else "http_url"]).port,
            username=ready["user"],
            password=Path(ready["password_file"]).read_text(encoding="utf-8").strip(),
            cert_validation=ready["ca_file"],  # type: ignore[arg-type]  # a path is taken as well
            **options,
        )
        self.pool = RunspacePool(self.wsman, configuration_name="Microsoft.Exchange")
        self.pool.open()
        PowerShell(self.pool).add_cmdlet("Set-ADServerSettings").add_parameter("ViewEntireForest", True).invoke()

    def listing(self, selected: tuple[str, ...] | None) -> int:
        """Ask for all devices and drain the answer: its size in bytes."""
        shell = PowerShell(self.pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", "Unlimited")
        if selected is not None:
            shell.add_cmdlet("Select-Object").add_parameter("Property", list(selected))
        shell.begin_invoke()
        return self.wsman.drain(self.pool, shell.id)[1]


def processor_time(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sender(devices: int) -> None:
    """Print what the lab sends, by clock and by its own processor time."""
    command = [sys.executable, "-m", "gatepost", "lab", "exchange", "--devices", str(devices)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as lab:
        if lab.stdout is None:
            raise RuntimeError("the lab has no output")
        ready = json.loads(lab.stdout.readline())
        print(f"lab as a process, {devices:,} devices, ready after {time.perf_counter() - started:.1f} s, best of 5")
        for name, auth, selected in (
            ("projected, Basic over TLS", "basic", PROJECTED),
            ("whole objects, Basic over TLS", "basic", None),
            ("projected, NTLM, encrypted", "ntlm", PROJECTED),
        ):
            clock, own, size = float("inf"), float("inf"), 0
            for _ in range(5):
                reader = Reader(ready, auth)
                before, start = processor_time(lab.pid), time.perf_counter()
                size = reader.listing(selected)
                clock = min(clock, time.perf_counter() - start)
                own = min(own, processor_time(lab.pid) - before)
                reader.pool.close()
            print(
                f"  {name:30} {devices / clock:>8,.0f} devices/s by clock  {devices / own:>8,.0f} by its own processor "
                f"time  {size / devices:>6,.0f} bytes each"
            )
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{lab.pid}/status").read_text(encoding="ascii"))
        print(f"  peak memory of the lab: {int(peak[1]) / 1024 if peak else 0:,.0f} MB")
        lab.terminate()


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description="How fast the lab is.")
    parser.add_argument("--devices", type=int, default=100_000)
    devices = parser.parse_args().devices
    writer(min(devices, 20_000))
    sender(devices)


if __name__ == "__main__":
    main()
