"""What happens to acme's rows before its statements are tried, so that each of them finds something to act on."""

from typing import Any, LiteralString
from uuid import UUID

from tests.service.filled.rows import SECRET, START
from tests.service.speaker import device

Change = tuple[LiteralString, list[Any]]


def changes(acme: UUID) -> list[Change]:
    """All of them, in order: a device that is gone, a head, a request, and what lies in more than one state."""
    return [
        *_alerts(acme),
        *_devices(acme),
        *_decided(),
        *_notices(),
        *_syncs(),
    ]


def _alerts(acme: UUID) -> list[Change]:
    """An alert that lasts and one that is over, and a message of each state about the first."""
    return [
        (
            "INSERT INTO alerts (tenant_id, condition, subject, detail, seen_at, begun_at, ended_at) "
            "VALUES (%s, 'a', %s, 'x', now(), now(), NULL), (%s, 'b', %s, 'x', now(), now(), now())",
            [acme, SECRET, acme, SECRET],
        ),
        (
            "INSERT INTO alert_deliveries (tenant_id, target_id, alert_id, what, state, made_at, next_at, "
            "claimed_at, ended_at, error) SELECT tenant_id, target_id, alert_id, 'begin', state, now(), now(), "
            "now(), CASE WHEN state = 'sent' THEN now() END, %s "
            "FROM alert_targets JOIN alerts USING (tenant_id), unnest(ARRAY['waiting', 'sending', 'sent']) AS s "
            "(state) WHERE condition = 'a'",
            [SECRET],
        ),
    ]


def _devices(acme: UUID) -> list[Change]:
    """A device that is gone and one named twice; an entry of ours; an administrator and writing that were stopped."""
    return [
        ("UPDATE devices SET gone_at = now() WHERE guid = %s", [UUID(device(3)[0])]),
        ("UPDATE devices SET device_id = 'DEV00000' WHERE guid = %s", [UUID(device(1)[0])]),
        (
            "INSERT INTO list_entries (tenant_id, organization_id, mailbox_guid, device_id, list, ownership) "
            "SELECT tenant_id, organization_id, mailbox_guid, device_id, 'allow', 'ours' FROM devices WHERE guid = %s",
            [UUID(device(0)[0])],
        ),
        ("INSERT INTO administrators (tenant_id, name, disabled_at) VALUES (%s, 'disabled', now())", [acme]),
        (
            "UPDATE organizations SET writing_stopped_at = now(), writing_stopped_by = %s, writing_stopped_why = %s",
            [SECRET, SECRET],
        ),
    ]


def _decided() -> list[Change]:
    """What was published for somebody unseen; decisions that are told; what a connector said of each."""
    return [
        ("UPDATE desired_heads SET revision = 1", []),
        (
            "INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, reason, revision) "
            "SELECT tenant_id, organization_id, mailbox_guid, device_id, 'allow', 'pre-approved', 1 "
            "FROM pre_approvals",
            [],
        ),
        (
            "INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, reason, revision) "
            "SELECT tenant_id, organization_id, mailbox_guid, 'DEV00000', 'leave', 'excluded', 1 FROM pre_approvals",
            [],
        ),
        (
            "INSERT INTO decisions (tenant_id, organization_id, mailbox_guid, device_id, level, reason) "
            "SELECT tenant_id, organization_id, mailbox_guid, 'DEV00000', 'leave', 'excluded' FROM pre_approvals",
            [],
        ),
        ("UPDATE outcomes SET took_away = true", []),
        ("UPDATE decisions SET announce = 'allowed', since = %s", [START]),
        (
            "UPDATE desired SET result = 'applied', result_revision = revision, result_memory = 0, result_at = %s",
            [START],
        ),
        ('UPDATE checkins SET status = status || \'{"mode": "enforce"}\'', []),
    ]


def _notices() -> list[Change]:
    """A notice that was claimed, and one that waits."""
    return [
        (
            "INSERT INTO notices (tenant_id, notice_id, organization_id, mailbox_guid, about, state, permit, "
            "made_at, claimed_at) SELECT tenant_id, gen_random_uuid(), organization_id, mailbox_guid, about, "
            "state, gen_random_uuid(), '2099-01-01', CASE state WHEN 'claimed' THEN timestamptz '2099-01-01' END "
            "FROM (SELECT tenant_id, organization_id, mailbox_guid, about FROM notices) AS n, "
            "unnest(ARRAY['claimed', 'waiting']) AS s (state)",
            [],
        )
    ]


def _syncs() -> list[Change]:
    """A finding of the service, a synchronisation that was asked for, one that was accepted, and one that is held."""
    sync: LiteralString = (
        "INSERT INTO syncs (tenant_id, organization_id, sync_id, connector_id, epoch, kind, state, digest, "
        "announced_devices, announced_mailboxes, why, ended_at, accepted_at) "
        "SELECT tenant_id, organization_id, %s, connector_id, epoch, 'full', %s, '', 1, 1, %s, "
        "now() + make_interval(secs => %s), now() FROM connectors"
    )
    return [
        (
            "INSERT INTO findings (tenant_id, organization_id, origin, code, subject) "
            "SELECT tenant_id, organization_id, 'service', code, code FROM findings WHERE origin = 'sync'",
            [],
        ),
        ("UPDATE organizations SET sync_requested = 'quick', sync_requested_at = '2026-01-01'", []),
        (sync, ["accepted", "accepted", SECRET, 1]),
        (sync, ["held", "held", SECRET, 2]),
    ]
