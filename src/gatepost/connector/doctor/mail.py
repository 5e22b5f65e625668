"""Checks of the way of notices: where the mailbox's services are, whether the account gets in, and a test if asked for.

Nothing is sent but to the address that somebody asked for.
"""

from datetime import datetime

from gatepost.connector.doctor.examination import Checks, Patient
from gatepost.connector.doctor.network import Way, walk
from gatepost.domain.checks import Check, Level
from gatepost.errors import ExchangeError, SettingsError, UsageError, WireError
from gatepost.exchange.mail import Mailer
from gatepost.settings import ExchangeSettings, NoticeSettings, changed

ANSWER_SECONDS = 15.0
CHANGE = "gatepost connector setup --change notices"
_WHY = "Notices to users do not leave; their devices are decided all the same."
_TROUBLE = (ExchangeError, SettingsError, UsageError, WireError)


def look(patient: Patient) -> Checks:
    """The checks, in order."""
    notices = patient.settings.notices
    if notices is None:
        yield Check("notices-account", Level.SKIPPED, "No mailbox is set that notices are sent from.", "", CHANGE)
        if patient.test_address:
            yield Check("notices-test", Level.BAD, "No test was sent: no mailbox for notices is set.", _WHY, CHANGE)
        return
    exchange = patient.settings.exchange
    exchange = changed(exchange, {"timeout": min(exchange.timeout, ANSWER_SECONDS)})
    try:
        mailer = Mailer.open(
            notices,
            exchange,
            patient.passwords.notices() or "",
            proxy_password=patient.passwords.exchange_proxy(),
        )
    except _TROUBLE as error:
        yield Check("notices-address", Level.BAD, error.cause, _WHY, error.remedy, notices.account)
        yield Check("notices-account", Level.SKIPPED, "Not looked at: the services are not found.")
        yield from _untested(patient, "the services are not found")
        return
    with mailer:
        yield from _found(patient, notices, exchange, mailer)


def _found(patient: Patient, notices: NoticeSettings, exchange: ExchangeSettings, mailer: Mailer) -> Checks:
    how = "Autodiscover leads to" if mailer.how == "autodiscover" else "The settings name"
    yield Check("notices-address", Level.GOOD, f"{how} {mailer.url} for {notices.account}.", subject=notices.account)
    there = {
        "url": mailer.url,
        "ca_file": notices.ca_file or exchange.ca_file,
        "proxy": notices.proxy or exchange.proxy,
    }
    way = Way("notices", changed(exchange, there), patient.passwords.exchange_proxy())
    if (yield from walk(way)) is None:
        yield Check("notices-account", Level.SKIPPED, "Not looked at: the server was not reached.")
        yield from _untested(patient, "the server was not reached")
        return
    try:
        mailer.check()
    except _TROUBLE as error:
        yield Check("notices-account", Level.BAD, error.cause, _WHY, f"{error.remedy} {CHANGE}", notices.account)
        yield from _untested(patient, "the account does not get in")
        return
    what = f"{notices.account} is signed in and sees its own Inbox."
    yield Check("notices-account", Level.GOOD, what, subject=notices.account)
    if patient.test_address:
        yield _test(mailer, patient.test_address, patient.now)


def _test(mailer: Mailer, address: str, now: datetime) -> Check:
    subject = "Test of Gatepost's notices"
    text = (
        f"Gatepost's doctor sent this message at {now:%Y-%m-%d %H:%M} UTC, because an administrator asked for it.\n"
        "It tells that notices can leave. Nothing needs to be done."
    )
    try:
        mailer.send(address, subject, "", text)
    except _TROUBLE as error:
        return Check("notices-test", Level.BAD, error.cause, _WHY, error.remedy, address)
    what = f"A test was handed to Exchange for {address}; that it arrives is for its reader to say."
    return Check("notices-test", Level.GOOD, what, subject=address)


def _untested(patient: Patient, why: str) -> Checks:
    if patient.test_address:
        yield Check("notices-test", Level.BAD, f"No test was sent: {why}.", _WHY, "See the checks above.")
