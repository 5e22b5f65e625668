"""How fast pipeline output becomes values: ours against pypsrp, psrpcore, lxml and the floor, on the same messages.

Everything starts from base64 fragments as they stand in an answer and is given in devices a second of one core's
time, so that other work on the machine counts little. The floor is our reassembly and a bare expat parser that calls
nothing: what a decoder that parses XML must at least do.

    .venv/bin/python -m benchmarks.decode [--devices 6000] [--runs 7]
"""

import argparse
import base64
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.parsers import expat

import psrpcore.types
from lxml import etree
from psrpcore import PSRemotingCrypto
from pypsrp.serializer import Serializer

from benchmarks.messages import FIELDS, fragments, listing
from gatepost.wire.clixml import Rows, decode
from gatepost.wire.psrp import Reassembler

LISTINGS = {
    "projected, 20 properties": {"projected": True, "full": False},
    "projected, Full form": {"projected": True, "full": True},
    "whole, 45 properties": {"projected": False, "full": False},
    "whole, Full form": {"projected": False, "full": True},
}
FLOOR = "reassembly, bare expat (floor)"
OURS = "ours: Rows"


class Contender(NamedTuple):
    """Something that reads envelopes of fragments; a slow one is given ``part`` of the devices."""

    name: str
    read: Callable[[Sequence[Sequence[str]]], None]
    part: int = 1


def payloads(envelopes: Sequence[Sequence[str]]) -> Iterator[list[bytes]]:
    """The messages of each envelope."""
    reassembler = Reassembler()
    for envelope in envelopes:
        yield [message.payload for text in envelope for message in reassembler.feed(base64.b64decode(text))]


def reassemble(envelopes: Sequence[Sequence[str]]) -> None:
    """Base64 and fragments only."""
    for _ in payloads(envelopes):
        pass


def bare_expat(envelopes: Sequence[Sequence[str]]) -> None:
    """Also let expat look at each message."""
    for batch in payloads(envelopes):
        for payload in batch:
            expat.ParserCreate().Parse(payload, True)


def ours(envelopes: Sequence[Sequence[str]]) -> None:
    """The fast path, learning included: no expression is left over from an earlier run."""
    re.purge()
    rows = Rows(FIELDS)
    for batch in payloads(envelopes):
        rows.decode(batch)


def general(envelopes: Sequence[Sequence[str]]) -> None:
    """The general reader on every message: all properties, under all limits."""
    for batch in payloads(envelopes):
        for payload in batch:
            decode(payload)


def lxml_dict(envelopes: Sequence[Sequence[str]]) -> None:
    """What a quick script does: names and raw texts."""
    for batch in payloads(envelopes):
        for payload in batch:
            {element.get("N"): element.text for element in etree.fromstring(payload)[-1]}


def by_psrpcore(envelopes: Sequence[Sequence[str]]) -> None:
    """The deserializer of psrpcore, on the tree that it takes."""
    cipher = PSRemotingCrypto()
    for batch in payloads(envelopes):
        for payload in batch:
            psrpcore.types.deserialize(ET.fromstring(payload), cipher)


def by_pypsrp(envelopes: Sequence[Sequence[str]]) -> None:
    """The deserializer of pypsrp."""
    for batch in payloads(envelopes):
        for payload in batch:
            Serializer().deserialize(payload.decode())


CONTENDERS = (
    Contender("reassembly alone", reassemble),
    Contender(FLOOR, bare_expat),
    Contender(OURS, ours),
    Contender("ours: general reader", general, 4),
    Contender("lxml to dict of raw texts", lxml_dict, 4),
    Contender("pypsrp", by_pypsrp, 40),
    Contender("psrpcore", by_psrpcore, 40),
)


def measure(devices: int, runs: int, options: dict[str, bool]) -> tuple[dict[str, float], float]:
    """Median devices a second of each contender, taking turns (the first is dropped); bytes of CLIXML a device."""
    messages = listing(devices, **options)
    work = {part: fragments(messages[: devices // part]) for part in {contender.part for contender in CONTENDERS}}
    taken: dict[str, list[float]] = {contender.name: [] for contender in CONTENDERS}
    for _ in range(runs + 1):
        for contender in CONTENDERS:
            start = time.process_time()
            contender.read(work[contender.part])
            taken[contender.name].append((devices // contender.part) / (time.process_time() - start))
    return {name: statistics.median(rates[1:]) for name, rates in taken.items()}, sum(map(len, messages)) / devices


def table(title: str, rates: dict[str, float], size: float) -> str:
    """The results of one listing as a Markdown table."""
    lines = [
        f"{title}: {size:,.0f} bytes of CLIXML a device",
        "",
        "| what | devices/s | MB/s | of the floor | ours / it |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, rate in rates.items():
        share, ratio = rate / rates[FLOOR], rates[OURS] / rate
        lines.append(f"| {name} | {rate:,.0f} | {rate * size / 1e6:,.1f} | {share:.1%} | {ratio:,.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every listing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=6_000, help="devices in each listing")
    parser.add_argument("--runs", type=int, default=7, help="runs of each contender; the median counts")
    options = parser.parse_args()
    versions = f"lxml {etree.__version__}, {expat.EXPAT_VERSION}"
    print(
        f"Python {platform.python_version()}, {versions}, time of one core, median of {options.runs} alternated runs\n"
    )
    for title, how in LISTINGS.items():
        print(table(title, *measure(options.devices, options.runs, how)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
