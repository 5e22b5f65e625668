"""The bytes of an answer, fuzzed: ``python -m tests.fuzz.wire -max_total_time=30`` (libFuzzer's own options).

The first byte of an input chooses what is tried. Whatever the bytes: an error of our tree or a value, never another
exception; the fast reader of listings and the general one judge alike; and how a stream was cut into chunks does not
matter. Seeds are real messages; what was found once belongs into ``tests/wire`` as an example.
"""

import base64
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gatepost.wire"]):
    from gatepost.errors import UnreadableObject, WireError
    from gatepost.wire import clixml, ews, psrp, soap
    from gatepost.wire.clixml.rows import FIRST_LESSON

from benchmarks import messages

FIELDS = messages.FIELDS
SEED_DEVICES = 12
INPUTS_A_READER = 2_000
_REAL = [
    payload
    for projected in (True, False)
    for full in (True, False)
    for payload in messages.listing(SEED_DEVICES, projected=projected, full=full)
]


def trained() -> clixml.Rows:
    """A reader of listings that has learned the real messages' shapes."""
    rows = clixml.Rows(FIELDS)
    for start in range(0, len(_REAL), SEED_DEVICES):
        rows.decode((_REAL[start : start + SEED_DEVICES] * FIRST_LESSON)[:FIRST_LESSON])
    return rows


def shown(rows: Sequence[clixml.Row | UnreadableObject]) -> list[object]:
    """Rows so that they can be compared: an error is its problem."""
    return [repr(row) if isinstance(row, tuple) else (row.problem, row.excerpt) for row in rows]


_readers = (reader for _ in itertools.count() for reader in [trained()] * INPUTS_A_READER)


def _reader() -> clixml.Rows:
    """A trained reader, made anew now and then: it learns from what it is fuzzed with, up to a limit."""
    return next(_readers)


def read_any(data: bytes) -> None:
    """Any payload by the general reader."""
    clixml.decode(data)
    clixml.type_names(data)


def read_listing(data: bytes) -> None:
    """A message of a listing, by the reader that knows the shape and by one that has seen nothing."""
    known, fresh = shown(_reader().decode([data])), shown(clixml.Rows(FIELDS).decode([data]))
    assert known == fresh, f"the fast reader says {known}, the general one {fresh}"


def bend_real(data: bytes) -> None:
    """A real message with some of its bytes exchanged: nearer to the fast path than free bytes ever come."""
    if len(data) < 4:
        return
    payload = _REAL[data[0] % len(_REAL)]
    at = int.from_bytes(data[1:3], "big") % len(payload)
    read_listing(payload[:at] + data[4:] + payload[at + data[3] % 64 :])


def read_fragments(data: bytes) -> None:
    """A stream of fragments, in two halves and whole: the same messages, or an error both times."""
    if not data:
        return
    cut, stream = data[0], data[1:]
    assert _messages([stream]) == _messages([stream[:cut], stream[cut:]])


def _messages(chunks: Sequence[bytes]) -> object:
    reassembler = psrp.Reassembler()
    try:
        found = [message for chunk in chunks for message in reassembler.feed(chunk)]
        reassembler.finish()
    except WireError as error:
        return type(error)
    return found


def read_envelope(data: bytes) -> None:
    """An answer of WS-Management."""
    answer = soap.parse(data)
    if isinstance(answer, soap.Reply):
        soap.read_shell(answer)
        soap.read_command_id(answer)
        soap.read_received(answer)


def read_mail(data: bytes) -> None:
    """An answer of Exchange Web Services, and one of Autodiscover."""
    if data[:1] == b"A":
        ews.read_discovered(data[1:])
        return
    answer = ews.read(data[1:])
    if isinstance(answer, ews.Response):
        ews.has_folder(answer)
        ews.has_item(answer)


TARGETS: tuple[Callable[[bytes], None], ...] = (
    read_any, read_listing, bend_real, read_fragments, read_envelope, read_mail,
)  # fmt: skip


def one_input(data: bytes) -> None:
    """One input of the fuzzer."""
    if data:
        try:
            TARGETS[data[0] % len(TARGETS)](data[1:])
        except WireError:
            return


def seeds() -> list[bytes]:
    """Real inputs for every target."""
    fragments = [base64.b64decode(text) for texts in messages.fragments(_REAL[:3]) for text in texts]
    received = b"".join(
        b'<rsp:Stream xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell" Name="stdout">%s</rsp:Stream>'
        % base64.b64encode(fragment)
        for fragment in fragments[:1]
    )
    envelope = b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>%s</s:Body></s:Envelope>'
    given = [(0, _REAL[0]), (1, _REAL[1]), (2, b"\x01\x00\x40\x08&amp;"), (4, envelope % received)]
    given += [(3, bytes([40]) + fragment) for fragment in fragments]
    answer = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange'
        b'/services/2006/messages"><s:Body><m:R><m:ResponseMessages><m:M ResponseClass="Error"><m:ResponseCode>E</m:'
        b"ResponseCode></m:M></m:ResponseMessages></m:R></s:Body></s:Envelope>"
    )
    found = b"<Autodiscover><Protocol><Type>EXCH</Type><EwsUrl>https://x</EwsUrl></Protocol></Autodiscover>"
    given += [(5, b"E" + answer), (5, b"A" + found)]
    return [bytes([target]) + data for target, data in given]


def main() -> None:
    """Fuzz with libFuzzer's options of the command line; new inputs are kept in ``.build/corpus`` for the next run."""
    corpus = Path(".build/corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = ["-max_len=4096", "-print_final_stats=1", "-verbosity=0", "-artifact_prefix=.build/fuzz-"]
    atheris.Setup([*sys.argv, str(corpus), *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
