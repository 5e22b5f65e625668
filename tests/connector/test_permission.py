"""May this write start? Mode, scope, ceiling and lease, and the words of each refusal."""

from pathlib import Path
from typing import Any

import pytest

from gatepost.connector.lease import Lease
from gatepost.connector.permission import Permission
from gatepost.errors import WriteRefused
from gatepost.settings import ConnectorSettings, ExchangeSettings, UplinkSettings

ANN = "Ann@Example.com"


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def permission(
    clock: Clock, *, leased: bool = True, taken: int = 0, lease: Lease | None = None, **limits: Any
) -> Permission:
    """What a connector with these limits may do."""
    lease = lease or Lease(clock)
    if leased:
        lease.renew(clock(), 120)
    settings = ConnectorSettings(
        folder=Path("folder"),
        exchange=ExchangeSettings(url="https://lab"),
        service=UplinkSettings(url="https://service"),
        **{"mode": "enforce", **limits},
    )
    return Permission(settings, lease, lambda: taken)


def test_enforcing_in_scope_under_a_lease_a_write_may_start() -> None:
    """Nothing is refused."""
    permission(Clock()).check(ANN)


@pytest.mark.parametrize(
    ("limits", "why", "message"),
    [
        ({"mode": "observe"}, "mode", "The mode is observe: nothing is written."),
        ({"scope": ()}, "scope", "The mailbox Ann@Example.com is not in scope."),
        ({"scope": ("bob@example.com", "@sub.example.com", "example.com")}, "scope", "not in scope"),
        ({"leased": False}, "lease", "No write may start: the lease lasts 0 s more, a write up to 60 s."),
    ],
)
def test_each_refusal_says_why(limits: dict[str, Any], why: str, message: str) -> None:
    """In words, with a word for programs."""
    with pytest.raises(WriteRefused, match=message) as refused:
        permission(Clock(), **limits).check(ANN)
    assert refused.value.why == why
    assert refused.value.exit_code == 4


@pytest.mark.parametrize(
    ("scope", "address", "inside"),
    [
        (("*",), None, True),
        (("ann@example.com",), ANN, True),
        (("@EXAMPLE.com",), ANN, True),
        (("@example.com",), "ann@sub.example.com", False),
        (("@example.com",), "ann@example.com@elsewhere.com", False),
        (("@example.com",), "example.com", False),
        (("@",), "ann@", True),
        (("",), "", False),
        (("",), None, False),
        (("@example.com",), None, False),
    ],
)
def test_who_is_in_scope(scope: tuple[str, ...], address: str | None, inside: bool) -> None:
    """An address, its domain, or all; a mailbox without an address only by all."""
    assert permission(Clock(), scope=scope).in_scope(address) is inside


def test_a_permit_is_asked_on_the_clock_of_that_moment() -> None:
    """Granted when the write was planned, refused when its bytes would leave: the process slept in between."""
    clock = Clock()
    permit = permission(clock).permit(ANN)
    permit()
    clock.seconds += 60
    with pytest.raises(WriteRefused, match="the lease lasts 60 s more"):
        permit()


def test_the_ceiling_counts_what_is_more() -> None:
    """Our own store, or what the service was told of."""
    lease = Lease(Clock())
    made = permission(Clock(), lease=lease, taken=4, ceiling=10)
    assert (made.used, made.may_take) == (4, 6)
    lease.taken_away = 12
    assert (made.used, made.may_take) == (12, 0)
