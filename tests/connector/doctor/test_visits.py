"""The doctor beside a running connector: one visit at a time, delaying nobody, and small enough to travel."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from gatepost.connector.doctor.visits import LONGEST_TEXT, MOST_CHECKS, Visits, document
from gatepost.domain.checks import Check, Level
from gatepost.domain.fields import dumps
from tests.fixtures.site import Site

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = Check("python", Level.GOOD, "Python runs.")


def test_one_visit_at_a_time_and_nobody_waits_for_it() -> None:
    """Asked again meanwhile, nothing begins; when it is through, what it found is there and somebody is told."""
    go, told = threading.Event(), threading.Event()

    def look(_: Callable[[Callable[[], None]], None]) -> Iterator[Check]:
        go.wait(10)
        yield GOOD

    visits = Visits(look, told.set)
    assert not visits.ask(), "before the start nobody visits"
    visits.start()
    assert not visits.ask()
    assert visits.told == {}
    go.set()
    assert told.wait(10)
    visits.wait(10)
    assert [check["name"] for check in visits.told["checks"]] == ["python"]
    assert visits.ask()


def test_closing_ends_the_visit_that_is_under_way() -> None:
    """What it would have found is not told any more, and no other begins."""
    ended = threading.Event()

    def look(began: Callable[[Callable[[], None]], None]) -> Iterator[Check]:
        began(ended.set)
        assert ended.wait(10)
        yield GOOD

    visits = Visits(look)
    visits.start()
    visits.close().join(10)
    visits.wait(10)
    assert ended.is_set()
    assert visits.told == {}
    assert not visits.ask()


def test_what_travels_is_bounded() -> None:
    """Texts are cut, good checks give way to bad ones, and empty texts are left out."""
    many = [Check(f"good-{number}", Level.GOOD, "x" * 5_000) for number in range(100)]
    found = document([*many, Check("bad", Level.BAD, "y", "z", "w")], NOON)
    assert found["at"] == "2026-11-23T12:00:00Z"
    assert len(found["checks"]) == MOST_CHECKS
    assert found["checks"][0] == {"name": "bad", "level": "bad", "what": "y", "why": "z", "remedy": "w"}
    assert found["checks"][1] == {"name": "good-0", "level": "good", "what": "x" * LONGEST_TEXT}
    [wordy] = document([Check("rights-extra", Level.WARNING, "Set-CASMailbox, " * 99)], NOON)["checks"]
    assert len(wordy["what"]) <= LONGEST_TEXT
    assert wordy["what"].endswith("Set-CASMailbox …")  # no word is cut
    assert len(dumps(found)) < 40_000


def test_a_running_connector_tells_the_service_what_the_doctor_found(site: Site) -> None:
    """From its start on, with the next check-in, without a write at Exchange."""
    running = site.connector("run")
    try:
        until = time.monotonic() + 60
        while not (told := _told(site)) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        running.terminate()
        running.communicate(timeout=30)
    names = {check["name"]: check["level"] for check in told}
    assert names["service-signature"] == "good"
    assert names["rights-read"] == "good"
    assert site.writes() == []


def _told(site: Site) -> list[dict[str, str]]:
    """The checks that the service was told of."""
    rows = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    return [check for row in rows for check in (row["status"] or {}).get("doctor", {}).get("checks", [])]
