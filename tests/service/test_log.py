"""No secret stands in the log, whoever writes it."""

import json
import logging
from collections.abc import Iterator

import pytest

from gatepost.errors import DatabaseError, SettingsError
from gatepost.service import log

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def fail() -> None:
    """An error of ours that comes from a foreign one."""
    try:
        int("the value was private")
    except ValueError as error:
        raise DatabaseError("It cannot be reached.", "Look.") from error


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_struck_out_of_what_anybody_logs(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A known password, one in an address, one that is assigned; in messages and in what errors say."""
    log.start(form, [SECRET, "abc"])
    foreign = logging.getLogger("somebody.else")
    foreign.warning("it is %s, at postgresql://role:hush@host/db?password=quiet", SECRET)
    foreign.info("Authorization: Bearer Bearer0123")
    try:
        fail()
    except DatabaseError:
        foreign.exception("failed with %s", SECRET)
    told = capsys.readouterr().err
    for secret in (SECRET, "hush", "quiet", "Bearer0123", "private"):
        assert secret not in told
    assert "postgresql://role:[secret]@host" in told
    assert "It cannot be reached." in told
    assert "builtins.ValueError" in told


def test_a_record_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With its moment, level, logger and event; a line end in a message does not end the line."""
    log.start("json")
    logging.getLogger("gatepost.service").info("first\nsecond")
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"], told["event"]) == ("info", "gatepost.service", "first\nsecond")
    assert told["at"].endswith("Z")


def test_a_format_that_is_none_is_told() -> None:
    """In words."""
    with pytest.raises(SettingsError, match="--log-format is 'xml'"):
        log.start("xml")
