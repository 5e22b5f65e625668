-- name: plan_keys
-- Look up single keys again, after sets were joined by hashing (merge.plan_sets).
SELECT set_config('enable_nestloop', 'on', true) AS nestloop

-- name: mark_ids
-- Ids that might be approved ahead, or are, among these.
-- example: {"ids": ["x"], "cause": "source", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT c.organization_id, c.mailbox_guid, c.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM pre_approval_candidates c
JOIN organizations o ON o.organization_id = c.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE c.device_id = ANY(%(ids)s)
  AND (c.stands OR EXISTS (
      SELECT FROM rollouts w JOIN policies p ON p.version IN (w.version, w.base)
      WHERE (p.document -> 'pre_approval' ->> 'enabled')::boolean))
ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_mailboxes
-- Ids that might be approved ahead, or are, in these mailboxes.
-- example: {"guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "cause": "source", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT c.organization_id, c.mailbox_guid, c.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM pre_approval_candidates c
JOIN organizations o ON o.organization_id = c.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE c.mailbox_guid = ANY(%(guids)s)
  AND (c.stands OR EXISTS (
      SELECT FROM rollouts w JOIN policies p ON p.version IN (w.version, w.base)
      WHERE (p.document -> 'pre_approval' ->> 'enabled')::boolean))
ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: mark_all
-- All ids that might be approved ahead, or are.
-- example: {"cause": "policy", "ref": "", "by_id": null}
INSERT INTO decisions_due AS d (organization_id, mailbox_guid, device_id, cause, ref, by_id)
SELECT DISTINCT c.organization_id, c.mailbox_guid, c.device_id, %(cause)s, %(ref)s, %(by_id)s::uuid
FROM pre_approval_candidates c
JOIN organizations o ON o.organization_id = c.organization_id AND o.state NOT IN ('removing', 'removed')
WHERE (c.stands OR EXISTS (
      SELECT FROM rollouts w JOIN policies p ON p.version IN (w.version, w.base)
      WHERE (p.document -> 'pre_approval' ->> 'enabled')::boolean))
ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    cause = excluded.cause, ref = excluded.ref, by_id = excluded.by_id
WHERE gatepost_is_behind(excluded.cause, d.cause)

-- name: came
-- Devices came whose ids were approved ahead: those are used. The ones that stand there in another spelling.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
WITH used AS (
    UPDATE pre_approvals a SET ended_at = now()
    FROM devices d
    WHERE d.organization_id = %(organization_id)s AND d.guid = ANY(%(guids)s) AND d.mailbox_guid IS NOT NULL
      AND a.organization_id = %(organization_id)s AND a.mailbox_guid = d.mailbox_guid AND a.device_id = d.folded_id
      AND a.ended_at IS NULL
    RETURNING a.mailbox_guid, a.device_id, d.device_id AS spelt
)
SELECT mailbox_guid, device_id FROM used WHERE device_id <> spelt

-- name: load
-- What an approval ahead of these ids looks at, where the mailbox was seen, no device of it has the id, and nobody pinned
-- it; such ids are in lower case. mine: lists whose entry of the id is ours.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT k.mailbox_guid, k.device_id, m.primary_smtp, m.kind, m.gone_at IS NOT NULL AS mailbox_gone, m.eas_enabled,
       m.allowed_ids, m.blocked_ids, m.person_id, h.audience_id, d.level AS published, d.reason AS said, e.mine, e.kept,
       a.made_at, a.ended_at, v.managed, v.since,
       (SELECT count(*) FROM pre_approvals b
        WHERE b.organization_id = %(organization_id)s AND b.mailbox_guid = k.mailbox_guid AND b.ended_at IS NULL
          AND b.device_id <> k.device_id) AS others
FROM (SELECT DISTINCT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS u (mailbox_guid, device_id)) k
JOIN LATERAL (
    SELECT * FROM mailboxes WHERE organization_id = %(organization_id)s AND guid = k.mailbox_guid OFFSET 0
) m ON true
LEFT JOIN LATERAL (SELECT audience_id FROM people WHERE person_id = m.person_id OFFSET 0) h ON true
LEFT JOIN LATERAL (
    SELECT level, reason FROM desired WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid
                                        AND device_id = k.device_id OFFSET 0
) d ON true
LEFT JOIN LATERAL (
    SELECT made_at, ended_at FROM pre_approvals
    WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid AND device_id = k.device_id OFFSET 0
) a ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN count(*) = 0 THEN 'unmanaged'
                WHEN bool_or(r.user_name <> '' AND r.person_id IS DISTINCT FROM m.person_id)
                     OR count(DISTINCT r.state) > 1 OR NOT bool_or(coalesce(r.person_id = m.person_id, false)) THEN 'unknown'
                ELSE min(r.state) END AS managed, max(r.since) AS since
    FROM (SELECT source_id, managed_id FROM links WHERE device_id = k.device_id OFFSET 0) AS l
    CROSS JOIN LATERAL (
        SELECT * FROM compliance_records WHERE source_id = l.source_id AND managed_id = l.managed_id OFFSET 0
    ) AS r
    WHERE l.source_id = ANY(ARRAY(SELECT source_id FROM sources WHERE enabled)) OFFSET 0
) v
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(l.list) FILTER (
        WHERE l.ownership IN ('ours', 'presumed') OR (l.ownership = 'intended' AND NOT l.present_before)
           OR (l.ownership = 'withdrawn' AND l.since > m.lists_read_at)), '{}') AS mine,
           coalesce(array_agg(l.list) FILTER (WHERE l.kept), '{}') AS kept
    FROM list_entries l
    WHERE l.organization_id = %(organization_id)s AND l.mailbox_guid = k.mailbox_guid
      AND lower(l.device_id) = k.device_id
) e
WHERE k.device_id = lower(k.device_id)
  AND NOT EXISTS (SELECT FROM devices b WHERE b.organization_id = %(organization_id)s
                                          AND b.mailbox_guid = k.mailbox_guid AND b.folded_id = k.device_id)
  AND NOT EXISTS (SELECT FROM pins i WHERE i.organization_id = %(organization_id)s AND i.mailbox_guid = k.mailbox_guid
                                       AND lower(i.device_id) = k.device_id)

-- name: superseded
-- Ids that stand published ahead although a device has them, in another spelling, and something is published of that one.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT DISTINCT d.mailbox_guid, d.device_id
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN desired d ON d.organization_id = %(organization_id)s AND d.mailbox_guid = k.mailbox_guid
              AND d.device_id = k.device_id AND d.reason = 'pre-approved' AND d.level = 'allow'
JOIN devices b ON b.organization_id = %(organization_id)s AND b.mailbox_guid = d.mailbox_guid
              AND b.folded_id = d.device_id AND b.device_id <> d.device_id
JOIN desired w ON w.organization_id = %(organization_id)s AND w.mailbox_guid = b.mailbox_guid
              AND w.device_id = b.device_id

-- name: keep
-- Ids that are approved ahead from now on, and those that no longer are.
-- example: {"organization_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "until_at": "2100-01-01T00:00:00Z"}]}}
INSERT INTO pre_approvals AS a (organization_id, mailbox_guid, device_id, until_at, ended_at)
SELECT %(organization_id)s::uuid, r.mailbox_guid, r.device_id, coalesce(r.until_at, now()),
       CASE WHEN r.until_at IS NULL THEN now() END
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (mailbox_guid uuid, device_id text, until_at timestamptz)
ORDER BY r.mailbox_guid, r.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    until_at = excluded.until_at, ended_at = CASE WHEN excluded.ended_at IS NOT NULL THEN coalesce(a.ended_at, now()) END,
    made_at = CASE WHEN excluded.ended_at IS NULL AND a.ended_at IS NOT NULL THEN now() ELSE a.made_at END
