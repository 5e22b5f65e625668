"""A quick synchronisation: seconds and cmdlets where a few devices of many have changed.

    python -m benchmarks.quick [--devices 500000] [--changed 500] [--runs 3]

It prints Markdown for docs/benchmarks.md; --devices 5000 is the quick look.

The connector's own inventory on a store of its own, against a lab in a process of its own, over TLS and Basic on
loopback; who is told is a stand-in that takes every document, because the service's price of the changes is that of any
part (docs/benchmarks.md). *First* opens Exchange and finds out whether changes can be filtered; *next* is as a running
connector takes it every 15 minutes. Statistics are read apart, for so many devices as changed.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.labs import RunningLab
from gatepost.connector.inventory import Inventory, Report
from gatepost.connector.listing import Listing
from gatepost.connector.statistics import Reader, Readings
from gatepost.connector.stopping import Stop
from gatepost.connector.store import FILE, Store
from gatepost.connector.taking import Unwatched
from gatepost.domain.contract import Answer, Facts, Kind, Scope, Sync, SyncResult
from gatepost.exchange.organization import Organization
from gatepost.settings import ExchangeSettings, SyncSettings

STATES = {Kind.SYNC_BEGIN: "go", Kind.SYNC_PART: "merged", Kind.SYNC_SEAL: "sealed", Kind.CYCLE: "merged"}


class Taker:
    """Takes every document, in place of a service."""

    def send(self, kind: Kind, sync: Sync | None = None, facts: Facts | None = None) -> Answer:
        """The answer that lets it go on."""
        assert (sync is None) == (kind is Kind.CYCLE)
        assert facts is not None
        return Answer(0, "", "", result=SyncResult(STATES[kind]))


class Bench:
    """A lab with so many devices, and a connector's store that has been synchronised with it."""

    def __init__(self, lab: RunningLab, store: Store) -> None:
        self.lab = lab
        taker: Any = Taker()
        self.store = store
        self.inventory = Inventory(Listing(store), taker)

    def open(self) -> Organization:
        """Open Exchange."""
        ready: Mapping[str, Any] = self.lab.ready
        ca_file = Path(ready["ca_file"])
        settings = ExchangeSettings(url=ready["url"], auth="basic", user=ready["user"], ca_file=ca_file)
        return Organization.connect(settings, ready["password"])

    def timed(self, what: str, work: Callable[[], str]) -> None:
        """Do something, and print what it took."""
        before, begun = self.lab.spent(), time.perf_counter()
        said = work()
        seconds, after = time.perf_counter() - begun, self.lab.spent()
        lab = after.seconds - before.seconds
        print(f"| {what} | {seconds:.2f} | {after.cmdlets - before.cmdlets} | {lab:.2f} | {said} |", flush=True)

    def sync(self, organization: Organization, scope: Scope) -> str:
        """One synchronisation; what was told."""
        report: Report = self.inventory.run(organization, scope)
        return f"{report.scope}: {report.sent_devices:,} devices and {report.sent_mailboxes:,} mailboxes told"

    def statistics(self, organization: Organization) -> str:
        """Statistics of who is due; how many."""
        every = SyncSettings().statistics_every
        reader = Reader(Readings(self.store), Stop(), Unwatched(), every, SyncSettings().quick_every)
        rounds = reader.run(organization)
        return f"{rounds.read:,} read, {rounds.failed:,} failed, {self.inventory.tell_statistics():,} told"

    def settle(self) -> None:
        """Call the statistics of all devices fresh, so that those of changed ones are read and no others."""
        Readings(self.store).follow()
        with self.store.transaction() as db:
            db.execute("UPDATE statistics SET due = ?", (time.time() + 3_600,))


HEAD = (
    "| what | seconds | cmdlets | the lab's processor s | what was told or read |\n| --- | ---: | ---: | ---: | --- |"
)


def measured(bench: Bench, changed: int, runs: int) -> None:
    """A full synchronisation, then quick ones with changes and without, and the statistics of what changed."""
    print(HEAD)
    with bench.open() as organization:
        bench.timed("full", lambda: bench.sync(organization, Scope.FULL))
    bench.settle()
    bench.lab.change(changed)
    with bench.open() as organization:
        bench.timed(f"first, {changed:,} changed", lambda: bench.sync(organization, Scope.QUICK))
        for _ in range(runs):
            bench.lab.change(changed)
            bench.timed(f"next, {changed:,} changed", lambda: bench.sync(organization, Scope.QUICK))
        bench.timed("next, nothing changed", lambda: bench.sync(organization, Scope.QUICK))
        bench.timed("statistics of all that changed", lambda: bench.statistics(organization))
        bench.timed("full, with the statistics known", lambda: bench.sync(organization, Scope.FULL))


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=500_000)
    parser.add_argument("--changed", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with RunningLab(given.devices) as lab, tempfile.TemporaryDirectory() as name:
        print(f"Python {platform.python_version()}, {given.devices:,} devices, {lab.ready['mailboxes']:,} mailboxes\n")
        with Store(Path(name) / "store" / FILE, "o", "c", 1, "h") as store:
            measured(Bench(lab, store), given.changed, given.runs)


if __name__ == "__main__":
    main()
