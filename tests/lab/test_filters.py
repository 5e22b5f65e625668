"""OPATH filters: what they let through, and what is said about those that cannot be read."""

import pytest

from gatepost.lab import shapes
from gatepost.lab.filters import FilterError, compile_filter, parse_time
from gatepost.lab.rows import TICKS, Device, Mailbox
from gatepost.lab.seeding import make_organization
from gatepost.lab.server import Lab
from tests.lab.peer import COMPLETED, FAILED, run, session

ORGANIZATION = make_organization(300)


def devices(text: str) -> list[Device]:
    """The devices that a filter lets through."""
    predicate = compile_filter(text, shapes.MOBILE_DEVICE.properties)
    return [device for device in ORGANIZATION.devices if predicate(device)]


def mailboxes(text: str) -> list[Mailbox]:
    """The mailboxes that a filter lets through."""
    predicate = compile_filter(text, shapes.CAS_MAILBOX.properties)
    return [box for box in ORGANIZATION.mailboxes if predicate(box)]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("DeviceType -eq 'iPhone'", lambda d: d.handset.device_type == "iPhone"),
        ("devicetype -EQ 'IPHONE'", lambda d: d.handset.device_type == "iPhone"),
        ("DeviceType -ne 'iPhone'", lambda d: d.handset.device_type != "iPhone"),
        ("DeviceOS -like 'iOS 18*'", lambda d: (d.handset.os or "").startswith("iOS 18")),
        ("DeviceModel -like '*phone*'", lambda d: "phone" in (d.handset.model or "").lower()),
        ("DeviceOS -notlike '*'", lambda d: d.handset.os is None),
        ("DeviceImei -eq $null", lambda d: not d.imei),
        ("DeviceImei -ne $null", lambda d: bool(d.imei)),
        ("-not DeviceAccessState -eq 'Allowed'", lambda d: d.state != "Allowed"),
        ("-not (DeviceAccessState -eq 'Allowed')", lambda d: d.state != "Allowed"),
        (
            "DeviceAccessState -eq 'Blocked' -or DeviceAccessState -eq 'Quarantined' -and ClientType -eq 'EAS'",
            lambda d: d.state == "Blocked" or (d.state == "Quarantined" and d.handset.client_type == "EAS"),
        ),
        (
            "(DeviceAccessState -eq 'Blocked' -or DeviceAccessState -eq 'Quarantined') -and ClientType -eq 'EAS'",
            lambda d: d.state in {"Blocked", "Quarantined"} and d.handset.client_type == "EAS",
        ),
        ("{ClientVersion -gt '14'}", lambda d: d.handset.client_version > "14"),
        ('FriendlyName -eq "Linked Partner\'s iPhone11C8"', lambda d: d.friendly_name == "Linked Partner's iPhone11C8"),
        ("FriendlyName -eq 'it''s mine'", lambda d: d.friendly_name == "it's mine"),
    ],
)
def test_a_filter_lets_through_what_it_says(text: str, means: object) -> None:
    """Operators, constants, precedence and parentheses, without regard to case."""
    assert callable(means)
    assert devices(text) == [device for device in ORGANIZATION.devices if means(device)]


@pytest.mark.parametrize(
    "written", ["2025-01-15T12:00:00Z", "2025-01-15T13:00:00+01:00", "2025-01-15 12:00:00", "01/15/2025 12:00:00 PM"]
)
def test_times_are_compared_as_moments(written: str) -> None:
    """However the moment is written, with a zone or in UTC without one."""
    moment = 1_736_942_400 * TICKS
    later = devices(f"WhenChangedUTC -gt '{written}'")
    assert later == [device for device in ORGANIZATION.devices if device.changed > moment]
    assert 0 < len(later) < 300
    assert devices(f"WhenChangedUTC -le '{written}'") == [d for d in ORGANIZATION.devices if d.changed <= moment]


def test_a_list_matches_by_any_of_its_entries() -> None:
    """An id on the allowed list finds the mailbox; so does whether there is any."""
    assert [box.alias for box in mailboxes("ActiveSyncAllowedDeviceIDs -eq 'überid'")] == ["ahead"]
    assert [box.alias for box in mailboxes("ActiveSyncBlockedDeviceIDs -like 'lost*'")] == ["ahead"]
    partners = mailboxes("HasActiveSyncDevicePartnership -eq $true")
    assert partners == [box for box in ORGANIZATION.mailboxes if box.devices]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Colour -eq 'red'", '"Colour" is not a recognized filterable property.'),
        ("Guid -eq 'x'", '"Guid" is not a recognized filterable property.'),
        ("DeviceOS 'x'", "\"'x'\" is not an operator."),
        ("DeviceOS -matches 'x'", "'-matches' is not an operator."),
        ("DeviceOS -eq", "The filter ends where a value should stand."),
        ("(DeviceOS -eq 'x'", "The filter ends where ')' should stand."),
        ("DeviceOS -eq 'x' DeviceOS", "Unexpected 'DeviceOS'."),
        ("DeviceOS -eq 'x", "A quotation is not closed."),
        ("WhenChangedUTC -gt 'yesterday'", "'yesterday' is not a date and time."),
        ("DeviceOS -gt $null", "-gt needs a value."),
        (")", "Unexpected ')'."),
    ],
)
def test_a_bad_filter_is_refused_in_words(text: str, problem: str) -> None:
    """The problem is named."""
    with pytest.raises(FilterError) as refused:
        devices(text)
    assert refused.value.problem == problem


def test_a_time_before_1970_is_a_negative_number() -> None:
    """Ticks count from 1970 in both directions."""
    assert parse_time("1969-12-31T23:59:59Z") == -TICKS


def test_filters_work_from_a_session(lab: Lab) -> None:
    """A client filters devices and mailboxes; a bad filter ends the pipeline with its problem."""
    with session(lab) as pool:
        found = run(pool, "Get-MobileDevice", Filter="DeviceType -eq 'iPad'", select=["DeviceType"])
        boxes = run(pool, "Get-CASMailbox", Filter="Name -like 'Dozen*'")
        bad = run(pool, "Get-MobileDevice", Filter="Colour -eq 1")
    assert found.state == COMPLETED
    assert {row["DeviceType"] for row in found.rows} == {"iPad"}
    assert [row["Name"] for row in boxes.rows] == ["Dozen Devices"]
    assert (bad.state, bad.error_ids) == (FAILED, ["ParameterBindingFailed,Get-MobileDevice"])
    assert '"Colour" is not a recognized filterable property.' in bad.errors[0][1]
