-- name: load
-- What decisions about these device ids look at. Single keys are looked up, so that no plan for empty tables compares
-- everything with everything. mine: the lists whose entry of this id is ours, or was taken off after they were read;
-- kept: those of them that were adopted and stay as long as nothing but leave is published; ahead: the id stands published
-- as approved ahead in another spelling.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT k.mailbox_guid, k.device_id, v.guid, v.family, v.device_type, v.model, v.os, f.os_version, v.user_agent,
       v.client_type, v.access_state, v.access_state_reason,
       coalesce(v.first_sync_at, v.first_seen) AS first_seen, v.last_success_sync_at, v.known, v.managed,
       v.managed_since, m.primary_smtp, m.kind, m.gone_at IS NOT NULL AS mailbox_gone, m.eas_enabled, m.allowed_ids,
       m.blocked_ids, h.person_id, h.audience_id,
       coalesce(h.managed, 'unknown') AS person_managed, h.managed_since AS person_managed_since,
       n.level AS pin_level, n.until AS pin_until, d.level AS published, d.reason AS said,
       p.level, p.reason, p.rule, p.inputs, p.until, p.warns, p.review_at, p.announce, p.beyond, e.mine, e.kept,
       w.level IS NOT NULL AS ahead
FROM (SELECT DISTINCT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS u (mailbox_guid, device_id)) k
JOIN LATERAL (
    SELECT * FROM devices
    WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid AND device_id = k.device_id
      AND gone_at IS NULL
    ORDER BY last_success_sync_at DESC NULLS LAST, guid LIMIT 1
) v ON true
JOIN LATERAL (SELECT os_version FROM device_facts WHERE facts_id = v.facts_id OFFSET 0) f ON true
JOIN LATERAL (
    SELECT * FROM mailboxes WHERE organization_id = %(organization_id)s AND guid = k.mailbox_guid OFFSET 0
) m ON true
LEFT JOIN LATERAL (
    SELECT person_id, audience_id, managed, managed_since FROM people WHERE person_id = m.person_id OFFSET 0
) h ON true
LEFT JOIN LATERAL (
    SELECT level, until FROM pins WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid
                                    AND device_id = k.device_id OFFSET 0
) n ON true
LEFT JOIN LATERAL (
    SELECT level, reason FROM desired WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid
                                        AND device_id = k.device_id OFFSET 0
) d ON true
LEFT JOIN LATERAL (
    SELECT level FROM desired WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid
                                AND device_id = v.folded_id AND device_id <> k.device_id
                                AND level = 'allow' AND reason = 'pre-approved' OFFSET 0
) w ON true
LEFT JOIN LATERAL (
    SELECT * FROM decisions WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid
                              AND device_id = k.device_id OFFSET 0
) p ON true
LEFT JOIN LATERAL (
    SELECT coalesce(array_agg(l.list) FILTER (
        WHERE l.ownership IN ('ours', 'presumed') OR (l.ownership = 'intended' AND NOT l.present_before)
           OR (l.ownership = 'withdrawn' AND l.since > m.lists_read_at)), '{}') AS mine,
           coalesce(array_agg(l.list) FILTER (WHERE l.kept), '{}') AS kept
    FROM list_entries l
    WHERE l.organization_id = %(organization_id)s AND l.mailbox_guid = k.mailbox_guid
      AND lower(l.device_id) = lower(k.device_id)
) e ON true

-- name: audiences
-- The groups of each of these audiences.
-- example: {"audience_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT audience_id, group_ids FROM audiences WHERE audience_id = ANY(%(audience_ids)s)

-- name: source
-- Whether there are compliance sources, and whether each spoke lately and is believed.
-- example: {"now": "2026-01-01T00:00:00Z"}
SELECT CASE WHEN count(*) = 0 THEN 'none'
            WHEN bool_and(held IS NULL AND coalesce(fresh_at + make_interval(secs => fresh_for) >= %(now)s, false)) THEN 'fresh'
            ELSE 'stale' END AS source
FROM sources WHERE enabled

-- name: settings
-- What decides at Exchange where no list does, as last read.
-- example: {"organization_id": ""}
SELECT default_level, settings -> 'rules' AS rules FROM org_settings WHERE organization_id = %(organization_id)s

-- name: write
-- What is decided of device ids, in place of what was decided; since stays while level and reason do.
-- example: {"organization_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "level": "leave", "reason": "policy-off", "rule": null, "inputs": {}, "until": null, "warns": false, "policy_version": null, "review_at": null, "announce": null, "beyond": null}]}}
INSERT INTO decisions AS p (
    organization_id, mailbox_guid, device_id, level, reason, rule, inputs, until, warns, policy_version, review_at,
    announce, beyond
)
SELECT %(organization_id)s::uuid, r.mailbox_guid, r.device_id, r.level, r.reason, r.rule, r.inputs, r.until, r.warns,
       r.policy_version, r.review_at, r.announce, r.beyond
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, level text, reason text, rule text, inputs jsonb, until timestamptz,
    warns boolean, policy_version integer, review_at timestamptz, announce text, beyond text)
ORDER BY r.mailbox_guid, r.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    level = excluded.level, reason = excluded.reason, rule = excluded.rule, inputs = excluded.inputs,
    until = excluded.until, warns = excluded.warns, policy_version = excluded.policy_version, decided_at = now(),
    since = CASE WHEN (p.level, p.reason) = (excluded.level, excluded.reason) THEN p.since ELSE now() END,
    review_at = excluded.review_at, announce = excluded.announce, beyond = excluded.beyond
WHERE (p.level, p.reason, p.rule, p.inputs, p.until, p.warns, p.policy_version, p.review_at, p.announce, p.beyond)
      IS DISTINCT FROM
      (excluded.level, excluded.reason, excluded.rule, excluded.inputs, excluded.until, excluded.warns,
       excluded.policy_version, excluded.review_at, excluded.announce, excluded.beyond)

-- name: published
-- What is published of these device ids.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT d.mailbox_guid, d.device_id, d.level, d.reason
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN desired d ON d.organization_id = %(organization_id)s AND d.mailbox_guid = k.mailbox_guid
              AND d.device_id = k.device_id

-- name: forget_review
-- These are not looked at again by time alone.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
UPDATE decisions p SET review_at = NULL
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
WHERE p.organization_id = %(organization_id)s AND p.mailbox_guid = k.mailbox_guid AND p.device_id = k.device_id
  AND p.review_at IS NOT NULL

-- name: beyond
-- How many devices are to have a level that Exchange cannot express, by what keeps it from that.
-- example: {"organization_id": ""}
SELECT beyond, count(*) AS devices FROM decisions
WHERE organization_id = %(organization_id)s AND beyond IS NOT NULL
GROUP BY beyond ORDER BY beyond
