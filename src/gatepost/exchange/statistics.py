"""The statistics of devices, which cost Exchange a call and a look into the mailbox each."""

from collections.abc import Generator, Iterable

from gatepost.domain.devices import Statistics
from gatepost.errors import ExchangeError
from gatepost.exchange import reading
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import GET_MOBILE_DEVICE_STATISTICS as CMDLET
from gatepost.exchange.sessions import Session


def of_one(calls: Calls, guid: str) -> Statistics:
    """The statistics of one device. Raises CmdletFailed where its mailbox keeps none."""
    return calls.pool.read(lambda session: _read(calls, session, guid))


def of_many(calls: Calls, guids: Iterable[str]) -> Generator[tuple[str, Statistics | ExchangeError], None, None]:
    """The statistics of each device, or the error that it met, in any order."""
    return calls.pool.each(lambda session, guid: _read(calls, session, guid), guids)


def _read(calls: Calls, session: Session, guid: str) -> Statistics:
    return reading.statistics(calls.one_in(session, CMDLET, CMDLET.fields, guid))
