"""The message that creates a pipeline (MS-PSRP 2.2.2.10), as text.

It is the one message that every cmdlet costs. psrpcore writes it as well, by way of a tree of objects that stand for
.NET's, in some five milliseconds of processor; nothing in it varies but names and values. The bytes are the same, but
for two characters that XML does not have, U+FFFE and U+FFFF: psrpcore writes them as they are, here they are escaped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape


@dataclass(frozen=True, slots=True)
class Null:
    """``$null`` as an argument, which clears what is there."""


NULL = Null()


@dataclass(frozen=True, slots=True)
class Command:
    """A cmdlet with constant arguments; ``None`` as value is a switch that is set.

    Values are texts, booleans, tuples of them, which become lists, and mappings, which become hash tables; ``NULL`` is
    ``$null``.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def creation(commands: Sequence[Command]) -> bytes:
    """The message's CLIXML. Raises TypeError for a value that no parameter is declared with."""
    return _Writer().message(commands).encode()


_OBJECT = "System.Object"
_ENUM = ("System.Enum", "System.ValueType", _OBJECT)
_LIST = ("System.Collections.ArrayList", _OBJECT)
_TABLE = ("System.Collections.Hashtable", _OBJECT)
_APARTMENT = ("System.Threading.ApartmentState", *_ENUM)
_STREAMS = ("System.Management.Automation.RemoteStreamOptions", *_ENUM)
_MERGING = ("System.Management.Automation.Runspaces.PipelineResultTypes", *_ENUM)
_HOST = "".join(
    f'<B N="{name}">true</B>' for name in ("_isHostNull", "_isHostUINull", "_isHostRawUINull", "_useRunspaceHost")
)
_UNMERGED = ("MergeToResult", "MergePreviousResults")
_UNDERLINE = re.compile("_(?=[xX])")
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]")


class _Writer:
    """Writes one message. Objects and lists of type names are numbered as they come, and named by number after that."""

    def __init__(self) -> None:
        self._objects = -1
        self._types: dict[str, int] = {}
        self._merging = ""

    def message(self, commands: Sequence[Command]) -> str:
        return (
            f'{self._begin()}{self._typed((_OBJECT,))}<MS><B N="NoInput">true</B>'
            f"{self._choice('ApartmentState', 2, _APARTMENT, 'Unknown')}"
            f"{self._choice('RemoteStreamOptions', 0, _STREAMS, 'None')}"
            f'<B N="AddToHistory">false</B>{self._begin("HostInfo")}<MS>{_HOST}</MS></Obj>'
            f"{self._begin('PowerShell')}<MS>{self._begin('Cmds')}{self._typed(_LIST)}"
            f"<LST>{''.join(map(self._command, commands))}</LST></Obj>"
            '<B N="IsNested">false</B><Nil N="History" /><B N="RedirectShellErrorOutputPipe">true</B></MS></Obj>'
            '<B N="IsNested">false</B></MS></Obj>'
        )

    def _command(self, command: Command) -> str:
        return (
            f"{self._begin()}<MS>{_string(command.name, 'Cmd')}{self._begin('Args')}{self._typed(_LIST)}"
            f"{_group('LST', [self._parameter(name, value) for name, value in command.parameters.items()])}</Obj>"
            f'<B N="IsScript">false</B><Nil N="UseLocalScope" />{self._merged()}</MS>'
            f"<ToString>{_text(command.name)}</ToString></Obj>"
        )

    def _parameter(self, name: str, value: Any) -> str:  # noqa: ANN401 - what a parameter takes
        return f"{self._begin()}<MS>{_string(name, 'N')}{self._value(True if value is None else value, 'V')}</MS></Obj>"

    def _merged(self) -> str:
        """That no stream is merged into another: one value three times, and in every command."""
        first = ""
        if not self._merging:
            first = self._choice("MergeMyResult", 0, _MERGING, "None")
            self._merging = f'<Ref RefId="{self._objects}"'
        names = _UNMERGED if first else ("MergeMyResult", *_UNMERGED)
        return first + "".join(f'{self._merging} N="{name}" />' for name in names)

    def _value(self, value: Any, name: str = "") -> str:  # noqa: ANN401 - what a parameter takes
        if isinstance(value, bool):
            return f"<B{_named(name)}>{str(value).lower()}</B>"
        if isinstance(value, str):
            return _string(value, name)
        if isinstance(value, Null):
            return f"<Nil{_named(name)} />"
        if isinstance(value, tuple):
            return f"{self._begin(name)}{self._typed(_LIST)}{_group('LST', list(map(self._value, value)))}</Obj>"
        if isinstance(value, Mapping):
            begun = f"{self._begin(name)}{self._typed(_TABLE)}"
            entries = [f"<En>{_string(key, 'Key')}{self._value(each, 'Value')}</En>" for key, each in value.items()]
            return f"{begun}{_group('DCT', entries)}</Obj>"
        raise TypeError(f"a parameter of type {type(value).__name__} cannot be sent")

    def _choice(self, name: str, number: int, types: tuple[str, ...], text: str) -> str:
        """A value of an enumeration."""
        begun = f"{self._begin(name)}<I32>{number}</I32>{self._typed(types)}"
        return f"{begun}<ToString>{text}</ToString></Obj>"

    def _begin(self, name: str = "") -> str:
        self._objects += 1
        return f'<Obj RefId="{self._objects}"{_named(name)}>'

    def _typed(self, types: tuple[str, ...]) -> str:
        if types[0] in self._types:
            return f'<TNRef RefId="{self._types[types[0]]}" />'
        number = self._types[types[0]] = len(self._types)
        return f'<TN RefId="{number}">{"".join(f"<T>{each}</T>" for each in types)}</TN>'


def _group(tag: str, entries: Sequence[str]) -> str:
    return f"<{tag}>{''.join(entries)}</{tag}>" if entries else f"<{tag} />"


def _string(text: str, name: str = "") -> str:
    return f"<S{_named(name)}>{_text(text)}</S>" if text else f"<S{_named(name)} />"


def _named(name: str) -> str:
    return f' N="{name}"' if name else ""


def _text(text: str) -> str:
    """A text as CLIXML has it: what XML cannot carry is ``_xHHHH_`` for each unit of UTF-16."""
    return escape(_UNPRINTABLE.sub(_units, _UNDERLINE.sub("_x005F_", text)))


def _units(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"_x{units[at : at + 4]}_" for at in range(0, len(units), 4))
