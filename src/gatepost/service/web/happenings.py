"""The console's words for events and for what they say; and the lines in which an event's body is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.service.web.i18n import N_

EVENTS: Mapping[Event, str] = {
    Event.DATABASE_RESTORED: N_("Database restored"),
    Event.TENANT_CREATED: N_("Tenant made"),
    Event.ADMINISTRATOR_CREATED: N_("Administrator made by the operator"),
    Event.ADMINISTRATOR_PASSWORD: N_("Password set by the operator"),
    Event.ADMINISTRATOR_ADDED: N_("Administrator added"),
    Event.TICKET_CREATED: N_("Ticket made"),
    Event.SESSION_OPENED: N_("Signed in"),
    Event.SESSION_REFUSED: N_("Sign-in refused"),
    Event.SESSION_CLOSED: N_("Signed out"),
    Event.SESSION_STEP_UP: N_("Identity confirmed again"),
    Event.PASSKEY_ADDED: N_("Passkey added"),
    Event.PASSKEY_REFUSED: N_("Passkey refused"),
    Event.PASSKEY_RENAMED: N_("Passkey renamed"),
    Event.PASSKEY_REMOVED: N_("Passkey removed"),
    Event.PASSWORD_CHANGED: N_("Password changed"),
    Event.ADMINISTRATOR_ROLES: N_("Roles changed"),
    Event.ADMINISTRATOR_DISABLED: N_("Administrator disabled"),
    Event.ADMINISTRATOR_ENABLED: N_("Administrator enabled"),
    Event.ADMINISTRATOR_INVITED: N_("Administrator invited"),
    Event.INVITATION_USED: N_("Invitation used"),
    Event.INVITATION_REFUSED: N_("Invitation refused"),
    Event.SIGN_IN_RULES: N_("Sign-in rules changed"),
    Event.SESSIONS_ENDED: N_("Sessions ended"),
    Event.SYNC_REQUESTED: N_("Synchronisation asked for"),
    Event.SYNC_ACCEPTED: N_("Held inventory accepted"),
    Event.PACKAGE_MADE: N_("Set-up package downloaded"),
    Event.AUTHORITY_CHOSEN: N_("Management authority chosen"),
    Event.WRITING_STOPPED: N_("All writing stopped"),
    Event.WRITING_RELEASED: N_("Writing released"),
    Event.REMOVAL_ASKED: N_("Removal of the connection asked for"),
    Event.REMOVAL_APPROVED: N_("Removal of the connection approved"),
    Event.REMOVAL_BEGUN: N_("Removal of the connection begun"),
    Event.REMOVAL_CANCELLED: N_("Removal of the connection cancelled"),
    Event.REMOVAL_FILE: N_("File for undoing taken"),
    Event.CONNECTION_REMOVED: N_("Connection removed"),
    Event.HOLD_APPROVED: N_("Hold approved"),
    Event.HOLD_REFUSED: N_("Hold refused"),
    Event.HOLD_REOPENED: N_("Hold opened again"),
    Event.BUDGETS_ASKED: N_("Larger budgets asked for"),
    Event.BUDGETS_SET: N_("Budgets set"),
    Event.BUDGETS_REFUSED: N_("Larger budgets refused"),
    Event.ENTRIES_ADOPTED: N_("Entries adopted"),
    Event.ENTRIES_RETURNED: N_("Adopted entries given back"),
    Event.DEVICES_KNOWN: N_("Devices with access noted as known"),
    Event.DEFAULT_ASKED: N_("Switch of the default level asked for"),
    Event.DEFAULT_APPROVED: N_("Switch of the default level approved"),
    Event.DEFAULT_DROPPED: N_("Switch of the default level dropped"),
    Event.PIN_SET: N_("Device pinned"),
    Event.PIN_REMOVED: N_("Pin removed"),
    Event.SETTING_WISHED: N_("Setting of Exchange wished for"),
    Event.SETTING_WITHDRAWN: N_("Wish for a setting withdrawn"),
    Event.SETTING_CHANGED: N_("Setting of Exchange changed"),
    Event.SETTING_CONFLICT: N_("Setting of Exchange changed by somebody else"),
    Event.POLICY_SAVED: N_("Policy saved"),
    Event.ROLLOUT_BEGUN: N_("Rollout of a policy begun"),
    Event.ROLLOUT_ADVANCED: N_("Rollout widened"),
    Event.ROLLOUT_STOPPED: N_("Rollout stopped"),
    Event.ROLLOUT_RESUMED: N_("Rollout resumed"),
    Event.POLICY_ROLLED_BACK: N_("Policy rolled back"),
    Event.ROLLOUT_WIDENED: N_("Rollout widened by itself"),
    Event.ROLLOUT_HALTED: N_("Rollout stopped by itself"),
    Event.SOURCE_ADDED: N_("Compliance source added"),
    Event.SOURCE_CHANGED: N_("Compliance source changed"),
    Event.SOURCE_HELD: N_("Report of a compliance source held"),
    Event.SOURCE_ACCEPTED: N_("Held report of a compliance source accepted"),
    Event.RECORDS_FORGOTTEN: N_("Compliance records forgotten"),
    Event.DIRECTORY_SHRUNK: N_("People or groups forgotten"),
    Event.CONNECTOR_ENROLLED: N_("Connector enrolled"),
    Event.CONNECTOR_REVOKED: N_("Connector revoked"),
    Event.CERTIFICATE_RENEWED: N_("Certificate renewed"),
    Event.LATE_RENEWAL_ALLOWED: N_("Late renewal of the certificate allowed"),
    Event.SYNC_HELD: N_("Synchronisation held"),
    Event.SYNC_MERGED: N_("Part of a synchronisation taken in"),
    Event.SYNC_SEALED: N_("Synchronisation done"),
    Event.CONNECTOR_FAREWELL: N_("Connector said farewell"),
    Event.ENTRY_WRITTEN: N_("Entry written to a mailbox's list"),
    Event.ENTRY_WITHDRAWN: N_("Entry taken off a mailbox's list"),
    Event.ENTRY_CONFLICT: N_("Entry of somebody else in the way"),
    Event.ENTRY_REFUSED: N_("Write refused by Exchange"),
    Event.ENTRY_ALLOWED_BY_HAND: N_("Phone allowed by hand"),
    Event.OUTCOME_REFUSED: N_("Report of a connector not understood"),
    Event.SYNC_ABANDONED: N_("Synchronisation broken off"),
    Event.PIN_EXPIRED: N_("Pin ended"),
    Event.HOLD_OPENED: N_("Held by the guard"),
    Event.HOLD_EXPIRED: N_("Hold not decided in time"),
    Event.HOLD_OVER: N_("Nothing left in a hold"),
    Event.ALERT_TARGET_ADDED: N_("Target of alerts added"),
    Event.ALERT_TARGET_REMOVED: N_("Target of alerts removed"),
    Event.ALERT_TESTED: N_("Target of alerts tested"),
    Event.LEVEL_PUBLISHED: N_("Level published"),
    Event.NOTICE_SENT: N_("Notice sent"),
    Event.NOTICE_FAILED: N_("Notice not sent"),
    Event.NOTICE_SETTINGS: N_("Choices about notices changed"),
    Event.NOTICE_TEMPLATE: N_("Words of a notice changed"),
    Event.NOTICE_TESTED: N_("Test of a notice asked for"),
}
FIELDS: Mapping[str, str] = {
    "level": N_("Level"),
    "was": N_("Level before"),
    "reason": N_("Reason"),
    "why": N_("Why"),
    "until": N_("Until"),
    "by": N_("By"),
    "mailbox": N_("Mailbox"),
    "device_id": N_("Device ID"),
    "list": N_("List"),
    "revision": N_("Revision"),
    "controller": N_("Domain controller"),
    "lists": N_("Lists of the mailbox"),
    "name": N_("Name"),
    "slug": N_("Short name"),
    "roles": N_("Roles"),
    "sessions": N_("Sessions ended"),
    "sessions_ended": N_("Sessions ended"),
    "tickets_ended": N_("Tickets ended"),
    "ended": N_("Sessions ended"),
    "factors": N_("Signed in with"),
    "organization": N_("Organization"),
    "platform": N_("Platform"),
    "version": N_("Version"),
    "host": N_("Host"),
    "epoch": N_("Epoch"),
    "connector": N_("Connector"),
    "expires_at": N_("Valid until"),
    "kind": N_("Kind"),
    "sync_id": N_("Synchronisation"),
    "state": N_("State"),
    "devices": N_("Devices"),
    "mailboxes": N_("Mailboxes"),
    "gone": N_("Gone"),
    "missing": N_("Missing"),
    "digest": N_("Digest"),
    "part": N_("Part"),
    "rows": N_("Rows"),
    "changed": N_("Changed"),
    "cause": N_("Cause"),
    "subject": N_("About"),
    "outcomes": N_("Reports"),
    "lease_ended": N_("Lease ended"),
    "disabled": N_("Disabled"),
    "passkeys_required": N_("Passkeys required"),
    "ending": N_("Ending"),
    "file": N_("File"),
    "incarnation": N_("Incarnation"),
    "backup": N_("Backup of"),
    "language": N_("Language"),
    "base": N_("Version outside of the ring"),
    "ring": N_("Ring"),
    "pilot": N_("Pilot group"),
    "note": N_("Note"),
    "fresh_for": N_("Fresh for (seconds)"),
    "enabled": N_("Switched on"),
    "known": N_("Known"),
    "failing": N_("Not compliant"),
    "recovering": N_("Compliant again"),
    "told": N_("Told"),
}
SAID_ELSEWHERE = frozenset({"address"})
CHANGE = ("before", "after")
YES_NO = {True: N_("yes"), False: N_("no")}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that an event says: a label to be translated (empty: only ``name`` says it), and a value or a change.

    None is nothing. ``words``: the values are words of ours, to be translated.
    """

    label: str
    name: str
    value: str | None
    before: str | None = None
    changed: bool = False
    words: bool = False


def lines(body: Mapping[str, Any]) -> list[Line]:
    """What an event says, changes first."""
    changes = list(_changes(body))
    said = {*CHANGE, *SAID_ELSEWHERE, *(change.name for change in changes)}
    if "level" in said:
        said.add("was")
    plain = {name: value for name, value in body.items() if name not in said}
    return [*changes, *(_line(name, value) for name, value in plain.items() if value not in (None, "", [], {}))]


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as JSON values."""
    return {
        "event_id": str(row["event_id"]),
        "seq": row["seq"],
        "at": iso(row["at"]),
        "name": row["name"],
        "actor": row["actor"],
        "address": row["address"],
        "organization_id": str(row["organization_id"]) if row["organization_id"] else None,
        "body": row["body"],
    }


def _changes(body: Mapping[str, Any]) -> Iterator[Line]:
    """The fields that differ before and after; whole values where they are no fields."""
    if not any(name in body for name in CHANGE):
        return
    before, after = body.get("before"), body.get("after")
    if isinstance(before, Mapping | None) and isinstance(after, Mapping | None):
        old, new = before or {}, after or {}
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                words = isinstance(old.get(name, new.get(name)), bool)
                yield Line(FIELDS.get(name, ""), name, _text(new.get(name)), _text(old.get(name)), True, words)
    else:
        yield Line(FIELDS["state"], "state", _text(after), _text(before), True)


def _line(name: str, value: object) -> Line:
    return Line(FIELDS.get(name, ""), name, _text(value), words=isinstance(value, bool))


def _text(value: object) -> str | None:
    """A JSON value as people read it."""
    if value is None or value == "":
        return None
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(entry) or '-'}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_text(entry) or "-" for entry in value) or None
    return YES_NO[value] if isinstance(value, bool) else str(value)
