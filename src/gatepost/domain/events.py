"""What can happen, for the audit trail: ``source:subject:action``, one list.

The source is who acts: ``operator`` (the command line, straight to the database), ``console`` (an administrator, by
browser or script), ``connector``, ``service`` (itself, by a job).
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Event(StrEnum):
    """Every event there is."""

    DATABASE_RESTORED = "operator:database:restored"
    TENANT_CREATED = "operator:tenant:created"
    ADMINISTRATOR_CREATED = "operator:administrator:created"
    ADMINISTRATOR_PASSWORD = "operator:administrator:password-set"  # noqa: S105 - what happened, no secret
    ADMINISTRATOR_ADDED = "console:administrator:added"
    TICKET_CREATED = "operator:ticket:created"
    SESSION_OPENED = "console:session:opened"
    SESSION_REFUSED = "console:session:refused"
    SESSION_CLOSED = "console:session:closed"
    SESSION_STEP_UP = "console:session:stepped-up"
    PASSKEY_ADDED = "console:passkey:added"
    PASSKEY_REFUSED = "console:passkey:refused"
    PASSKEY_RENAMED = "console:passkey:renamed"
    PASSKEY_REMOVED = "console:passkey:removed"
    PASSWORD_CHANGED = "console:password:changed"  # noqa: S105 - what happened, no secret
    ADMINISTRATOR_ROLES = "console:administrator:roles-changed"
    ADMINISTRATOR_DISABLED = "console:administrator:disabled"
    ADMINISTRATOR_ENABLED = "console:administrator:enabled"
    ADMINISTRATOR_INVITED = "console:administrator:invited"
    INVITATION_USED = "console:invitation:used"
    INVITATION_REFUSED = "console:invitation:refused"
    SIGN_IN_RULES = "console:sign-in:rules-changed"
    SESSIONS_ENDED = "console:session:ended"
    SYNC_REQUESTED = "console:sync:requested"
    SYNC_ACCEPTED = "console:sync:accepted"
    PACKAGE_MADE = "console:package:made"
    AUTHORITY_CHOSEN = "console:authority:chosen"
    WRITING_STOPPED = "console:writing:stopped"
    WRITING_RELEASED = "console:writing:released"
    REMOVAL_ASKED = "console:removal:asked"
    REMOVAL_APPROVED = "console:removal:approved"
    REMOVAL_BEGUN = "console:removal:begun"
    REMOVAL_CANCELLED = "console:removal:cancelled"
    REMOVAL_FILE = "console:removal:file-taken"
    CONNECTION_REMOVED = "console:connection:removed"
    HOLD_APPROVED = "console:hold:approved"
    HOLD_REFUSED = "console:hold:refused"
    HOLD_REOPENED = "console:hold:reopened"
    BUDGETS_ASKED = "console:budgets:asked"
    BUDGETS_SET = "console:budgets:set"
    BUDGETS_REFUSED = "console:budgets:refused"
    ENTRIES_ADOPTED = "console:entries:adopted"
    ENTRIES_RETURNED = "console:entries:returned"
    DEVICES_KNOWN = "console:devices:known"
    DEFAULT_ASKED = "console:default-level:asked"
    DEFAULT_APPROVED = "console:default-level:approved"
    DEFAULT_DROPPED = "console:default-level:dropped"
    PIN_SET = "console:pin:set"
    PIN_REMOVED = "console:pin:removed"
    SETTING_WISHED = "console:setting:wished"
    SETTING_WITHDRAWN = "console:setting:withdrawn"
    SETTING_CHANGED = "connector:setting:changed"
    SETTING_CONFLICT = "connector:setting:conflict"
    POLICY_SAVED = "console:policy:saved"
    ROLLOUT_BEGUN = "console:rollout:begun"
    ROLLOUT_ADVANCED = "console:rollout:advanced"
    ROLLOUT_STOPPED = "console:rollout:stopped"
    ROLLOUT_RESUMED = "console:rollout:resumed"
    POLICY_ROLLED_BACK = "console:policy:rolled-back"
    ROLLOUT_WIDENED = "service:rollout:advanced"
    ROLLOUT_HALTED = "service:rollout:stopped"
    CONNECTOR_ENROLLED = "connector:connector:enrolled"
    CONNECTOR_REVOKED = "console:connector:revoked"
    CERTIFICATE_RENEWED = "connector:certificate:renewed"
    LATE_RENEWAL_ALLOWED = "console:certificate:late-renewal-allowed"
    SYNC_HELD = "connector:sync:held"
    SYNC_MERGED = "connector:sync:merged"
    SYNC_SEALED = "connector:sync:sealed"
    CONNECTOR_FAREWELL = "connector:connector:farewell"
    ENTRY_WRITTEN = "connector:entry:written"
    ENTRY_WITHDRAWN = "connector:entry:withdrawn"
    ENTRY_CONFLICT = "connector:entry:conflict"
    ENTRY_REFUSED = "connector:entry:refused"
    ENTRY_ALLOWED_BY_HAND = "connector:entry:allowed-by-hand"
    OUTCOME_REFUSED = "service:outcome:refused"
    SYNC_ABANDONED = "service:sync:abandoned"
    PIN_EXPIRED = "service:pin:expired"
    HOLD_OPENED = "service:hold:opened"
    HOLD_EXPIRED = "service:hold:expired"
    HOLD_OVER = "service:hold:over"
    ALERT_TARGET_ADDED = "console:alert-target:added"
    ALERT_TARGET_REMOVED = "console:alert-target:removed"
    ALERT_TESTED = "console:alert-target:tested"
    LEVEL_PUBLISHED = "service:level:published"


def body_hash(body: Mapping[str, Any]) -> bytes:
    """SHA-256 of an event's body as canonical JSON."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()
