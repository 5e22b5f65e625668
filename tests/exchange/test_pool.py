"""Sessions shared by threads, on a real endpoint: bounded, in turns, recycled, closed whatever happens."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from gatepost.errors import (
    CmdletFailed,
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    SessionLost,
    SignInRefused,
    WireError,
    WriteRefused,
)
from gatepost.exchange import pool as pools
from gatepost.exchange.pool import Pool
from gatepost.exchange.sessions import Session
from gatepost.exchange.transport import NotSent
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.lab.signin import Accounts
from gatepost.wire.creating import Command
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab

SERVERS = Command("Get-ExchangeServer")
DEVICES = Command("Get-MobileDevice", {"ResultSize": "Unlimited"})
VIEW = Command("Set-ADServerSettings", {"ViewEntireForest": True})


@contextmanager
def opened(lab: Lab, **changes: Any) -> Iterator[Pool]:
    """A pool on a lab; no shell is left when it is closed."""
    pool = Pool(settings_of(lab, **changes), lab.password)
    try:
        yield pool
    finally:
        pool.close()
    assert len(lab.shells) == 0


def ask(session: Session, _: object = None) -> int:
    """A small read: how many servers there are."""
    return len(session.objects(SERVERS))


def preparing(command: Command) -> Callable[[Session], None]:
    """What prepares a session by one command."""

    def prepare(session: Session) -> None:
        session.objects(command)

    return prepare


def listed(session: Session) -> Iterator[bytes]:
    """A bulk listing."""
    for batch in session.output(DEVICES):
        yield from batch


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, at most five seconds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def shells_of(lab: Lab) -> set[str]:
    """The shells in which cmdlets were run."""
    return {call.shell for call in lab.calls}


def test_a_session_is_used_again(make_lab: MakeLab) -> None:
    """Work one after the other needs one shell, prepared once."""
    lab = make_lab()
    with opened(lab) as pool:
        pool.prepare_by(preparing(VIEW))
        assert [pool.read(ask), pool.write(ask), pool.read(ask)] == [3, 3, 3]
        assert len(list(pool.stream(listed))) > 0
        assert pool.server == "localhost"
    assert len(shells_of(lab)) == 1
    assert [call.cmdlet for call in lab.calls].count(VIEW.name) == 1


def test_a_session_whose_cmdlet_failed_is_kept(make_lab: MakeLab) -> None:
    """An object that is not there says nothing of the session; anything else that goes wrong ends it."""
    lab = make_lab()
    with opened(lab) as pool:
        with pytest.raises(CmdletFailed):
            pool.read(lambda session: session.objects(Command("Get-MobileDevice", {"Identity": "nobody"})))
        pool.read(ask)
        assert len(shells_of(lab)) == 1
        with pytest.raises(ZeroDivisionError), pool.session() as session:
            assert ask(session) / 0
        pool.read(ask)
    assert len(shells_of(lab)) == 2


@pytest.mark.parametrize("auth", ["basic", "negotiate", "sealed"])
def test_a_session_whose_permit_says_not_now_is_kept(make_lab: MakeLab, auth: str) -> None:
    """Nothing was sent, so it serves the next command; a seal or half a sign-in that the server never saw is forgotten.

    A shell takes a while to open, and what came too late once would come too late again for it.
    """
    lab = make_lab()

    def not_now() -> None:
        raise NotSent

    sealed = {"auth": "negotiate", "url": lab.http_url} if auth == "sealed" else {"auth": auth}
    with opened(lab, **sealed) as pool:
        pool.read(ask)
        with pytest.raises(NotSent):
            pool.write(lambda session: session.objects(VIEW, permit=not_now))
        assert [pool.read(ask), pool.write(ask)] == [3, 3]
    assert len(shells_of(lab)) == 1
    assert VIEW.name not in [call.cmdlet for call in lab.calls]


def test_a_command_that_was_half_sent_when_it_was_not_now_any_more_is_ended(make_lab: MakeLab) -> None:
    """It is longer than one message; its session serves on, and nothing of it is left there."""
    lab = make_lab()
    long = Command(VIEW.name, {"RecipientViewRoot": "x" * 100_000})
    asked: list[int] = []

    def not_now() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise NotSent

    with opened(lab) as pool:
        pool.read(ask)
        with pytest.raises(NotSent):
            pool.write(lambda session: session.objects(long, permit=not_now))
        assert [pool.read(ask), pool.write(ask)] == [3, 3]
        [shell] = lab.shells._all()
        assert (len(asked), shell._commands) == (2, {})


def test_what_begins_when_its_time_is_over_is_not_sent(make_lab: MakeLab) -> None:
    """However quickly the server would answer: no permit is asked, and no byte leaves."""
    lab, asked = make_lab(), list[int]()
    with opened(lab) as pool:

        def late(session: Session) -> None:
            with session.within(0):
                session.objects(VIEW, permit=lambda: asked.append(1))

        pool.read(ask)
        with pytest.raises(ExchangeUnreachable, match="took longer than 0 seconds"):
            pool.write(late)
    assert (asked, [call.cmdlet for call in lab.calls if call.cmdlet == VIEW.name]) == ([], [])


def test_a_session_that_cannot_be_prepared_is_closed(make_lab: MakeLab) -> None:
    """And the error comes out."""
    lab = make_lab()
    with opened(lab) as pool:
        pool.prepare_by(preparing(Command("Get-Nothing")))
        with pytest.raises(ExchangeError, match="Get-Nothing"):
            pool.read(ask)
        assert len(lab.shells) == 0


def test_an_old_session_is_recycled(make_lab: MakeLab) -> None:
    """Before Exchange would end it by itself."""
    lab = make_lab()
    with opened(lab, recycle_after=0.05) as pool:
        pool.read(ask)
        time.sleep(0.06)
        pool.read(ask)
    assert len(shells_of(lab)) == 2


@pytest.mark.parametrize(("idle", "shells"), [(10.0, 1), (pools.FRESH_SECONDS + 1, 2)])
def test_a_write_takes_a_session_that_is_surely_open(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, idle: float, shells: int
) -> None:
    """One that was idle for a while may be gone at Exchange, and a write is not repeated."""
    lab = make_lab()
    with opened(lab, runspaces=1) as pool:
        pool.read(ask)
        now = time.monotonic() + idle
        monkeypatch.setattr("gatepost.exchange.pool.time.monotonic", lambda: now)
        pool.write(ask)
        monkeypatch.undo()
        assert len(lab.shells) == 1
    assert len(shells_of(lab)) == shells


def test_a_lost_session_costs_a_read_nothing_and_a_write_everything(make_lab: MakeLab) -> None:
    """Reads are repeated in a new session; a write's work is begun once."""
    lab = make_lab()
    begun = []

    def write(session: Session) -> int:
        begun.append(session)
        return ask(session)

    with opened(lab) as pool:
        pool.read(ask)
        lab.shells.close()
        assert pool.read(ask) == 3
        lab.shells.close()
        with pytest.raises(SessionLost):
            pool.write(write)
        assert len(begun) == 1
        assert pool.write(write) == 3


def test_a_stream_is_repeated_until_something_was_given_out(make_lab: MakeLab) -> None:
    """At its beginning nobody knows yet that it failed; later the one who reads must know."""
    lab = make_lab(devices=600)
    with opened(lab, envelope=40_000) as pool:
        lab.faults.plan(Fault.RESET, times=1)
        assert len(set(pool.stream(listed))) == len(list(pool.stream(listed)))
        lab.faults.plan(Fault.RESET, times=1, after=2)
        got: list[bytes] = []
        with pytest.raises(ExchangeError, match="localhost"):
            got.extend(pool.stream(listed))
    assert lab.faults.struck[Fault.RESET] == 2


def test_many_threads_stay_inside_the_budget(make_lab: MakeLab) -> None:
    """Forty threads, six sessions: never more shells than that, and everybody is served."""
    lab = make_lab(latency=0.005)
    most = 0

    def work(_: int) -> int:
        nonlocal most
        result = pool.read(ask)
        most = max(most, len(lab.shells))
        return result

    with opened(lab) as pool, ThreadPoolExecutor(40) as crew:
        assert list(crew.map(work, range(200))) == [3] * 200
    assert 1 < most <= 6


def test_too_many_shells_means_fewer_of_them(make_lab: MakeLab) -> None:
    """Where Exchange gives three, three are used, by as many threads as there are; nothing fails."""
    lab = make_lab(latency=0.005, max_shells=3)
    with opened(lab) as pool, ThreadPoolExecutor(12) as crew:
        assert list(crew.map(lambda _: pool.read(ask), range(120))) == [3] * 120
        assert len(lab.shells) <= 3


def test_chaos(make_lab: MakeLab) -> None:
    """Threads that read, write, list and leave, faults that come and go, few shells: all ends, nothing leaks."""
    lab = make_lab(devices=300, max_shells=4)
    faults = (Fault.RESET, Fault.SHELL_LOST, Fault.HTML_500, Fault.TRUNCATED_FRAGMENT, Fault.LOST_AFFINITY)
    outcomes: list[object] = []

    def work(number: int) -> object:
        lab.faults.plan(faults[number % len(faults)], times=1, after=number % 7)
        try:
            match number % 4:
                case 0:
                    return next(pool.stream(listed))
                case 1:
                    return pool.write(ask)
                case 2:
                    return [result for _, result in pool.each(ask, range(5))]
                case _:
                    return pool.read(ask)
        except (ExchangeError, WireError) as error:
            return error

    with opened(lab, envelope=40_000) as pool:
        with ThreadPoolExecutor(10) as crew:
            outcomes += crew.map(work, range(80))
        lab.faults.clear()
    good = [outcome for outcome in outcomes if not isinstance(outcome, ExchangeError | WireError)]
    assert len(outcomes) == 80
    assert len(good) > 40
    assert sum(lab.faults.struck.values()) > 10


def test_each_gives_every_item_with_its_result(make_lab: MakeLab) -> None:
    """In parallel, items read as they are needed, an error with the item that met it."""
    lab = make_lab(latency=0.02)
    read = []

    def items() -> Iterator[str]:
        for number in range(60):
            read.append(number)
            yield "nobody" if number % 10 == 0 else "EX01"

    def look(session: Session, name: str) -> int:
        cmdlet = "Get-MobileDevice" if name == "nobody" else SERVERS.name
        return len(session.objects(Command(cmdlet, {"Identity": name} if name == "nobody" else {})))

    with opened(lab) as pool:
        found = pool.each(look, items())
        first = next(found)
        assert len(read) < 20
        everything = [first, *found]
        assert 1 < len(shells_of(lab)) <= 5
    assert len(everything) == 60
    assert sum(isinstance(result, CmdletFailed) for _, result in everything) == 6
    assert {item for item, result in everything if isinstance(result, CmdletFailed)} == {"nobody"}


def test_each_leaves_room_for_others(make_lab: MakeLab) -> None:
    """While many statistics are read, a listing begins at once: one session is not theirs."""
    lab = make_lab(latency=0.01)
    with opened(lab, runspaces=2) as pool:
        going = pool.each(ask, range(10_000))
        next(going)
        begun = time.monotonic()
        assert len(list(pool.stream(listed))) > 0
        assert pool.write(ask) == 3
        assert time.monotonic() - begun < 10
        going.close()


def test_a_wait_is_served_in_order_of_arrival(make_lab: MakeLab) -> None:
    """With one session and busy readers, who comes is next after those before: nobody starves."""
    lab = make_lab()
    order: list[str] = []

    def note(name: str, _: Session) -> None:
        order.append(name)

    with opened(lab, runspaces=1) as pool:
        with pool.session():
            waiting = []
            for name in "abcdef":
                thread = threading.Thread(target=pool.read, args=(partial(note, name),))
                thread.start()
                waiting.append(thread)
                wait_for(lambda: pool._turns.waiting == len(waiting))
        for thread in waiting:
            thread.join()
    assert order == list("abcdef")


def test_a_thread_never_waits_for_itself(make_lab: MakeLab) -> None:
    """Who reads within a listing gets a session beside the one it holds, even where there is one only."""
    lab = make_lab()
    with opened(lab, runspaces=1) as pool, pool.session() as outer:
        assert pool.read(ask) == ask(outer)
    assert len(shells_of(lab)) == 2


def test_who_leaves_each_does_not_wait(make_lab: MakeLab) -> None:
    """Cmdlets that never answer are cut off, in a moment, and their shells are deleted."""
    lab = make_lab()
    with opened(lab) as pool:
        lab.faults.plan(Fault.SILENT, after=1)
        found = pool.each(ask, range(100))
        next(found)
        wait_for(lambda: lab.faults.struck[Fault.SILENT] >= 5)
        begun = time.monotonic()
        found.close()
        assert time.monotonic() - begun < 5
        lab.faults.clear()
        assert pool.read(ask) == 3


def test_who_joins_the_dismissed_late_is_dismissed_too(make_lab: MakeLab) -> None:
    """A worker that starts while its crew is sent home asks Exchange for nothing; afterwards it may."""
    lab = make_lab()
    crew: set[int] = set()
    with opened(lab) as pool:
        with pool._dismissing(crew), pool._dismissing(set()):
            crew.add(threading.get_ident())
            with pytest.raises(SessionLost, match="was ended from this side"):
                pool.read(ask)
        assert not lab.calls
        assert pool.read(ask) == 3


def test_a_probe_that_is_called_away_keeps_nobody_out(make_lab: MakeLab) -> None:
    """A server that was away is asked by one thread; if that one is dismissed, the next one asks at once."""
    lab = make_lab()
    with opened(lab, timeout=5.0) as pool:
        for _ in range(3):
            pool._servers.failed("localhost", ExchangeUnreachable("it is down."), time.monotonic() - 10.0)
        lab.faults.plan(Fault.HANG, times=1)
        crew: set[int] = set()
        failed: list[str] = []

        def probe() -> None:
            crew.add(threading.get_ident())
            with pytest.raises(SessionLost) as caught:
                pool.read(ask)
            failed.append(str(caught.value))

        thread = threading.Thread(target=probe)
        thread.start()
        wait_for(lambda: lab.faults.struck[Fault.HANG] == 1)
        with pool._dismissing(crew):
            thread.join(10)
        assert not thread.is_alive()
        assert pool.read(ask) == 3
    assert failed == ["The work with localhost was ended from this side."]


def test_close_while_sessions_are_opened_leaves_none(make_lab: MakeLab) -> None:
    """Whatever the moment: all work ends at once and says why, and no shell is left, at a server that hangs too."""
    lab = make_lab(devices=5)
    for number in range(10):
        lab.faults.plan(Fault.HANG, after=number, times=1)
        pool = Pool(settings_of(lab, timeout=30.0), lab.password)
        with ThreadPoolExecutor(6) as crew:
            work = [crew.submit(read_on, pool) for _ in range(6)]
            wait_for(lambda: Fault.HANG not in lab.faults)
            begun = time.monotonic()
            pool.close()
            assert {str(each.exception(20)) for each in work} == {"The work with localhost was ended from this side."}
        assert time.monotonic() - begun < 6
        assert not pool._out
        assert len(lab.shells) == 0


def read_on(pool: Pool) -> None:
    """Read for ever."""
    while True:
        pool.read(ask)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_close_ends_a_silent_read_of_another_thread(make_lab: MakeLab, scheme: str) -> None:
    """At once, by an error that says who ended it; those who wait for a turn hear the same."""
    lab = make_lab(faults=frozenset({Fault.SILENT}))
    errors: list[str] = []

    def read() -> None:
        with pytest.raises(SessionLost) as caught:
            pool.read(ask)
        errors.append(str(caught.value))

    auth = {"url": lab.http_url, "auth": "negotiate"} if scheme == "http" else {}
    with opened(lab, runspaces=1, **auth) as pool:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda: lab.faults.struck[Fault.SILENT] == 1 and pool._turns.waiting == 2)
        begun = time.monotonic()
        pool.close()
        for thread in threads:
            thread.join()
        assert time.monotonic() - begun < 5
    assert errors == ["The work with localhost was ended from this side."] * 3


def test_close_takes_the_session_of_a_listing_that_nobody_reads_on(make_lab: MakeLab) -> None:
    """A generator that is kept and not finished holds no shell after its pool is closed."""
    lab = make_lab(devices=600)
    with opened(lab, envelope=40_000) as pool:
        kept = pool.stream(listed)
        next(kept)
        assert len(lab.shells) == 1
        pool.close()
        assert len(lab.shells) == 0
        with pytest.raises(ExchangeError):
            list(kept)
        with pytest.raises(SessionLost, match="was ended from this side"):
            pool.read(ask)


def test_a_throttled_account_is_given_time(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Exchange asks for is waited for, by everybody, and the read succeeds."""
    monkeypatch.setattr("gatepost.lab.operations.THROTTLE", 400)
    lab = make_lab()
    with opened(lab) as pool:
        pool.read(ask)
        lab.faults.plan(Fault.THROTTLED, times=1)
        begun = time.monotonic()
        assert [result for _, result in pool.each(ask, range(4))] == [3] * 4
        assert 0.4 <= time.monotonic() - begun < 5
        assert lab.faults.struck[Fault.THROTTLED] == 1


def test_a_pause_too_long_is_for_the_caller(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how long, and nobody else is sent there meanwhile."""
    monkeypatch.setattr("gatepost.lab.operations.THROTTLE", 60_000)
    lab = make_lab()
    with opened(lab) as pool:
        lab.faults.plan(Fault.THROTTLED, times=1)
        with pytest.raises(ExchangeBusy) as caught:
            pool.read(ask)
        assert caught.value.retry_after == 60
        calls = len(lab.calls)
        with pytest.raises(ExchangeBusy, match="60000 milliseconds") as again:
            pool.write(ask)
        assert 50 < again.value.retry_after <= 60
        assert len(lab.calls) == calls


def test_a_wrong_password_is_tried_once(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads and items together make one attempt, so that the account is not locked."""
    lab = make_lab()
    tried: list[str] = []
    original = Accounts.basic

    def counted(accounts: Accounts, token: str) -> bool:
        tried.append(token)
        return original(accounts, token)

    monkeypatch.setattr(Accounts, "basic", counted)
    pool = Pool(settings_of(lab), "wr0ng-pa55")
    results = [result for _, result in pool.each(ask, range(30))]
    with pytest.raises(SignInRefused, match="is not asked before"):
        pool.write(ask)
    pool.close()
    assert all(isinstance(result, SignInRefused) for result in results)
    assert len(tried) <= 5  # at most one by each thread that was on its way already


def test_a_server_that_is_away_is_left_alone(make_lab: MakeLab) -> None:
    """After a few failures the error comes at once and says since when and why."""
    lab = make_lab()
    with opened(lab, timeout=2.0) as pool:
        pool.read(ask)
        lab.faults.add(Fault.HTML_500)
        with pytest.raises(ExchangeError, match="error page"):
            pool.read(ask)
        asked = lab.faults.struck[Fault.HTML_500]
        with pytest.raises(ExchangeError, match=r"is not asked before .* it has failed since .* error page \(500\)"):
            pool.read(ask)
        assert lab.faults.struck[Fault.HTML_500] == asked
        assert len(lab.shells) == 1, "it could not be deleted yet"
        lab.faults.clear()


def test_a_write_that_is_refused_leaves_nothing_behind(make_lab: MakeLab) -> None:
    """What the permit raises comes out; nothing was sent."""
    lab = make_lab()

    def refuse() -> None:
        raise WriteRefused("lease", "The lease has run out.")

    with opened(lab) as pool:
        with pytest.raises(WriteRefused, match="lease has run out"):
            pool.write(lambda session: session.objects(VIEW, permit=refuse))
        assert not lab.calls
        assert pool.write(ask) == 3
