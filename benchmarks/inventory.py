"""A whole inventory of an organization, side by side with scripts as people write them on pypsrp.

    python -m benchmarks.inventory [--sizes 5000,50000,500000] [--runs 3] [--peer-up-to 50000] [--lists 30000,500000]

Everyone is a process of its own and reads the same lab over TLS and Basic on loopback; the lab is a process too, and
its processor time is given apart, because it shares the cores. *Bulk* lists devices and mailboxes by pypsrp into
SQLite; *each* asks for statistics mailbox by mailbox. What a peer would take hours for is extrapolated from a smaller
size, in proportion, and marked by ≈. It prints Markdown for docs/benchmarks.md.

The quick look: ``--sizes 2000 --runs 1 --lists 2000``. All of it takes about 25 minutes of a quiet machine.
"""

import argparse
import math
import platform
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks import stages
from benchmarks.labs import RunningLab
from benchmarks.listers import Taken, run

LATENCIES = (0.0, 0.1)
SAMPLE = 100
MAILBOXES_A_DEVICE = 0.727


class Result(NamedTuple):
    """One line: who took how long, and what it cost. ``guessed`` is true of what is extrapolated."""

    who: str
    taken: Taken
    lab: float
    cmdlets: int
    guessed: bool = False


def taken(who: str, lab: RunningLab, latency: float, *, whole: bool, runs: int = 1, sample: int = 0) -> Result:
    """The median run of one of them, by the clock."""
    found = []
    for _ in range(runs):
        before = lab.spent(latency)
        each = run(who, lab.ready, whole=whole, sample=sample)
        after = lab.spent(latency)
        found.append(Result(who, each, after.seconds - before.seconds, after.cmdlets - before.cmdlets))
    middle = statistics.median_low(result.taken.seconds for result in found)
    return next(result for result in found if result.taken.seconds == middle)


def scaled(result: Result, size: int, factor: float) -> Result:
    """What that would be for so many devices, if seconds and bytes grew by the factor; cmdlets and memory stay."""
    old = result.taken
    seconds, processor = old.seconds * factor, old.processor * factor
    new = Taken(size, round(old.mailboxes * factor), seconds, processor, round(old.bytes * factor), old.peak)
    return result._replace(taken=new, lab=result.lab * factor, guessed=True)


def bulk_for(result: Result, size: int) -> Result:
    """A bulk listing of more devices: as many cmdlets, and every object is held in memory."""
    factor = size / result.taken.devices
    guess = scaled(result, size, factor)
    guess.taken.peak *= factor
    return guess


def each_for(result: Result, size: int, mailboxes: int) -> Result:
    """A call for each of so many mailboxes, in no more memory."""
    factor = mailboxes / result.taken.mailboxes
    return scaled(result, size, factor)._replace(cmdlets=round(result.cmdlets * factor))


class Race:
    """Runs of one form (projected or whole) and one latency at growing sizes; remembers what to extrapolate from."""

    def __init__(self, latency: float, *, whole: bool, runs: int, peer_up_to: int) -> None:
        self.latency = latency
        self.whole = whole
        self._runs = runs
        self._peer_up_to = peer_up_to
        self._bulk: Result | None = None
        self._each: Result | None = None

    def at(self, lab: RunningLab, size: int) -> Iterator[Result]:
        """Ours and the peers at one size."""
        yield taken("ours", lab, self.latency, whole=self.whole, runs=self._runs)
        if self._bulk is None or size <= self._peer_up_to:
            self._bulk = taken("bulk", lab, self.latency, whole=self.whole)
            yield self._bulk
        else:
            yield bulk_for(self._bulk, size)
        if self.whole:
            return
        if self._each is None:
            self._each = taken("each", lab, self.latency, whole=False, sample=SAMPLE)
        yield each_for(self._each, size, lab.ready["mailboxes"])


NAMES = {
    "ours": "ours, into the connector's store",
    "bulk": "bulk: pypsrp lists, into SQLite",
    "each": "each: pypsrp, statistics by the mailbox",
}
HEAD = (
    "| who | seconds | devices/s | ours is faster by | processor s | the lab's | MB received | cmdlets | peak MB |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def line(result: Result, ours: Result) -> str:
    """One line of a table."""
    one, mark = result.taken, "≈ " if result.guessed else ""
    ratio = (
        "" if result is ours else f"{mark}{one.seconds / one.devices / (ours.taken.seconds / ours.taken.devices):,.1f}"
    )
    cells = (
        f"{mark}{one.seconds:,.1f}", f"{mark}{one.devices / one.seconds:,.0f}", ratio, f"{mark}{one.processor:,.1f}",
        f"{mark}{result.lab:,.1f}", f"{mark}{one.bytes / 1e6:,.0f}", f"{mark}{result.cmdlets:,}",
        f"{mark}{one.peak:,.0f}",
    )  # fmt: skip
    return f"| {NAMES[result.who]} | {' | '.join(cells)} |"


def race(sizes: Sequence[int], runs: int, peer_up_to: int) -> None:
    """Everyone at every size, form and latency."""
    races = [
        Race(latency, whole=whole, runs=runs, peer_up_to=peer_up_to) for whole in (False, True) for latency in LATENCIES
    ]
    for size in sizes:
        for whole in (False, True):
            with RunningLab(size, projection=not whole) as lab:
                for one in (one for one in races if one.whole is whole):
                    form = "whole objects" if whole else "projected"
                    print(
                        f"\n{size:,} devices, {lab.ready['mailboxes']:,} mailboxes, {form}, "
                        f"{one.latency * 1000:.0f} ms a cmdlet:\n\n{HEAD}"
                    )
                    ours: Result | None = None
                    for result in one.at(lab, size):
                        ours = ours or result
                        print(line(result, ours), flush=True)


def price_of_lists(sizes: Sequence[int]) -> None:
    """What it costs to read all mailboxes with their lists."""
    print("\nReading all lists:\n")
    print("| mailboxes | seconds | mailboxes/s | processor s | the lab's | MB received | cmdlets | peak MB |")
    print("| ---: |" + " ---: |" * 7)
    for size in sizes:
        with RunningLab(math.ceil(size / MAILBOXES_A_DEVICE)) as lab:
            found = taken("lists", lab, 0.0, whole=False)
            one = found.taken
            print(
                f"| {one.mailboxes:,} | {one.seconds:.1f} | {one.mailboxes / one.seconds:,.0f} | {one.processor:.1f} | "
                f"{found.lab:.1f} | {one.bytes / 1e6:,.0f} | {found.cmdlets} | {one.peak:.0f} |",
                flush=True,
            )


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    """Run it all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=_numbers, default="5000,50000,500000", help="devices, ascending")
    parser.add_argument("--lists", type=_numbers, default="30000,500000", help="mailboxes whose lists are priced")
    parser.add_argument("--runs", type=int, default=3, help="runs of ours; the median counts")
    parser.add_argument(
        "--peer-up-to", type=int, default=50_000, help="the largest size that pypsrp's bulk listing runs"
    )
    parser.add_argument("--stages", type=int, default=20_000, help="devices for the table of stages")
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, median of {given.runs} runs of ours")
    race(given.sizes, given.runs, given.peer_up_to)
    price_of_lists(given.lists)
    print("\nWhere the time goes:\n")
    print(stages.table(stages.measured(given.stages, max(3, given.runs))))


if __name__ == "__main__":
    main()
