"""Checks of the service as seen from here: the way there, its signature, the enrolment, the certificate, the last sync.

What a running connector holds is left alone: the one signed question renews no lease and is no check-in.
"""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta

from gatepost.connector import credentials, host
from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.doctor import certificates
from gatepost.connector.doctor.examination import Checks, Patient
from gatepost.connector.doctor.network import Way, walk
from gatepost.connector.keys import Certificate
from gatepost.connector.permission import ENFORCE
from gatepost.connector.state import FAILURE, LAST, SERVICE_FAILURE
from gatepost.connector.store import FILE, RUNNING_MODE, peek
from gatepost.connector.uplink import Uplink
from gatepost.domain.checks import Check, Level
from gatepost.domain.contract import Scope
from gatepost.errors import AnswerUnsigned, GatepostError, ServiceRefused, SettingsError, StoreError
from gatepost.settings import ConnectorSettings, ExchangeSettings

ANSWER_SECONDS = 15.0
CERTIFICATE_SOON = timedelta(days=2)
"""A certificate lives seven days and is renewed from a third of that on: with less, renewing has failed for a while."""
_ENROL = "Get a set-up package on the console and run `gatepost connector setup` with it."
_REFUSED = {
    "superseded": (
        "Another connector has taken this one's place.",
        "Remove this one, or enrol it anew to take it back.",
    ),
    "removed": ("The organization was removed at the service.", "Set it up again, or uninstall this connector."),
    "revoked": ("The service lets this connector in no more: it was revoked.", _ENROL),
    "expired": ("This connector's certificate has expired at the service.", _ENROL),
    "retired": (
        "This connector's certificate was replaced by a newer one.",
        "A copy of the folder may be older: " + _ENROL,
    ),
    "clock": ("The service and this machine disagree about the time.", "Let this machine take the time from NTP."),
    "signature": ("The service does not know this connector's signature.", _ENROL),
}


def look(patient: Patient) -> Checks:
    """The checks, in order."""
    settings = patient.settings
    way = Way("service", _address(settings), patient.passwords.service_proxy(), strict_clock=False)
    reached = yield from walk(way, path=way.path.rstrip("/") + "/livez")
    identity = yield from _identity(patient)
    if identity is None:
        return
    yield _certificate(Certificate(identity.certificate).ends, patient.now)
    if reached is None:
        yield Check("service-signature", Level.SKIPPED, "Not asked: the service was not reached.")
    else:
        yield _answer(patient, identity)
    yield from _synchronisation(patient)


def limits(patient: Patient) -> Checks:
    """What the local settings let the connector do, and whether that is likely meant."""
    settings = patient.settings
    try:
        notes, _ = peek(settings.folder / FILE)
    except StoreError as error:
        yield Check("store", Level.BAD, error.cause, "The connector cannot start on it.", error.remedy)
        notes = {}
    running = notes.get(RUNNING_MODE) if settings.folder.is_dir() and host.is_locked(settings.folder) else None
    if running not in (None, settings.mode):
        yield Check(
            "mode",
            Level.WARNING,
            f"The settings say {settings.mode}; the connector that runs goes on with {running}.",
            "Settings are read when it starts.",
            "Start the connector again.",
        )
    else:
        writes = "writes to Exchange" if settings.mode == ENFORCE else "writes nothing"
        yield Check("mode", Level.GOOD, f"The mode is {settings.mode}: the connector {writes}.")
    yield _scope(settings)
    yield _ceiling(settings)


def _address(settings: ConnectorSettings) -> ExchangeSettings:
    """The service's address in the form in which any address is walked to."""
    service = settings.service
    return ExchangeSettings(
        url=service.url,
        ca_file=service.ca_file,
        proxy=service.proxy,
        proxy_user=service.proxy_user,
        proxy_password_file=service.proxy_password_file,
    )


# -- who this connector is ---------------------------------------------------------------------------------------------


def _identity(patient: Patient) -> Generator[Check, None, Identity | None]:
    folder = patient.settings.folder
    why = "Without it the service takes nothing from this connector."
    if not (folder / credentials.IDENTITY).exists():
        yield Check("enrolment", Level.WARNING, "This connector is not enrolled yet.", why, _ENROL)
        return None
    try:
        identity = credentials.load(folder)
    except SettingsError as error:
        yield Check("enrolment", Level.BAD, error.cause, why, error.remedy)
        return None
    what = f"Enrolled for {identity.organization_name or identity.organization}, epoch {identity.epoch}."
    yield Check("enrolment", Level.GOOD, what)
    return identity


def _certificate(until: datetime, now: datetime) -> Check:
    what = f"The connector's own certificate {certificates.ending(until, now)}."
    if until - now >= CERTIFICATE_SOON:
        return Check("connector-certificate", Level.GOOD, what)
    return Check(
        "connector-certificate",
        Level.WARNING if until > now else Level.BAD,
        what,
        "It is renewed by itself from two days before its end on; past its end the service lets nobody in with it.",
        "Start the connector and see that it reaches the service."
        if until > now
        else "Have an administrator allow a late renewal, or enrol anew: a connector that was off for long needs it.",
    )


def _answer(patient: Patient, identity: Identity) -> Check:
    """A signed question, and an answer whose signature is the service's: it tells what the service takes us for."""
    name, settings = "service-signature", patient.settings
    keys = Credentials(identity, credentials.instance(settings.folder))
    try:
        uplink = Uplink(settings.service, keys, ANSWER_SECONDS, proxy_password=patient.passwords.service_proxy)
        told = uplink.status()
    except ServiceRefused as refused:
        what, remedy = _REFUSED.get(refused.type, (refused.cause, "See docs/protocol.md for what that means."))
        return Check(name, Level.BAD, f"{what} (The service: {refused.cause})", "Nothing is written.", remedy)
    except AnswerUnsigned as error:
        return Check(name, Level.BAD, error.cause, "Nothing of such an answer is believed.", error.remedy)
    except GatepostError as error:
        return Check(name, Level.BAD, error.cause, "No lease, and so no write, without the service.", error.remedy)
    off = abs((told.server_time - datetime.now(UTC)).total_seconds())
    what = (
        f"The service's answer is signed by its key, tells a time {off:.0f} seconds from this machine's, and takes this"
        f" connector for that of {told.organization}"
    )
    if told.state == "removing":
        why = "The connection is being removed: entries are taken back, and nothing new is written."
        return Check(name, Level.WARNING, f"{what}, which is being removed.", why)
    return Check(name, Level.GOOD, f"{what} (epoch {told.epoch}).")


# -- the last synchronisation ------------------------------------------------------------------------------------------


def _synchronisation(patient: Patient) -> Checks:
    settings = patient.settings
    name = "sync-age"
    try:
        notes, unsent = peek(settings.folder / FILE)
    except StoreError:
        return  # told by the limits
    last = {scope: _moment(notes.get(LAST[scope])) for scope in Scope}
    full, newest = last[Scope.FULL], max(filter(None, last.values()), default=None)
    failure = notes.get(SERVICE_FAILURE) or notes.get(FAILURE)
    if failure:
        yield Check("last-failure", Level.WARNING, failure, "This was the last trouble, and it is not over yet.")
    if full is None or newest is None:
        what = "There was no full synchronisation yet."
        yield Check(name, Level.WARNING, what, "Nothing is decided before it.", "Run `gatepost connector run`.")
        return
    every = {Scope.FULL: settings.sync.full_every, Scope.QUICK: settings.sync.quick_every}
    ages = {"full": patient.now - full, "any": patient.now - newest}
    late = ages["full"] > 2 * timedelta(seconds=every[Scope.FULL])
    late = late or ages["any"] > 4 * timedelta(seconds=min(every.values()))
    waiting = f"; {unsent} documents wait to be sent" if unsent else ""
    what = f"The last full synchronisation was {_ago(ages['full'])} ago, any other {_ago(ages['any'])}{waiting}."
    if late:
        why = "New phones are not seen, and what changed is not decided."
        yield Check(name, Level.WARNING, what, why, "See whether the connector runs, and what it logs.")
    else:
        yield Check(name, Level.GOOD, what)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _ago(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"


# -- local limits ------------------------------------------------------------------------------------------------------


def _scope(settings: ConnectorSettings) -> Check:
    odd = [entry for entry in settings.scope if entry != "*" and "@" not in entry]
    if odd:
        what = f"The scope has entries that fit no mailbox: {', '.join(odd[:5])}."
        remedy = "Write addresses, @domain, or *."
        return Check("scope", Level.WARNING, what, "No mailbox is written because of them.", remedy)
    if not settings.scope:
        what, why = "The scope is empty: no mailbox may be written.", "Nothing that is decided is ever carried out."
        return Check("scope", Level.WARNING, what, why, 'Set scope, such as ["@example.com"] or ["*"].')
    told = "all mailboxes" if "*" in settings.scope else ", ".join(settings.scope[:5])
    more = f" and {len(settings.scope) - 5} more" if len(settings.scope) > 5 and "*" not in settings.scope else ""
    return Check("scope", Level.GOOD, f"In scope: {told}{more}.")


def _ceiling(settings: ConnectorSettings) -> Check:
    if settings.ceiling == 0:
        return Check(
            "ceiling",
            Level.WARNING,
            "The ceiling is 0: no write may take access away.",
            "A phone that is to be blocked stays as it is.",
            "Set ceiling to what an hour may see at the most.",
        )
    return Check("ceiling", Level.GOOD, f"At most {settings.ceiling} writes an hour may take access away.")
