-- name: mark
-- These device ids are to be decided. Behind what is due already is the last person who asked for something, for that is
-- what is decided then; else an approved hold; else who told last of what is so. Where nothing was rolled out, only what
-- was held is there to be decided.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT %(organization_id)s::uuid, k.mailbox_guid, k.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
WHERE %(cause)s::text = 'hold' OR EXISTS (SELECT FROM rollouts)
ORDER BY k.mailbox_guid, k.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_mailboxes
-- Every device of these mailboxes.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT v.organization_id, v.mailbox_guid, v.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM devices v
JOIN organizations o ON o.organization_id = v.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE EXISTS (SELECT FROM rollouts) AND v.organization_id = %(organization_id)s AND v.mailbox_guid = ANY(%(guids)s)
  AND v.gone_at IS NULL AND v.mailbox_guid IS NOT NULL AND octet_length(v.device_id) BETWEEN 1 AND 1000
ORDER BY v.organization_id, v.mailbox_guid, v.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_people
-- Every device of these people.
-- example: {"person_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT v.organization_id, v.mailbox_guid, v.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM devices v
JOIN organizations o ON o.organization_id = v.organization_id AND o.state NOT IN ('removing', 'removed')
JOIN mailboxes m ON m.organization_id = v.organization_id AND m.guid = v.mailbox_guid
WHERE EXISTS (SELECT FROM rollouts) AND m.person_id = ANY(%(person_ids)s)
  AND v.gone_at IS NULL AND v.mailbox_guid IS NOT NULL AND octet_length(v.device_id) BETWEEN 1 AND 1000
ORDER BY v.organization_id, v.mailbox_guid, v.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_device_ids
-- Every device with one of these ids, whatever their case.
-- example: {"folded_ids": ["x"], "cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT v.organization_id, v.mailbox_guid, v.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM devices v
JOIN organizations o ON o.organization_id = v.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE EXISTS (SELECT FROM rollouts) AND v.folded_id = ANY(%(folded_ids)s)
  AND v.gone_at IS NULL AND v.mailbox_guid IS NOT NULL AND octet_length(v.device_id) BETWEEN 1 AND 1000
ORDER BY v.organization_id, v.mailbox_guid, v.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_all
-- Every device.
-- example: {"cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT v.organization_id, v.mailbox_guid, v.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM devices v
JOIN organizations o ON o.organization_id = v.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE EXISTS (SELECT FROM rollouts)
  AND v.gone_at IS NULL AND v.mailbox_guid IS NOT NULL AND octet_length(v.device_id) BETWEEN 1 AND 1000
ORDER BY v.organization_id, v.mailbox_guid, v.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_decided
-- Devices that were decided for one of these reasons, or keep a decision because of one.
-- example: {"reasons": ["policy-off"], "cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT p.organization_id, p.mailbox_guid, p.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM decisions p
JOIN organizations o ON o.organization_id = p.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE p.reason = ANY(%(reasons)s) OR p.inputs ->> 'kept' = ANY(%(reasons)s)
ORDER BY p.organization_id, p.mailbox_guid, p.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_levels
-- Devices that were decided to have one of these levels.
-- example: {"organization_id": "", "levels": ["leave"], "cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT p.organization_id, p.mailbox_guid, p.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM decisions p
JOIN organizations o ON o.organization_id = p.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE p.organization_id = %(organization_id)s AND p.level = ANY(%(levels)s)
ORDER BY p.organization_id, p.mailbox_guid, p.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_overdue
-- Devices whose decision was to be looked at again by now.
-- example: {"cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT p.organization_id, p.mailbox_guid, p.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM decisions p
JOIN organizations o ON o.organization_id = p.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE p.review_at <= now()
ORDER BY p.organization_id, p.mailbox_guid, p.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_staged_devices
-- Devices about to be merged that differ in what a decision looks at. When a device last synchronised matters to those
-- that a rule decided; of others, a decision that waits for a time looks then.
-- example: {"organization_id": "", "cause": "sync", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT %(organization_id)s::uuid, s.mailbox_guid, s.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM staged_devices s
LEFT JOIN LATERAL (
    SELECT * FROM devices WHERE organization_id = %(organization_id)s AND guid = s.guid OFFSET 0
) v ON true
LEFT JOIN LATERAL (
    SELECT level, rule FROM decisions
    WHERE organization_id = %(organization_id)s AND mailbox_guid = s.mailbox_guid AND device_id = s.device_id OFFSET 0
) p ON true
WHERE EXISTS (SELECT FROM rollouts) AND s.mailbox_guid IS NOT NULL AND octet_length(s.device_id) BETWEEN 1 AND 1000
  AND (v.guid IS NULL OR p.level IS NULL OR v.gone_at IS NOT NULL
       OR (v.facts_id, v.mailbox_guid, v.device_id, v.access_state, v.access_state_reason, v.first_sync_at)
          IS DISTINCT FROM
          (s.facts_id, s.mailbox_guid, s.device_id, s.access_state, s.access_state_reason, s.first_sync_at)
       OR (p.rule IS NOT NULL AND v.last_success_sync_at IS DISTINCT FROM s.last_success_sync_at))
ORDER BY s.mailbox_guid, s.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_staged_mailboxes
-- Devices of mailboxes that were just merged.
-- example: {"organization_id": "", "cause": "sync", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT v.organization_id, v.mailbox_guid, v.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM devices v
WHERE EXISTS (SELECT FROM rollouts) AND v.organization_id = %(organization_id)s
  AND v.mailbox_guid = ANY(ARRAY(SELECT guid FROM staged_mailboxes))
  AND v.gone_at IS NULL AND octet_length(v.device_id) BETWEEN 1 AND 1000
ORDER BY v.organization_id, v.mailbox_guid, v.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: organizations
-- The organizations in which something is due. One that is being removed, or never had a connector, decides nothing.
SELECT o.organization_id FROM organizations o
JOIN desired_heads h ON h.organization_id = o.organization_id
WHERE o.state NOT IN ('removing', 'removed')
  AND EXISTS (SELECT FROM decisions_due d WHERE d.organization_id = o.organization_id)
ORDER BY o.organization_id

-- name: take
-- Some that are due, the oldest first and the bulk last; those that somebody marks just now are for the next time.
-- example: {"organization_id": "", "limit": 10}
SELECT mailbox_guid, device_id, cause, ref, by_id FROM decisions_due
WHERE organization_id = %(organization_id)s
ORDER BY bulk, due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: done
-- These are decided.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
DELETE FROM decisions_due d
USING unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
WHERE d.organization_id = %(organization_id)s AND d.mailbox_guid = k.mailbox_guid AND d.device_id = k.device_id
