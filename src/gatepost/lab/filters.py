"""OPATH, the filter language of Exchange's ``-Filter``: text becomes a predicate on rows.

    filter     = and-chain { "-or" and-chain }
    and-chain  = term { "-and" term }
    term       = "-not" term | "(" filter ")" | property operator value
    operator   = -eq -ne -gt -ge -lt -le -like -notlike
    value      = 'text' | "text" | $true | $false | $null | number | bare word

Text compares without regard to case; ``-like`` knows ``*``. A list matches when one of its entries does.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from operator import attrgetter, ge, gt, le, lt
from typing import Any

from gatepost.lab.clixml import SERVER_OFFSET_HOURS, Kind, Property
from gatepost.lab.rows import TICKS

Predicate = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<open>\()|(?P<close>\))
    | (?P<operator>-[A-Za-z]+)
    | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<word>[^\s()'"]+)
    )""",
    re.VERBOSE,
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {"-gt": gt, "-ge": ge, "-lt": lt, "-le": le}
_MOMENTS = {Kind.TIME_UTC, Kind.TIME_LOCAL}
_OPERATORS = {"-eq", "-ne", "-like", "-notlike", *_ORDER}
_TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y")


class FilterError(ValueError):
    """The filter cannot be read; ``place`` is where in the text."""

    def __init__(self, problem: str, place: int) -> None:
        self.problem = problem
        self.place = place
        super().__init__(problem)


def compile_filter(text: str, properties: Iterable[Property], times: str = "as written") -> Predicate:
    """The predicate of a filter over rows that have these properties. Raises FilterError.

    ``times`` is a dialect's ``time_filters``.
    """
    return _Parser(text, {prop.name.lower(): prop for prop in properties if prop.filterable}, times).parse()


class _Parser:
    """A parser by descent over the tokens of one filter."""

    def __init__(self, text: str, properties: dict[str, Property], times: str) -> None:
        self.properties = properties
        self.times = times
        self.length = len(text)
        self.tokens = _tokens(
            text.strip().removeprefix("{").removesuffix("}") if text.lstrip().startswith("{") else text
        )
        self.at = 0

    def parse(self) -> Predicate:
        predicate = self._any()
        if self.at < len(self.tokens):
            raise FilterError(f"Unexpected {self.tokens[self.at][1]!r}.", self.tokens[self.at][2])
        return predicate

    def _peek(self) -> str:
        return self.tokens[self.at][1].lower() if self.at < len(self.tokens) else ""

    def _take(self, wanted: str) -> tuple[str, str, int]:
        if self.at >= len(self.tokens):
            raise FilterError(f"The filter ends where {wanted} should stand.", self.length)
        self.at += 1
        return self.tokens[self.at - 1]

    def _any(self) -> Predicate:
        parts = [self._all()]
        while self._peek() == "-or":
            self.at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self) -> Predicate:
        parts = [self._term()]
        while self._peek() == "-and":
            self.at += 1
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _term(self) -> Predicate:
        kind, text, place = self._take("a comparison")
        if text.lower() == "-not":
            inner = self._term()
            return lambda row: not inner(row)
        if kind == "open":
            inner = self._any()
            if self._take("')'")[0] != "close":
                raise FilterError("A parenthesis is not closed.", place)
            return inner
        if kind != "word":
            raise FilterError(f"Unexpected {text!r}.", place)
        return self._comparison(text, place)

    def _comparison(self, name: str, place: int) -> Predicate:
        prop = self.properties.get(name.lower())
        if prop is None:
            raise FilterError(f'"{name}" is not a recognized filterable property.', place)
        kind, operator, operator_place = self._take("an operator")
        if kind != "operator" or operator.lower() not in _OPERATORS:
            raise FilterError(f"{operator!r} is not an operator.", operator_place)
        value_kind, value, value_place = self._take("a value")
        if value_kind not in {"quoted", "word"}:
            raise FilterError(f"{value!r} is not a value.", value_place)
        wanted = _value(prop, value_kind, value, value_place)
        if prop.kind in _MOMENTS and self.times != "as written":
            if self.times == "refused":
                raise FilterError(f'"{name}" is not a recognized filterable property.', place)
            if self.times == "ignored":
                return lambda _row: True
            wanted = wanted + SERVER_OFFSET_HOURS * 3_600 * TICKS if isinstance(wanted, int) else wanted
        return _compare(prop, operator.lower(), wanted, value_place)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """The filter's tokens with their kinds and places."""
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise FilterError("A quotation is not closed.", at)
        found.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return found


def _value(prop: Property, kind: str, text: str, place: int) -> object:
    """A token as a value of the property's kind."""
    if kind == "quoted":
        quote = text[0]
        text = text[1:-1].replace(quote * 2, quote)
    constant = {"$true": True, "$false": False, "$null": None}.get(text.lower(), text)
    if not isinstance(constant, str):
        return constant
    if prop.kind in _MOMENTS:
        return parse_time(constant, place)
    if prop.kind is Kind.BOOLEAN:
        return constant.lower() in {"true", "1"}
    return constant.casefold()


def parse_time(text: str, place: int = 0) -> int:
    """A moment in ticks; text without a zone counts as UTC."""
    plain = text.strip()
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        moment = _american_time(plain, place)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * TICKS + since.microseconds * 10


def _american_time(text: str, place: int) -> datetime:
    for form in _TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise FilterError(f"{text!r} is not a date and time.", place)


def _compare(prop: Property, operator: str, wanted: Any, place: int) -> Predicate:  # noqa: ANN401 - any kind
    """The predicate of one comparison."""
    fetch = attrgetter(prop.attribute)
    if operator in _ORDER:
        if wanted is None:
            raise FilterError(f"{operator} needs a value.", place)
        order = _ORDER[operator]
        return lambda row: (value := _plain(fetch(row))) is not None and order(value, wanted)
    if operator in {"-like", "-notlike"}:
        matches = re.compile(".*".join(map(re.escape, str(wanted).split("*"))), re.DOTALL).fullmatch
        if operator == "-like":
            return lambda row: any(matches(str(value)) for value in _each(fetch(row)))
        return lambda row: not any(matches(str(value)) for value in _each(fetch(row)))
    if operator == "-eq":
        return lambda row: _equals(fetch(row), wanted)
    return lambda row: not _equals(fetch(row), wanted)


def _plain(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _each(value: object) -> list[object]:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return [] if value is None else [_plain(value)]


def _equals(value: object, wanted: object) -> bool:
    """Equality as the directory has it: null and empty text are both "not set"."""
    if wanted is None or wanted == "":
        return value in (None, "", ())
    if isinstance(value, tuple):
        return wanted in _each(value)
    return _plain(value) == wanted
