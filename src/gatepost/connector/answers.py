"""What answers at the service's address, read: values of the contract, or an error of ours, and nothing else.

Every answer is foreign until it was read here. JSON may be nested past all reason, numbers may be infinite or have
hundreds of digits, fields may be missing or of another type: all of that is "this is not the service".
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar

from gatepost.connector.keys import Certificate, raw_key
from gatepost.domain.contract import Answer, ContractError, read_answer
from gatepost.errors import AnswerUnsigned, ServiceRefused, ServiceUnreachable

T = TypeVar("T")

LONGEST_PAUSE = 300.0  # seconds; no answer makes a connector wait for longer
DEEPEST = 20
MOST = 2**63 - 1  # what the store can hold
WORDS = 500  # characters of an explanation that are passed on
YEARS = range(2020, 2200)  # a clock outside of these is not a service's
BUSY = (429, 503)
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Head:
    """What a held-open request tells: that there may be something to do, in which history of the database."""

    incarnation: str
    revision: int
    orders: int
    sync: str
    lease_seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What the service takes a connector for: its organization by name, its state and epoch, at the service's time."""

    organization: str
    state: str
    epoch: int
    server_time: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a ticket paid for; ``service_key`` is what the service signs with, base64, and ``certificate`` PEM."""

    tenant: str
    organization: str
    organization_name: str
    connector: str
    epoch: int
    incarnation: str
    service_key: str
    certificate: str


def read(body: bytes, reader: Callable[[Mapping[str, Any]], T]) -> T:
    """A JSON object through its reader. Raises ServiceUnreachable where either cannot make sense of it."""
    try:
        return reader(_object(body))
    except ContractError as error:
        raise not_the_service(str(error)) from error
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise not_the_service(f"its answer is malformed ({type(error).__name__})") from error


def answer(body: bytes) -> Answer:
    """The answer to a check-in."""
    return read(body, lambda _: read_answer(body))


def head(raw: Mapping[str, Any]) -> Head:
    """The answer to a wait."""
    incarnation, sync = _text(raw, "incarnation"), _text(raw, "sync")
    return Head(incarnation, whole(raw, "revision"), whole(raw, "orders"), sync, whole(raw, "lease_seconds"))


def standing(raw: Mapping[str, Any]) -> Standing:
    """The answer to who this connector is taken for."""
    name = raw.get("organization")
    if not isinstance(name, str) or len(name) > WORDS or not name.isprintable():
        raise ContractError("organization", "expected a short text")
    return Standing(name, _text(raw, "state"), whole(raw, "epoch"), moment(raw))


def enrolment(raw: Mapping[str, Any]) -> Enrolment:
    """The answer to an enrolment; most of it travels in headers later."""
    texts = {name: _text(raw, name) for name in ("tenant", "organization", "connector", "incarnation", "service_key")}
    name = raw.get("organization_name")
    if not isinstance(name, str) or len(name) > WORDS or not name.isprintable():
        raise ContractError("organization_name", "expected a short text")
    return Enrolment(**texts, organization_name=name, epoch=whole(raw, "epoch"), certificate=certificate(raw))


def certificate(raw: Mapping[str, Any]) -> str:
    """The certificate in an answer, as PEM. Raises ContractError where there is none."""
    text = raw.get("certificate")
    try:
        Certificate(str(text))
    except ValueError as error:
        raise ContractError("certificate", "expected a certificate in PEM") from error
    return str(text)


def service_key(raw: Mapping[str, Any]) -> bytes:
    """The key that an answer to an enrolment says it is signed with. Raises ContractError."""
    try:
        return raw_key(_text(raw, "service_key"))
    except ValueError as error:
        raise ContractError("service_key", "expected a public key") from error


def unsigned(status: int, media: str, retry_after: str | None) -> NoReturn:
    """Raise what an answer stands for that the service has not signed: nothing that it says is believed.

    A proxy may say that it is busy, or cannot reach the service: that only makes us try again.
    """
    if status >= 500 or status in BUSY:
        raise ServiceUnreachable(
            f"What answers at the service's address fails with status {status}.",
            "It is tried again.",
            retry_after=_retry_after(retry_after),
        )
    shown = media.partition(";")[0].strip()[:40]
    raise AnswerUnsigned(status, f"status {status}, {shown if shown.isprintable() and shown else 'of no type'}")


def problem(status: int, media: str, retry_after: str | None, body: bytes) -> NoReturn:
    """Raise what an answer other than 200 stands for."""
    spoken = media.partition(";")[0].strip().lower() == PROBLEM
    if status >= 500 or status in BUSY:
        why = read(body, _detail) if spoken else ""
        raise ServiceUnreachable(
            f"The service answers with status {status}{': ' if why else '.'}{why}",
            "It is tried again.",
            retry_after=_retry_after(retry_after),
        )
    if not spoken:
        raise not_the_service(f"status {status} came without a problem document")
    raise read(body, lambda raw: ServiceRefused(status, _type(raw), _detail(raw), dict(raw)))


def whole(raw: Mapping[str, Any], name: str, least: int = 0) -> int:
    """A whole number that the store can hold. Raises ContractError."""
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
        raise ContractError(name, f"expected a whole number from {least}")
    return value


def moment(raw: Mapping[str, Any]) -> datetime:
    """The service's time, in UTC. Raises ServiceUnreachable where it names none, or none of our days."""
    try:
        found = datetime.fromisoformat(raw["server_time"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise not_the_service("it calls our clock wrong and names no time") from error
    if found.year not in YEARS:
        raise not_the_service(f"its clock says {found.year}")
    return found


def seconds(value: object) -> float | None:
    """A pause that the service asks for: finite, from 0 to five minutes; None where it is none, or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return float(min(max(value, 0), LONGEST_PAUSE))


def not_the_service(why: str) -> ServiceUnreachable:
    """The error for what is not the service's word."""
    return ServiceUnreachable(
        f"What answers at the service's address does not speak like the service: {why}.",
        "Check the url, and whether a proxy answers in its place.",
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise not_the_service("its answer is not JSON") from error
    if not isinstance(raw, dict):
        raise not_the_service("its answer is not an object")
    _check_depth(raw)
    return raw


def _check_depth(value: object, depth: int = 0) -> None:
    """Refuse what later code could not walk or write."""
    if depth > DEEPEST:
        raise not_the_service(f"its answer is nested deeper than {DEEPEST} levels")
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, depth + 1)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= WORDS or not (value.isascii() and value.isprintable()):
        raise ContractError(name, "expected a short text")
    return value


def _type(raw: Mapping[str, Any]) -> str:
    """The word of a problem; it may stand at the end of an address."""
    return _shown(str(raw.get("type", "")).rstrip("/").rpartition("/")[2])


def _detail(raw: Mapping[str, Any]) -> str:
    return _shown(str(raw.get("detail", raw.get("title", ""))))


def _shown(text: str) -> str:
    """Words as they may stand in a terminal: what would steer it is a space."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:WORDS])


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, in either of its forms; None where it says nothing."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return seconds(float(value))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return seconds((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None
