"""Where the time of an inventory goes: answers of a lab are recorded once, then each stage is run alone.

    python -m benchmarks.stages [--devices 20000] [--runs 5]

Figures are microseconds of processor time a row, the median of some runs. The floors are what no inventory in Python
can do without: base64, reassembly and a bare expat parser; and SQLite taking rows that are ready.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

from benchmarks.labs import RunningLab
from gatepost.connector.listing import KINDS, Listing, fold
from gatepost.connector.rows import Mender, RowText
from gatepost.connector.store import FILE, Store
from gatepost.domain.contract import text_hash
from gatepost.domain.devices import Device, Mailbox
from gatepost.exchange import reading
from gatepost.exchange.cmdlets import GET_CAS_MAILBOX, GET_MOBILE_DEVICE, project
from gatepost.exchange.commands import UNLIMITED, Cmdlet, build
from gatepost.exchange.probing import prepare
from gatepost.exchange.sessions import Session
from gatepost.settings import ExchangeSettings
from gatepost.wire import clixml, soap
from gatepost.wire.psrp import PIPELINE_OUTPUT, Reassembler

BATCH = 1_000


class Recorder:
    """A transport that keeps the answers."""

    def __init__(self, transport: Any) -> None:  # noqa: ANN401 - the session's own
        self._transport = transport
        self.answers: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def post(self, *arguments: Any, **more: Any) -> bytes:  # noqa: ANN401 - passed on
        """Post, and keep the answer."""
        answer: bytes = self._transport.post(*arguments, **more)
        self.answers.append(answer)
        return answer


def record(session: Session, cmdlet: Cmdlet) -> tuple[list[bytes], float]:
    """The answers that a bulk listing brings, and the processor time of receiving and reading them to messages."""
    transport = session._transport  # noqa: SLF001 - nobody else is to see what comes in
    recorder = Recorder(transport)
    session._transport = recorder  # type: ignore[assignment]  # noqa: SLF001
    start = time.process_time()
    for _ in session.output(build(cmdlet, ResultSize=UNLIMITED), project(cmdlet.fields)):
        pass
    spent = time.process_time() - start
    session._transport = transport  # noqa: SLF001
    return [answer for answer in recorder.answers if b"ReceiveResponse" in answer], spent


def median(work: Callable[[], Any], runs: int, prepare_one: Callable[[], Any] = lambda: None) -> float:
    """The processor time of some work; what is prepared before each run does not count."""
    spent = []
    for _ in range(runs):
        prepare_one()
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def payloads(streams: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
    """The messages of each answer."""
    reassembler = Reassembler()
    return [
        [
            message.payload
            for stream in answer
            for message in reassembler.feed(stream)
            if message.type == PIPELINE_OUTPUT
        ]
        for answer in streams
    ]


def bare_expat(batches: Sequence[Sequence[bytes]]) -> None:
    """Let a parser look at each message, and tell nobody."""
    for batch in batches:
        for payload in batch:
            expat.ParserCreate().Parse(payload, True)


def of_listing(session: Session, cmdlet: Cmdlet, runs: int) -> tuple[int, dict[str, float]]:
    """Each stage of one listing up to our values: the objects and seconds. Its last entries are values, not stages."""
    answers, whole = record(session, cmdlet)
    replies = [reply for reply in map(soap.parse, answers) if isinstance(reply, soap.Reply)]
    streams = [soap.read_received(reply).streams for reply in replies]
    batches = payloads(streams)
    count = sum(map(len, batches))
    soap_time = median(lambda: [soap.parse(answer) for answer in answers], runs)
    base64_time = median(lambda: [soap.read_received(reply) for reply in replies], runs)
    reassembly = median(lambda: payloads(streams), runs)
    rows = clixml.Rows(cmdlet.fields)
    return count, {
        "HTTP, TLS, events": whole - soap_time - base64_time - reassembly,
        "SOAP": soap_time,
        "base64": base64_time,
        "reassembly": reassembly,
        "decode": median(lambda: [rows.decode(batch) for batch in batches], runs),
        "floor: base64, reassembly, expat": base64_time + reassembly + median(lambda: bare_expat(batches), runs),
    }


def values(session: Session, cmdlet: Cmdlet) -> list[clixml.Row]:
    """The rows of a listing."""
    rows = clixml.Rows(cmdlet.fields)
    output = session.output(build(cmdlet, ResultSize=UNLIMITED), project(cmdlet.fields))
    return [row for batch in output for row in reading.readable(rows.decode(batch))]


def parts(rows: Sequence[Any]) -> list[Sequence[Any]]:
    """Rows by the batch, as the inventory has them."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def of_values(decoded: Sequence[clixml.Row], cmdlet: Cmdlet, runs: int, folder: Path) -> dict[str, float]:
    """Each stage from decoded rows to the store."""
    devices = cmdlet is GET_MOBILE_DEVICE
    kind = KINDS[devices]
    read: Callable[[int, clixml.Row], Any] = reading.device if devices else lambda n, row: reading.mailbox(n, row, {})
    made: list[Any] = [read(number, row) for number, row in enumerate(decoded)]
    mender = Mender()
    texts = [_text(mender, each) for each in made]
    with Store(folder / kind / FILE, "o", "c", 1, "h") as store:
        listing = Listing(store)
        named = [(each.dn, text) for each, text in zip(made, texts, strict=True)] if not devices else []

        def append() -> None:
            for part in parts(texts if devices else named):
                (listing.add_devices if devices else listing.add_mailboxes)(part)

        stages = {
            "Device and Mailbox": median(lambda: [read(number, row) for number, row in enumerate(decoded)], runs),
            "text of a row": median(lambda: [_text(mender, each) for each in made], runs),
            "hash": median(lambda: [text_hash(text.text.encode()) for text in texts], runs),
            "SQLite, appending": median(append, runs, listing.begin),
            "SQLite, putting in order": median(lambda: listing.finish(kind), 1),
        }
        stages["SQLite, appending"] -= stages["hash"]
        if devices:
            names = [[fold(each.mailbox_dn) for each in part] for part in parts(made)]
            listing.add_mailboxes(
                (dn, RowText(f"{n}", "[]")) for n, dn in enumerate({dn for part in names for dn in part})
            )
            listing.finish("mailboxes")
            stages["owners"] = median(lambda: [listing.mailboxes_by_dn(part) for part in names], runs)
    stages["floor: SQLite, ready rows"] = median(lambda: bulk_insert(texts, folder), runs)
    return stages


def _text(mender: Mender, found: Device | Mailbox) -> RowText:
    return mender.device(found, found.guid) if isinstance(found, Device) else mender.mailbox(found)


def bulk_insert(texts: Sequence[RowText], folder: Path) -> None:
    """As SQLite likes it best: one transaction, no journal, no index, rows that are ready."""
    (folder / "floor").unlink(missing_ok=True)
    db = sqlite3.connect(folder / "floor", isolation_level=None)
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("CREATE TABLE rows (guid TEXT, row TEXT)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO rows VALUES (?, ?)", texts)
    db.execute("COMMIT")
    db.close()


def measured(devices: int, runs: int) -> dict[str, tuple[int, dict[str, float]]]:
    """Rows and seconds of each stage, by listing."""
    found = {}
    with RunningLab(devices) as lab, tempfile.TemporaryDirectory() as name:
        settings = ExchangeSettings(
            url=lab.ready["url"], auth="basic", user=lab.ready["user"], ca_file=Path(lab.ready["ca_file"])
        )
        with Session.open(settings, lab.ready["password"]) as session:
            prepare(session, None)
            for cmdlet in (GET_CAS_MAILBOX, GET_MOBILE_DEVICE):
                count, stages = of_listing(session, cmdlet, runs)
                decoded = values(session, cmdlet)
                found[cmdlet.name] = count, stages | of_values(decoded, cmdlet, runs, Path(name))
    return found


def table(found: dict[str, tuple[int, dict[str, float]]]) -> str:
    """The stages as a Markdown table, floors last."""
    names = sorted({name: None for _, stages in found.values() for name in stages}, key=lambda name: "floor" in name)
    heads = " | ".join(f"{name}, {count:,}" for name, (count, _) in found.items())
    lines = [f"| µs of processor time a row | {heads} |", "| --- |" + " ---: |" * len(found)]
    for name in names:
        cells = [f"{stages[name] / count * 1e6:.1f}" if name in stages else "" for count, stages in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    sums = [sum(value for name, value in stages.items() if "floor" not in name) for _, stages in found.values()]
    totals = [f"{total / count * 1e6:.1f}" for total, (count, _) in zip(sums, found.values(), strict=True)]
    lines.append(f"| all but the floors | {' | '.join(totals)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(table(measured(given.devices, given.runs)))


if __name__ == "__main__":
    main()
