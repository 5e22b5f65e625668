"""What is done to one device: wiping it, wiping its account only, taking a wipe back, removing the partnership."""

from typing import Any

from gatepost.domain.devices import Wipe
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import (
    CLEAR_MOBILE_DEVICE,
    GET_MOBILE_DEVICE,
    GET_MOBILE_DEVICE_STATISTICS,
    REMOVE_MOBILE_DEVICE,
)
from gatepost.exchange.reading import moment, text
from gatepost.exchange.transport import Permit

_TIMES = ("WipeRequestTime", "WipeSentTime", "WipeAckTime")
_WIPE = ("Guid", "Status", *(f"Device{name}" for name in _TIMES), "LastDeviceWipeRequestor")
_ACCOUNT_WIPE = (
    "Guid",
    "Status",
    *(f"AccountOnlyDevice{name}" for name in _TIMES),
    "LastAccountOnlyDeviceWipeRequestor",
)


def read_wipe(calls: Calls, guid: str, dn: str, *, account_only: bool = False) -> Wipe:
    """How far a wipe of a device is. Raises CmdletFailed where its mailbox keeps no statistics of it."""
    fields = _ACCOUNT_WIPE if account_only else _WIPE
    _, status, requested, sent, acknowledged, requestor = calls.one(
        GET_MOBILE_DEVICE_STATISTICS, fields, guid, **calls.at(dn)
    )
    return Wipe(text(status), moment(requested), moment(sent), moment(acknowledged), text(requestor))


def wipe(calls: Calls, guid: str, dn: str, permit: Permit, notify: tuple[str, ...], *, account_only: bool) -> Wipe:
    """Ask for a wipe, unless one is under way; ``notify`` are addresses that Exchange tells when it is done.

    Where Exchange has no wipe of the account only, that raises CmdletNotGranted: it never becomes a wipe of the phone.
    """
    if account_only:
        calls.require(CLEAR_MOBILE_DEVICE, "AccountOnly")
    before = read_wipe(calls, guid, dn, account_only=account_only)
    if before.pending:
        return before
    told = {"NotificationEmailAddresses": notify} if notify else {}
    return _clear(calls, guid, dn, permit, account_only=account_only, **told)


def cancel_wipe(calls: Calls, guid: str, dn: str, permit: Permit, *, account_only: bool) -> Wipe:
    """Take back a wipe that the device has not acknowledged; without a write where there is none."""
    before = read_wipe(calls, guid, dn, account_only=account_only)
    return _clear(calls, guid, dn, permit, account_only=account_only, Cancel=None) if before.pending else before


def remove_device(calls: Calls, guid: str, dn: str, permit: Permit) -> None:
    """Remove a partnership, unless it is gone already. A phone that comes back is a new device."""
    at = calls.at(dn)
    calls.remove(
        REMOVE_MOBILE_DEVICE, permit, lambda: calls.one(GET_MOBILE_DEVICE, ("Guid",), guid, **at), Identity=guid, **at
    )


def _clear(
    calls: Calls,
    guid: str,
    dn: str,
    permit: Permit,
    *,
    account_only: bool,
    **parameters: Any,  # noqa: ANN401
) -> Wipe:
    if account_only:
        parameters["AccountOnly"] = None
    return calls.written(
        CLEAR_MOBILE_DEVICE,
        permit,
        lambda: read_wipe(calls, guid, dn, account_only=account_only),
        Identity=guid,
        **parameters,
        **calls.at(dn),
    )
