"""What alerts say, in the target's language: what is wrong, what helps, where to look. No person or device is named."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from gatepost.service.web.i18n import LANGUAGES, N_, SOURCE_LANGUAGE, Language

Row = Mapping[str, Any]

BEGIN = {
    "silent": N_("The connector has not been heard since %(detail)s."),
    "sync": N_("Synchronisation with Exchange has failed twice in a row."),
    "held/inventory": N_("An inventory is held: it is much smaller than the one before."),
    "held/removal": N_("The removal of the connection waits for the approval of a second person."),
    "held/guard": N_("More people would lose or gain access than may in an hour. Holds that wait: %(detail)s."),
    "held/budgets": N_("Larger budgets of the guard wait for the approval of a second person."),
    "held/source": N_("What a compliance source reports is not believed. Such sources: %(detail)s."),
    "source": N_("A compliance source has been silent for too long. Such sources: %(detail)s."),
    "certificate": N_("The connector's certificate ends on %(detail)s, and its renewal has failed so far."),
    "tls": N_("The certificate of the Gatepost service ends on %(detail)s."),
    "ticket": N_("A set-up package that nobody has used ends on %(detail)s."),
    "password": N_("The doctor says that a password of the connector needs attention."),
    "refused": N_("Exchange refuses or fails writes: %(detail)s at the moment."),
    "lists": N_("Mailboxes' lists are against what Gatepost wants, by somebody else's hand: %(detail)s at the moment."),
}
REMEDY = {
    "silent": N_("See whether its machine runs and reaches this service. Nothing is written to Exchange until then."),
    "sync": N_("The connection page says why."),
    "held/inventory": N_("Look at the connection page, and accept it only if so many devices are really gone."),
    "held/removal": N_("Look at the page of the removal."),
    "held/guard": N_("The page Holds shows who, why and by what; a second administrator decides."),
    "held/budgets": N_("The page Holds shows what was asked for, and by whom."),
    "held/source": N_("The page People and compliance says what it reported; nobody loses or gains access by it."),
    "source": N_("See why it reports nothing. Until it does, nobody loses or gains access by what complies."),
    "certificate": N_("Look at the connector's log; without a renewal it must be set up again."),
    "tls": N_("Put a new certificate in its place and restart the service."),
    "ticket": N_("Use it, or download another package."),
    "password": N_("The connection page shows what the doctor found."),
    "refused": N_("The connection page shows which, and why."),
    "lists": N_("The connection page shows which, and why."),
}
END = {
    "silent": N_("The connector is heard again, or is not expected any more."),
    "sync": N_("Synchronisation with Exchange works again."),
    "held/inventory": N_("No inventory is held any more."),
    "held/removal": N_("The removal of the connection does not wait any more."),
    "held/guard": N_("Nothing that the guard held waits any more."),
    "held/budgets": N_("No larger budgets wait any more."),
    "held/source": N_("Every compliance source is believed again."),
    "source": N_("Every compliance source reports again."),
    "certificate": N_("The connector's certificate has been renewed."),
    "tls": N_("The certificate of the Gatepost service has been renewed."),
    "ticket": N_("The set-up package has been used or has ended."),
    "password": N_("The doctor finds the passwords of the connector in order."),
    "refused": N_("No write to Exchange is refused any more."),
    "lists": N_("No entry stands against what Gatepost wants any more."),
}
OTHER = N_("Something needs a person; a newer version of Gatepost saw it.")
OTHER_END = N_("What needed a person is over; a newer version of Gatepost saw it.")
TEST = N_("This is a test. Alerts of Gatepost arrive here.")
REMINDER = N_("(reminder)")
_WHOLE = N_("Gatepost service")


def language_of(code: str) -> Language:
    """The language of a code; English where there is none such any more."""
    return LANGUAGES.get(code, LANGUAGES[SOURCE_LANGUAGE])


def sentence(row: Row, language: Language, *, over: bool = False, zone: tzinfo = UTC) -> str:
    """What an alert says, with times of a zone."""
    key = _key(row)
    said = END.get(key, OTHER_END) if over else BEGIN.get(key, OTHER)
    return language.text(said, detail=_detail(row["detail"], language, zone))


def remedy(row: Row, language: Language) -> str:
    """What helps."""
    return language.text(REMEDY.get(_key(row), REMEDY["sync"]))


def place(row: Row, language: Language) -> str:
    """What an alert is about: an organization's name, or the service."""
    return " ".join(str(row["name"]).split()) if row["name"] else language.text(_WHOLE)


def line(row: Row, language: Language) -> str:
    """One thing to tell, as one line."""
    if row["what"] == "test":
        return language.text(TEST)
    said = f"{place(row, language)}: {sentence(row, language, over=row['what'] == 'end')}"
    return f"{said} {language.text(REMINDER)}" if row["what"] == "reminder" else said


def link(row: Row, base: str | None) -> str:
    """Where in the console to look; empty where the service does not know its own address."""
    if not base:
        return ""
    path = f"/connection?organization={row['organization_id']}" if row["organization_id"] else "/administration/alerts"
    if _key(row) in {"held/guard", "held/budgets"}:
        path = "/holds"
    if _key(row) in {"held/source", "source"}:
        path = "/administration/sources"
    return base.rstrip("/") + path


def message(rows: Sequence[Row], language: Language, base: str | None, sender: str, to: str) -> EmailMessage:
    """One mail that tells all of it; its id is that of the first thing and the attempt."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, to
    mail["Subject"] = f"Gatepost: {_subject(rows, language)}"
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{rows[0]['delivery_id']}.{rows[0]['attempts']}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(_paragraph(row, language, base) for row in rows) + "\n")
    mail["Content-Language"] = language.code  # set_content takes such headers away
    return mail


def document(rows: Sequence[Row], language: Language, base: str | None, tenant: str) -> bytes:
    """The JSON body for a webhook. The id of each alert stays the same when it is told again."""
    alerts = [
        {
            "id": str(row["delivery_id"]),
            "what": row["what"],
            "condition": row["condition"],
            "organization": row["name"],
            "text": line(row, language),
            "remedy": remedy(row, language) if row["what"] in {"begin", "reminder"} else "",
            "since": row["seen_at"].isoformat() if row["seen_at"] else None,
            "url": link(row, base),
        }
        for row in rows
    ]
    return json.dumps({"tenant": tenant, "alerts": alerts}, ensure_ascii=False).encode()


def _subject(rows: Sequence[Row], language: Language) -> str:
    if len(rows) == 1:
        return line(rows[0], language)
    return language.plural("%(count)s alert", "%(count)s alerts", len(rows))


def _paragraph(row: Row, language: Language, base: str | None) -> str:
    helps = remedy(row, language) if row["what"] in {"begin", "reminder"} else ""
    return "\n".join(filter(None, (line(row, language), helps, link(row, base))))


def _key(row: Row) -> str:
    return f"{row['condition']}/{row['subject']}" if row["condition"] == "held" else str(row["condition"])


def _detail(detail: str, language: Language, zone: tzinfo) -> str:
    """A count as it is, a time as the language writes it."""
    try:
        return language.moment(datetime.fromisoformat(detail), zone) if len(detail) > 9 else detail
    except ValueError:
        return detail
