"""What Exchange's objects say, as our values: names taken apart, times in UTC, whatever form they come in."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import UnreadableObject
from gatepost.exchange.reading import Row, device, mailbox_dn, moment

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("dn", "mailbox"),
    [
        ("CN=iPhone§1,CN=ExchangeActiveSyncDevices,CN=Zoë,OU=Users,DC=lab", "CN=Zoë,OU=Users,DC=lab"),
        ("CN=iPhone§1,cn=exchangeactivesyncdevices,CN=Zoë,DC=lab", "CN=Zoë,DC=lab"),
        (r"CN=a\,b,CN=ExchangeActiveSyncDevices,CN=Doe\, Jane,DC=lab", r"CN=Doe\, Jane,DC=lab"),
        (r"CN=a\,CN=ExchangeActiveSyncDevices,CN=ExchangeActiveSyncDevices,CN=Jane,DC=lab", "CN=Jane,DC=lab"),
        (r"CN=a\\,CN=ExchangeActiveSyncDevices,CN=Jane,DC=lab", "CN=Jane,DC=lab"),
        ("CN=iPhone§1,CN=Elsewhere,DC=lab", "CN=Elsewhere,DC=lab"),
        ("CN=a,CN=x,CN=ExchangeActiveSyncDevices,CN=Jane", "CN=x,CN=ExchangeActiveSyncDevices,CN=Jane"),
        ("CN=alone", None),
        ("", None),
        (None, None),
    ],
)
def test_the_mailbox_of_a_device_is_what_stands_above_its_container(dn: str | None, mailbox: str | None) -> None:
    """Escaped commas belong to a name; a name that looks like the container is none."""
    assert mailbox_dn(dn) == mailbox


@given(st.text("ab,\\=", max_size=12), st.text("ab,\\=", min_size=1, max_size=12))
def test_a_device_s_name_never_moves_it_to_another_mailbox(name: str, mailbox: str) -> None:
    """However the device is called, once its commas are escaped the mailbox is the one behind the container."""
    escaped = name.replace("\\", "\\\\").replace(",", "\\,")
    assert mailbox_dn(f"CN={escaped},CN=ExchangeActiveSyncDevices,CN={mailbox}") == f"CN={mailbox}"


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (NOON, NOON),
        (NOON.replace(tzinfo=None), NOON),
        (NOON.astimezone(timezone(timedelta(hours=5))), NOON),
        ("2026-11-22T12:00:00", NOON),
        ("2026-11-22T14:00:00+02:00", NOON),
        ("0001-01-01T00:00:00+02:00", None),
        ("yesterday", None),
        (7, None),
        (None, None),
    ],
)
def test_a_moment_is_in_utc_or_nothing(value: object, when: datetime | None) -> None:
    """Dates may come as text, with any offset or none; what is no date, or before all dates, is nothing."""
    found = moment(value)
    assert found == when
    assert found is None or found.tzinfo is UTC


def test_a_device_takes_whatever_form_its_fields_have() -> None:
    """Lists, numbers and dates where text is declared become text; without a Guid nothing can be made of it."""
    row: Row = ("guid", 7, None, ["a", "b"], None, NOON, *[None] * 12, "2026-11-22T12:00:00Z", NOON)
    found = device(0, row)
    assert not isinstance(found, UnreadableObject)
    assert (found.device_id, found.identity, found.device_type) == ("7", "a, b", "2026-11-22T12:00:00+00:00")
    assert (found.first_sync_at, found.changed_at, found.mailbox_dn) == (NOON, NOON, None)
    nameless = device(3, (None, "DEVICE", *row[2:]))
    assert isinstance(nameless, UnreadableObject)
    assert "has no Guid" in str(nameless)
