"""The client's half of PSRP against psrpcore's server half, back to back in memory."""

import struct
from uuid import UUID

import psrpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, HostMethodIdentifier, NETException

from gatepost.errors import UnsafeXml, WireError
from gatepost.wire import psrp
from gatepost.wire.creating import NULL, Command

POOL, PIPE = UUID(int=7), UUID(int=8)


def fragment(object_id: int, number: int, flags: int, blob: bytes) -> bytes:
    """One fragment as MS-PSRP 2.2.4 lays it out."""
    return struct.pack(">QQBI", object_id, number, flags, len(blob)) + blob


def message(kind: int, payload: bytes) -> bytes:
    """One message as MS-PSRP 2.2.1 lays it out."""
    return struct.pack("<II", 1, kind) + POOL.bytes_le + PIPE.bytes_le + payload


class Server:
    """A runspace pool on the other side of our client."""

    def __init__(self) -> None:
        self.pool = psrpcore.ServerRunspacePool()
        self.client = psrp.Runspace(POOL)
        self.pool.receive_data(psrpcore.PSRPPayload(self.client.opening(), psrpcore.StreamType.default, None))
        while self.pool.next_event():
            pass
        self.client.feed(self.sent())

    def sent(self) -> bytes:
        """Everything that the server has to send."""
        data = b""
        while payload := self.pool.data_to_send():
            data += payload.data
        return data

    def start(self, *commands: Command) -> tuple[psrp.Pipeline, psrpcore.ServerPipeline]:
        """A pipeline on both sides."""
        pipeline = self.client.pipeline(PIPE, commands)
        server = psrpcore.ServerPipeline(self.pool, PIPE)
        for piece in pipeline.opening(200, 300):
            self.pool.receive_data(psrpcore.PSRPPayload(piece, psrpcore.StreamType.default, PIPE))
        while self.pool.next_event():
            pass
        server.start()
        return pipeline, server


@pytest.fixture
def server() -> Server:
    """A client and a server whose pool is open."""
    return Server()


def test_a_pool_opens(server: Server) -> None:
    """After the server's first messages, pipelines may be started."""
    assert server.client.opened
    assert server.client.broken is None


def test_a_command_arrives_with_typed_constant_arguments(server: Server) -> None:
    """Booleans, texts, lists and switches arrive as such, and never as script."""
    command = Command("Get-Thing", {"Whole": True, "Name": ("a", "b$x"), "Switch": None, "Text": "'; x"})
    _, theirs = server.start(command, Command("Select-Object", {"Property": ("Guid",)}))
    assert theirs.metadata is not None
    first, second = theirs.metadata.commands
    values = dict(first.parameters)
    assert (first.command_text, first.is_script, second.command_text) == ("Get-Thing", False, "Select-Object")
    assert values["Whole"] is True
    assert list(values["Name"]) == ["a", "b$x"]
    assert values["Switch"] is True
    assert str(values["Text"]) == "'; x"


@example(["\ufffe"], "a\uffff")
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_table_arrives_as_one_whatever_stands_in_it(ids: list[str], other: str) -> None:
    """A mapping is a hash table of lists, with every text as it was; and null is null, not a switch."""
    command = Command("Set-Thing", {"List": {"Add": tuple(ids), "Remove": (other,)}, "Cleared": NULL})
    _, theirs = Server().start(command)
    assert theirs.metadata is not None
    values = dict(theirs.metadata.commands[0].parameters)
    assert values["List"].PSObject.type_names[0] == "System.Collections.Hashtable"
    assert {key: list(entries) for key, entries in values["List"].items()} == {"Add": ids, "Remove": [other]}
    assert values["Cleared"] is None


def test_output_errors_warnings_and_the_end_come_in_order(server: Server) -> None:
    """Output is handed on as CLIXML bytes; the rest becomes values of ours."""
    ours, theirs = server.start(Command("Get-Thing"))
    theirs.write_output("héllo")
    theirs.write_warning("careful")
    theirs.write_error(
        NETException("het ging mis"),
        category_info=ErrorCategoryInfo(Category=ErrorCategory.ObjectNotFound),
        fully_qualified_error_id="Id,Cmdlet",
    )
    theirs.complete()
    output, warned, error, ended = ours.feed(server.sent())
    assert output == psrp.Output("<S>héllo</S>".encode())
    assert warned == psrp.Warned("careful")
    assert isinstance(error, psrp.ErrorRecord)
    assert (error.message, error.error_id, error.category) == ("het ging mis", "Id,Cmdlet", 13)
    assert error.exception_type == "System.Exception"
    assert ended == psrp.Ended()
    ours.finish()


def test_a_stopped_pipeline_ends_with_an_error(server: Server) -> None:
    """A pipeline that was stopped is not mistaken for one that is complete."""
    ours, theirs = server.start(Command("Get-Thing"))
    theirs.begin_stop()
    theirs.stop()
    (ended,) = ours.feed(server.sent())
    assert isinstance(ended, psrp.Ended)
    assert ended.error is not None


def test_a_prompt_is_seen(server: Server) -> None:
    """A question to a person is an event, because nobody will answer it."""
    ours, theirs = server.start(Command("Remove-Thing"))
    theirs.host_call(HostMethodIdentifier.PromptForChoice, ["Confirm", "Sure?", [], 0])
    assert ours.feed(server.sent()) == [psrp.Asked("PromptForChoice")]


def test_a_broken_pool_says_why(server: Server) -> None:
    """The reason of a broken runspace is kept."""
    record = ErrorRecord(Exception=NETException("out of memory"), CategoryInfo=ErrorCategoryInfo())
    server.pool.set_broken(record)
    server.client.feed(server.sent())
    assert server.client.broken is not None
    assert server.client.broken.message == "out of memory"


@given(
    blobs=st.lists(st.binary(max_size=60), min_size=1, max_size=6),
    size=st.integers(1, 40),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_messages_survive_any_cutting(blobs: list[bytes], size: int, cuts: list[int]) -> None:
    """However messages are fragmented and the stream is cut into chunks, the same messages come out in order."""
    messages = [message(psrp.PIPELINE_OUTPUT, blob) for blob in blobs]
    stream = b""
    for number, whole in enumerate(messages):
        parts = [whole[i : i + size] for i in range(0, len(whole), size)]
        for index, part in enumerate(parts):
            stream += fragment(number, index, (index == 0) | (2 * (index == len(parts) - 1)), part)
    reassembler, found, position, turn = psrp.Reassembler(), [], 0, 0
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        found += reassembler.feed(stream[position : position + step])
        position, turn = position + step, turn + 1
    reassembler.finish()
    assert [entry.payload for entry in found] == [blob.removeprefix(b"\xef\xbb\xbf") for blob in blobs]
    assert [entry.raw for entry in found] == messages


def test_a_byte_order_mark_is_not_part_of_a_message() -> None:
    """Messages begin with a BOM at times."""
    whole = message(psrp.PIPELINE_OUTPUT, b"\xef\xbb\xbf<Nil/>")
    (found,) = psrp.Reassembler().feed(fragment(1, 0, 3, whole))
    assert found.payload == b"<Nil/>"


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (fragment(1, 1, 2, b"x"), "Fragment 1 of object 1 came where fragment 0 was due"),
        (fragment(1, 0, 1, b"x") + fragment(1, 2, 2, b"y"), "Fragment 2 of object 1 came where fragment 1 was due"),
        (struct.pack(">QQBI", 1, 0, 3, 2**31), "2147483648 bytes is announced"),
        (fragment(1, 0, 3, b"short"), "too short for its header"),
        (b"".join(fragment(n, 0, 1, b"x" * 2**23) for n in range(9)), "were begun and not ended"),
    ],
)
def test_fragments_that_do_not_fit_are_refused_in_words(stream: bytes, words: str) -> None:
    """A gap, a size beyond belief or a stump is a clear error."""
    with pytest.raises(WireError, match=words):
        psrp.Reassembler().feed(stream)


@pytest.mark.parametrize("cut", [1, 20, 21, 30])
def test_an_answer_that_ends_within_a_fragment_is_refused(cut: int) -> None:
    """Data that breaks off is never taken for all of it."""
    reassembler = psrp.Reassembler()
    reassembler.feed(fragment(1, 0, 3, message(psrp.PIPELINE_OUTPUT, b"<Nil/>"))[:cut])
    with pytest.raises(WireError, match="ended in the middle of a fragment"):
        reassembler.finish()


@pytest.mark.parametrize(
    ("payload", "kind", "words"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><Obj/>', UnsafeXml, "DOCTYPE"),
        (b"<Obj>" * 1000 + b"</Obj>" * 1000, UnsafeXml, "nested 1000 deep"),
        ("<!DOCTYPE x><Obj/>".encode("utf-16"), WireError, "not UTF-8"),
        ("<!DOCTYPE x><Obj/>".encode("utf-16-le"), UnsafeXml, "DOCTYPE or a NUL"),
        (b"<Obj", WireError, "cannot be read"),
        (b"<Obj RefId='0'/>", WireError, "cannot be read"),
    ],
)
def test_hostile_messages_are_refused_before_they_are_understood(
    server: Server, payload: bytes, kind: type[Exception], words: str
) -> None:
    """What is not output goes to a recursive reader, so it is checked first."""
    ours, _ = server.start(Command("Get-Thing"))
    with pytest.raises(kind, match=words):
        ours.feed(fragment(99, 0, 3, message(0x00041006, payload)))
