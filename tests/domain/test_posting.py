"""What service and connector say of notices: read as it was written, refused with the place where it is malformed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost.domain.fields import ContractError
from gatepost.domain.posting import Delivery, NoticeOutcome, read_due, read_letters, read_notice_outcome

GUID = "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"
TOLD = NoticeOutcome(GUID, GUID, GUID, Delivery.SENT, datetime(2026, 1, 1, 12, tzinfo=UTC), "why")


def test_an_outcome_comes_back_as_it_was() -> None:
    """With its time in UTC."""
    assert read_notice_outcome(TOLD.document(), "outcomes[0]") == TOLD


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"notice_id": "x"}, "at o.notice_id: expected a GUID"),
        ({"permit": None}, "at o.permit: expected a text that is not empty"),
        ({"result": "read"}, "at o.result: expected one of sent"),
        ({"at": "soon"}, "at o.at: expected an ISO 8601 time"),
        ({"at": "2026-01-01T00:00:00"}, "at o.at: expected a time with its zone"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at o.at: expected an ISO 8601 time"),
    ],
)
def test_an_outcome_that_is_malformed_is_named(change: dict[str, Any], why: str) -> None:
    """The place, and what was expected there; also of a time that no calendar in UTC holds."""
    with pytest.raises(ContractError, match=why):
        read_notice_outcome({**TOLD.document(), **change}, "o")


def test_what_a_connector_is_told_is_named_too() -> None:
    """A permit that is none, and a letter without its words."""
    with pytest.raises(ContractError, match=r"at notices\[0\]\.permit: expected a GUID"):
        read_due({"notice_id": GUID, "permit": "x"}, "notices[0]")
    with pytest.raises(ContractError, match=r"at letters\[0\]\.subject: expected a text that is not empty"):
        read_letters({"letters": [{"notice_id": GUID, "permit": GUID, "to": "a@here.example"}]})
