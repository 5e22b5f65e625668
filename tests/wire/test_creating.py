"""The message that creates a pipeline, against psrpcore's own writing of it: the same bytes."""

from typing import Any
from uuid import UUID

import psrpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from psrpcore.types import RunspacePoolState

from gatepost.exchange.cmdlets import EXCHANGE, GET_COMMAND, SELECT_OBJECT
from gatepost.exchange.commands import Change, Clearable, Cmdlet
from gatepost.wire.creating import NULL, Command, Null, creation
from gatepost.wire.psrp import Runspace

POOL, PIPE = UUID(int=7), UUID(int=8)
HOSTILE = ("", " ", "'; x", 'a&b<c>"d"\'', "_x000A_ _X _x", "\t\r\n\0", "\x7f\x85\u2028", "é", "\U0001f600")
SENT_ALIKE = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")
TEXT = st.sampled_from(HOSTILE) | st.text(SENT_ALIKE, max_size=12)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
VALUES: dict[type | None, st.SearchStrategy[Any]] = {
    None: st.none(),
    bool: st.booleans(),
    tuple: TEXTS,
    Clearable: TEXT | st.just(NULL),
    Change: st.dictionaries(st.sampled_from(["Add", "Remove"]), TEXTS),
}


def calls(cmdlet: Cmdlet) -> st.SearchStrategy[Command]:
    """Any call of a declared cmdlet, under either name, with any values of the declared types."""
    typed = {name: VALUES.get(kind, TEXT) for name, kind in cmdlet.parameters.items()}
    return st.builds(Command, st.sampled_from(cmdlet.names), st.fixed_dictionaries({}, optional=typed))


ANY = st.sampled_from([*EXCHANGE, GET_COMMAND]).flatmap(calls)


def theirs(value: Any) -> Any:
    """A value as psrpcore takes it."""
    if isinstance(value, dict):
        return {key: theirs(each) for key, each in value.items()}
    if isinstance(value, Null):
        return None
    return True if value is None else list(value) if isinstance(value, tuple) else value


def oracle(pool: psrpcore.ClientRunspacePool, commands: list[Command], sizes: tuple[int, int]) -> list[bytes]:
    """What psrpcore sends for the same commands, in pieces."""
    shell = psrpcore.ClientPowerShell(pool, pipeline_id=PIPE)
    for command in commands:
        shell.add_command(command.name)
        for name, value in command.parameters.items():
            shell.add_parameter(name, theirs(value))
    shell.start()
    pieces: list[bytes] = []
    while payload := pool.data_to_send(sizes[1] if pieces else sizes[0]):
        pieces.append(payload.data)
    return pieces


@given(ANY, calls(SELECT_OBJECT) | st.none(), st.integers(22, 5_000), st.integers(22, 5_000))
def test_what_is_sent_is_what_psrpcore_would_send(
    command: Command, behind: Command | None, first: int, further: int
) -> None:
    """Every declared cmdlet with any values, alone or with another behind it, cut into pieces of any size."""
    commands = [command] if behind is None else [command, behind]
    pool, ours = psrpcore.ClientRunspacePool(runspace_pool_id=POOL), Runspace(POOL)
    pool.open()
    opened = pool.data_to_send()
    assert opened is not None
    assert opened.data == ours.opening()
    pool.state = RunspacePoolState.Opened
    for _ in range(2):  # messages are numbered on
        assert ours.pipeline(PIPE, commands).opening(first, further) == oracle(pool, commands, (first, further))


@pytest.mark.parametrize("cmdlet", [*EXCHANGE, GET_COMMAND, SELECT_OBJECT], ids=lambda cmdlet: cmdlet.name)
def test_every_parameter_at_once(cmdlet: Cmdlet) -> None:
    """Each cmdlet under each name with all its parameters, whose texts are hostile."""
    values: dict[type | None, Any] = {
        None: None,
        bool: False,
        tuple: HOSTILE,
        Clearable: NULL,
        Change: {"Add": HOSTILE, "Remove": ()},
    }
    for name in cmdlet.names:
        command = Command(name, {each: values.get(kind, HOSTILE[5]) for each, kind in cmdlet.parameters.items()})
        pool = psrpcore.ClientRunspacePool(runspace_pool_id=POOL)
        assert oracle(pool, [command], (1 << 20, 1 << 20))[0].endswith(creation([command]))


def test_a_lone_surrogate_is_escaped() -> None:
    """What is no character in UTF-8 is sent as the unit of UTF-16 that it is."""
    assert b'<S N="V">_xD800__xDAAA__xDFFF_</S>' in creation([Command("Set-Thing", {"Text": "\ud800\udaaa\udfff"})])


def test_a_text_that_xml_does_not_have_is_escaped() -> None:
    """What no reader of XML takes is sent as CLIXML writes it: psrpcore's own reading refuses what it writes there."""
    sent = creation([Command("Set-Thing", {"Text": "a\ufffe\uffffz"})])
    assert b'<S N="V">a_xFFFE__xFFFF_z</S>' in sent
    assert etree.fromstring(sent) is not None


def test_a_value_of_no_declared_type_is_refused() -> None:
    """A number never stands for a text unseen."""
    with pytest.raises(TypeError, match="a parameter of type int cannot be sent"):
        creation([Command("Set-Thing", {"Count": 3})])
