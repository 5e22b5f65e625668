"""The shape of a listing's objects, learned from some of them and compiled into one expression.

The objects of a listing repeat the same tags in the same order and differ in their texts. So an object's source is cut
into tags and texts: tags become literal parts of an expression, texts become gaps, the gaps of wanted properties become
groups. Why that is safe:

- The expression covers a message from its first character to its last, and no gap takes in a ``<``. A message that fits
  has therefore exactly the learned tags at the learned places; a wanted name elsewhere, say inside another object, in a
  comment, or in a text that looks like markup, cannot be mistaken for the property.
- What may vary besides is the number of type names, of items in a list of strings, and the numbers of references. A
  wanted property that is itself a reference is not learned.
- Every repetition is possessive, every choice atomic, and the ways of one choice differ in their tags: nothing is
  matched twice except a few tags of a choice, so the time is linear in the message, for any message.
- What the expression does not see is looked for apart (``suspect``): what XML forbids in a text.

What does not fit is read by the general reader, which is slower and always right.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from gatepost.wire.clixml.reader import COLLECTIONS, NAMESPACE, PARTS
from gatepost.wire.clixml.values import CONVERTERS, Value, text

Convert: TypeAlias = Callable[[str], Value]

MAX_FORMS: Final = 6

_GAP: Final = "[^<]*+"
_TAG = re.compile(r'<(/?)(\w+)((?: \w+="[^"<>&\x00-\x1f]*")*)( ?/)?>([^<]*)')
_TYPES = '(?><TN RefId="[0-9]++">(?:<T>[^<]*+</T>)*+</TN>|<TNRef RefId="[0-9]++" />)'
_STRINGS = "<LST>(?:<S>[^<]*+</S>)*+</LST>"
_STRINGS_GROUP = "<LST>((?:<S>[^<]*+</S>)*+)</LST>"
_REPEATED = (("TN", _TYPES, re.compile(f"({_TYPES})([^<]*)")), ("LST", _STRINGS, re.compile(f"({_STRINGS})([^<]*)")))
_REFERENCE = re.compile(r' RefId="[0-9]+"')
_NAME = re.compile(r' N="([^"]*)"')
_SPACE = re.compile(r' xmlns\w*="([^"]*)"')
_NEVER = "(?:(?!)())?"

_ENTITY = re.compile("&(amp|lt|gt|quot|apos);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class Form(NamedTuple):
    """One way in which a property is written. Without ``convert`` there is no group, and the value is None."""

    pattern: str
    convert: Convert | None


class Sample(NamedTuple):
    """An object cut up. ``frame`` alternates what stands before, between and after properties with their names."""

    frame: tuple[str, ...]
    forms: tuple[Form, ...]


class _Token(NamedTuple):
    """A tag, or a repetition that counts as one. ``gap`` says whether text follows it."""

    opens: bool
    closes: bool
    name: str
    depth: int
    attributes: str
    pattern: str
    gap: bool


class Shape:
    """What the messages of one frame have in common, as an expression. It takes two fields or more."""

    def __init__(self, fields: Sequence[str], samples: Sequence[Sample]) -> None:
        self.frame = samples[0].frame
        self._fields = tuple(fields)
        self._forms: list[list[Form]] = [[] for _ in self.frame[1::2]]
        self.learn(samples)

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in the forms of more objects of this frame; a property has a few at most, the reader has the rest."""
        for sample in samples:
            for known, form in zip(self._forms, sample.forms, strict=True):
                if form not in known and len(known) < MAX_FORMS:
                    known.append(form)
        self._compile()

    def read(self, source: str, *, escaped: bool) -> tuple[Value, ...] | None:
        """The wanted properties of a message, or None if it does not fit.

        ``escaped`` says that it holds entities or escapes. Raises ValueError or ArithmeticError as converters do.
        """
        match = self._fullmatch(source)
        if match is None:
            return None
        texts: tuple[str | None, ...] = match.group(*self._groups)
        converts, others = (self._escaped, self._others_escaped) if escaped else (self._plain, self._others_plain)
        if not converts and not others:
            return texts
        row: list[Value] = list(texts)
        for column, convert in converts:
            raw = texts[column]
            if raw is not None:
                row[column] = convert(raw)
        for column, group, convert in others:
            raw = match[group]
            if raw is not None:
                row[column] = convert(raw)
        return tuple(row)

    def _compile(self) -> None:
        """Make the expression, and note for each column its groups and what becomes of their texts."""
        pattern, count = self.frame[0], 0
        groups: dict[str, list[tuple[int, Convert]]] = {}
        for name, after, forms in zip(self.frame[1::2], self.frame[2::2], self._forms, strict=True):
            for form in forms:
                if form.convert:
                    count += 1
                    groups.setdefault(name, []).append((count, form.convert))
            pattern += f"(?>{'|'.join(form.pattern for form in forms)}){after}"
        columns = [groups.get(field, [(count + 1, text)]) for field in self._fields]
        self._fullmatch = re.compile(pattern + _NEVER).fullmatch
        self._groups = tuple(ways[0][0] for ways in columns)
        first = [(column, ways[0][1]) for column, ways in enumerate(columns)]
        others = [(column, *way) for column, ways in enumerate(columns) for way in ways[1:]]
        self._plain = [(column, convert) for column, convert in first if convert is not text]
        self._escaped = [(column, _with_entities(convert)) for column, convert in first]
        self._others_plain = others
        self._others_escaped = [(column, group, _with_entities(convert)) for column, group, convert in others]


def cut(source: str, fields: frozenset[str]) -> Sample | None:
    """An object's source cut up, or None where the way it is written cannot be learned.

    The source is one that the general reader has read.
    """
    tokens = _tokens(source)
    if tokens is None:
        return None
    frame, forms, path, index = [""], list[Form](), list[str](), 0
    while index < len(tokens):
        token = tokens[index]
        if path[-2:] in (["Obj", "Props"], ["Obj", "MS"]) and token.opens:
            end = _end(tokens, index)
            name = _NAME.search(token.attributes)
            form = _form(tokens[index:end], wanted=name is not None and text(name[1]) in fields)
            if name is None or form is None:
                return None
            forms.append(form)
            frame += [text(name[1]), _GAP if tokens[end - 1].gap else ""]
            index = end
            continue
        frame[-1] += token.pattern + (_GAP if token.gap else "")
        path += [token.name] if token.opens else []
        if token.closes:
            path.pop()
        index += 1
    names = [name for name in frame[1::2] if name in fields]
    return Sample(tuple(frame), tuple(forms)) if len(names) == len(set(names)) else None


def entities(raw: str) -> str:
    """A text without XML's five entities."""
    return _ENTITY.sub(lambda found: _ENTITIES[found[1]], raw) if "&" in raw else raw


def strings(raw: str) -> Value:
    """The items of a list of strings, from their source. Entities go last: an item may spell a tag."""
    return [text(entities(item)) for item in raw[3:-4].split("</S><S>")] if raw else []


def _with_entities(convert: Convert) -> Convert:
    return convert if convert is strings else lambda raw: convert(entities(raw))


def _tokens(source: str) -> list[_Token] | None:
    """The tags of a source in order, or None where it has something that is not learned: comments, prefixes, quotes."""
    tokens: list[_Token] = []
    position = depth = 0
    while position < len(source):
        token, position = _token(source, position, depth)
        if token is None:
            return None
        depth += token.opens - token.closes
        if token.gap and not depth:
            return None
        tokens.append(token)
    return tokens


def _token(source: str, position: int, depth: int) -> tuple[_Token | None, int]:
    for name, pattern, expression in _REPEATED:
        if repeated := expression.match(source, position):
            return _Token(True, True, name, depth, "", pattern, bool(repeated[2])), repeated.end()
    tag = _TAG.match(source, position)
    if tag is None or any(space != NAMESPACE for space in _SPACE.findall(tag[3])):
        return None, position
    closing, name, attributes, alone, after = tag.groups()
    literal = "[0-9]++".join(re.escape(part) for part in _REFERENCE.sub(' RefId="\0"', attributes).split("\0"))
    pattern = f"<{closing}{name}{literal}{alone or ''}>"
    gap = bool(after) or (source.startswith(f"</{name}>", tag.end()) and not closing and not alone)
    return _Token(not closing, bool(closing or alone), name, depth, attributes, pattern, gap), tag.end()


def _end(tokens: Sequence[_Token], start: int) -> int:
    """The index after the element that opens at ``start``."""
    index, depth = start, 0
    while True:
        depth += tokens[index].opens - tokens[index].closes
        index += 1
        if not depth:
            return index


def _form(tokens: Sequence[_Token], *, wanted: bool) -> Form | None:
    """How one property is written, or None for a wanted one whose value cannot be taken out of its text."""
    convert, at = _value_place(tokens) if wanted else (None, -1)
    if wanted and convert is None and tokens[0].name != "Nil":
        return None
    pattern = ""
    for index, token in enumerate(tokens):
        gap = _GAP if token.gap and index < len(tokens) - 1 else ""
        if index != at:
            pattern += token.pattern + gap
        elif token.pattern == _STRINGS:
            pattern += _STRINGS_GROUP + gap
        elif token.closes:
            pattern += f"{token.pattern}(){gap}"
        else:
            pattern += f"{token.pattern}({gap})"
    return Form(pattern, convert)


def _value_place(tokens: Sequence[_Token]) -> tuple[Convert | None, int]:
    """What makes the value of a property, and the index of the token that it follows (or, for a list, is)."""
    first = tokens[0]
    if first.name != "Obj":
        single = len(tokens) == 1 + (not first.closes) and first.name not in {"Ref", "PR", "Nil"}
        return (CONVERTERS.get(first.name, text), 0) if single else (None, -1)
    inner = [(index, token) for index, token in enumerate(tokens) if token.depth == first.depth + 1 and token.opens]
    values = [(index, token) for index, token in inner if token.name not in PARTS]
    shown = [index for index, token in inner if token.name == "ToString"]
    if len(values) == 1 and values[0][1].name == "LST":
        index, token = values[0]
        return (strings, index) if token.closes else (None, -1)
    if len(shown) == 1 and len(values) < 2 and not any(token.name in COLLECTIONS for _, token in values):
        plain = tokens[shown[0]].closes or tokens[shown[0] + 1].closes
        return (text, shown[0]) if plain else (None, -1)
    return None, -1
