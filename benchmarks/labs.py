"""A lab as a process of its own that tells its processor time and how many cmdlets it ran.

    python -m benchmarks.labs DEVICES [--whole] [--shells N]

It prints a line of JSON when it is ready. Then each line on its input is a latency, in seconds a cmdlet, for the
sessions opened from then on, or ``change`` with a number of devices to be changed, each with its mailbox's lists; it is
answered by a line of JSON. A line of JSON is something that people do there (``gatepost.lab.hands``). It ends with its
input.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from gatepost.lab.organization import Organization
from gatepost.lab.server import MAX_SHELLS, Lab
from gatepost.settings import LabSettings


class Spent(NamedTuple):
    """What a lab has done so far: processor time in seconds, cmdlets that it ran, and those in its audit log."""

    seconds: float
    cmdlets: int
    audited: int


class RunningLab:
    """A lab with so many devices, perhaps without Select-Object; ``ready`` is what it said. A context manager."""

    def __init__(self, devices: int, *, projection: bool = True, shells: int = MAX_SHELLS) -> None:
        command = [sys.executable, "-m", "benchmarks.labs", str(devices), "--shells", str(shells)]
        command += [] if projection else ["--whole"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready: dict[str, Any] = self._said()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def spent(self, latency: float = 0.0) -> Spent:
        """What it has done so far; ``latency`` counts for the sessions opened from now on."""
        return self._ask(str(latency))

    def change(self, devices: int) -> Spent:
        """Change so many devices and the lists of their mailboxes; the next time others."""
        return self._ask(f"change {devices}")

    def act(self, **asked: object) -> dict[str, Any]:
        """What people do there, and what they see."""
        return self._answer(json.dumps(asked))

    def _ask(self, line: str) -> Spent:
        return Spent(**self._answer(line))

    def _answer(self, line: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._said()

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout
        return dict(json.loads(self._process.stdout.readline() or "{}"))


def changed(organization: Organization, count: int, begin: int) -> None:
    """Block so many devices by an entry in their mailbox's list, from one number on."""
    devices = [each for each in organization.devices if each.mailbox.kind == "UserMailbox"]
    for device in devices[begin : begin + count]:
        organization.change_mailbox(device.mailbox, blocked=(device.device_id,))
        organization.change_device(device, state="Blocked", reason="Individual")


def main() -> None:
    """Be such a lab. Its threads hand over quickly: what it adds to a latency must be small beside it."""
    sys.setswitchinterval(0.0005)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("devices", type=int)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--shells", type=int, default=MAX_SHELLS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        settings = LabSettings(devices=given.devices, projection=not given.whole, folder=Path(name) / "lab")
        with Lab(settings, max_shells=given.shells) as lab:
            ready = {"url": lab.https_url, "ca_file": str(lab.ca_file), "user": lab.user, "password": lab.password}
            print(json.dumps({**ready, "mailboxes": len(lab.organization.mailboxes)}), flush=True)
            begin = 0
            for line in sys.stdin:
                if line.startswith("{"):
                    print(lab.act(line), flush=True)
                    continue
                what, _, number = line.rpartition(" ")
                if what == "change":
                    changed(lab.organization, int(number), begin)
                    begin += int(number)
                else:
                    lab.settings = msgspec.structs.replace(lab.settings, latency=float(number))
                audited = sum(call.cmdlet != "Set-ADServerSettings" for call in lab.audit)
                spent = {"seconds": time.process_time(), "cmdlets": len(lab.calls), "audited": audited}
                print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
