"""The rows of the tenant ``acme`` that no conversation with a connector makes: one in every table, by its columns."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tests.service.speaker import mailbox

SECRET = "Only-Acme-Knows"
START = datetime(2026, 1, 1, tzinfo=UTC)
PINNED_BY = UUID("6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11")
GROUP, PERSON, SOURCE, HOLD, ADOPTION, NOTICE = (uuid4() for _ in range(6))

Rows = dict[str, dict[str, Any]]  # by table


def rows(organization: UUID, administrator: UUID) -> Rows:
    """All of them, in an order in which each finds what it refers to."""
    key = {"organization_id": organization, "mailbox_guid": UUID(mailbox(0)[0]), "device_id": SECRET}
    return (
        _people()
        | _compliance()
        | {"pre_approvals": {**key, "device_id": "dev00000", "until_at": datetime.now(UTC)}}
        | _policies()
        | _decisions(key)
        | _holds(key)
        | _notices(key)
        | _entries(key)
        | _asked(organization)
        | _administrators(administrator)
    )


def _people() -> Rows:
    """A person in a group, with an address."""
    return {
        "audiences": {"audience_id": uuid4(), "group_ids": [GROUP]},
        "people": {"person_id": PERSON, "upn": SECRET, "external_id": SECRET, "managed": "unknown"},
        "groups": {"group_id": GROUP, "external_id": SECRET, "name": SECRET},
        "memberships": {"group_id": GROUP, "person_id": PERSON},
        "person_addresses": {"address": "user0@example.test", "person_id": PERSON, "mail": True},
    }


def _compliance() -> Rows:
    """A source with a record that is linked to a device."""
    record = {"source_id": SOURCE, "managed_id": SECRET}
    return {
        "sources": {"source_id": SOURCE, "name": SECRET},
        "compliance_records": {
            **record,
            "state": "compliant",
            "since": datetime.now(UTC),
            "checked_at": datetime.now(UTC),
            "user_name": SECRET.lower(),
            "person_id": PERSON,
            "device_ids": ["dev00000"],
        },
        "links": {**record, "device_id": "dev00000"},
    }


def _policies() -> Rows:
    """What the tenant chose: a version, its rollout, and settings."""
    return {
        "policies": {"version": 1, "document": Jsonb({}), "made_by": SECRET, "made_id": uuid4()},
        "rollouts": {"version": 1, "began_by": SECRET, "began_id": uuid4()},
        "guard_settings": {
            "take": 1,
            "asked_take": 2,
            "asked_id": uuid4(),
            "asked_by": SECRET,
            "asked_at": datetime.now(UTC),
        },
        "tenant_settings": {"authority": "exchange", "chosen_by": SECRET},
        "sign_in_rules": {"passkeys_required": True},
        "alert_targets": {"kind": "mail", "address": SECRET, "language": "en", "made_by": SECRET},
    }


def _decisions(key: dict[str, Any]) -> Rows:
    """What is decided and published of a device, and what an administrator pinned."""
    organization = key["organization_id"]
    return {
        "decisions": {
            **key,
            "beyond": SECRET,
            "level": "leave",
            "reason": "policy-off",
            "review_at": datetime.now(UTC),
        },
        "decisions_due": {**key, "cause": "policy"},
        "org_settings": {
            "organization_id": organization,
            "default_level": "Allow",
            "settings": Jsonb({"name": SECRET}),
        },
        "findings": {"organization_id": organization, "origin": "sync", "code": SECRET},
        "desired": {**key, "level": "leave", "revision": 1},
        "pins": {**key, "level": "allow", "reason": SECRET, "by": SECRET, "until": datetime.now(UTC)},
    }


def _holds(key: dict[str, Any]) -> Rows:
    """A hold with a device, and a budget that was used."""
    organization = key["organization_id"]
    return {
        "holds": {
            "organization_id": organization,
            "hold_id": HOLD,
            "verb": "take",
            "cause": "policy",
            "why": SECRET,
            "gathers_until": datetime.now(UTC) + timedelta(hours=1),
            "expires_at": datetime.now(UTC) + timedelta(days=7),
        },
        "hold_items": {
            **key,
            "hold_id": HOLD,
            "level": "block",
            "reason": SECRET,
            "before_state": "allowed",
            "after_state": "blocked",
            "after_step": "blocked-list",
        },
        "budget_uses": {"organization_id": organization, "verb": "take", "mailbox_guid": key["mailbox_guid"]}
        | {"pinned_by": PINNED_BY},
    }


def _notices(key: dict[str, Any]) -> Rows:
    """A notice that tells of a device, with the settings and a template of the tenant's own."""
    return {
        "notice_settings": {"contact": SECRET},
        "notice_templates": {
            "kind": "blocked",
            "language": "en",
            "subject": SECRET,
            "body": SECRET,
            "changed_by": SECRET,
        },
        "notices": {
            "organization_id": key["organization_id"],
            "notice_id": NOTICE,
            "mailbox_guid": key["mailbox_guid"],
            "about": "devices",
            "recipient": SECRET,
        },
        "notice_items": {**key, "since": START, "kind": "allowed", "notice_id": NOTICE},
    }


def _entries(key: dict[str, Any]) -> Rows:
    """An entry that was adopted."""
    return {
        "adoptions": {
            "organization_id": key["organization_id"],
            "adoption_id": ADOPTION,
            "how": "all",
            "entries": 1,
            "digest": SECRET,
            "adopted_by": SECRET,
        },
        "list_entries": {
            **key,
            "list": "allow",
            "ownership": "intended",
            "intended_revision": 1,
            "adoption_id": ADOPTION,
            "kept": True,
        },
    }


def _asked(organization: UUID) -> Rows:
    """What was asked of an organization: a setting, another default level, and its removal."""
    asked = {
        "organization_id": organization,
        "state": "asked",
        "digest": SECRET,
        "losing": 1,
        "asked_id": uuid4(),
        "asked_by": SECRET,
    }
    return {
        "wishes": {
            "organization_id": organization,
            "name": "default-level",
            "value": "block",
            "known_as": ["allow"],
            "made_by": SECRET,
        },
        "default_switches": {**asked, "level": "block", "was": "allow", "gaining": 0},
        "removals": {**asked, "ending": "undo", "gaining": 1, "entries": 1},
    }


def _administrators(administrator: UUID) -> Rows:
    """How an administrator signs in, and is let in."""
    who = {"administrator_id": administrator}
    return {
        "sessions": {**who, "secret_hash": b"x"},
        "passkeys": {**who, "credential_id": b"x", "public_key": b"x", "sign_count": 1, "name": SECRET},
        "passkey_challenges": {**who, "challenge": b"x", "purpose": "second"},
        "invitations": {
            **who,
            "code_hash": b"x",
            "made_by": SECRET,
            "expires_at": datetime(2099, 1, 1, tzinfo=UTC),
        },
    }
