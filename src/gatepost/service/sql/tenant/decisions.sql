-- name: load
-- What decisions about these device ids look at. Single keys are looked up, so that no plan for empty tables compares
-- everything with everything. mine: the lists whose entry of this id is ours, or was taken off after they were read.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT k.mailbox_guid, k.device_id, v.guid, v.family, v.device_type, v.model, v.os, f.os_version, v.user_agent,
       v.client_type, v.access_state, v.access_state_reason,
       coalesce(v.first_sync_at, v.first_seen) AS first_seen, v.last_success_sync_at, v.known, v.managed,
       v.managed_since, m.primary_smtp, m.kind, m.gone_at IS NOT NULL AS mailbox_gone, m.eas_enabled, m.allowed_ids,
       m.blocked_ids, CASE WHEN h.person_id IS NOT NULL THEN coalesce(h.group_ids, '{}') END AS group_ids,
       coalesce(h.managed, 'unmanaged') AS person_managed, h.managed_since AS person_managed_since,
       n.level AS pin_level, n.until AS pin_until, d.level AS published, d.reason AS said,
       p.level, p.reason, p.rule, p.inputs, p.until, p.warns, p.review_at, p.announce, e.mine
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
    SELECT q.person_id, q.managed, q.managed_since, a.group_ids FROM people q
    LEFT JOIN audiences a ON a.audience_id = q.audience_id
    WHERE q.person_id = m.person_id OFFSET 0
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
    SELECT * FROM decisions WHERE organization_id = %(organization_id)s AND mailbox_guid = k.mailbox_guid
                              AND device_id = k.device_id OFFSET 0
) p ON true
LEFT JOIN LATERAL (
    SELECT coalesce(array_agg(l.list) FILTER (
        WHERE l.ownership IN ('ours', 'presumed') OR (l.ownership = 'intended' AND NOT l.present_before)
           OR (l.ownership = 'withdrawn' AND l.since > m.lists_read_at)), '{}') AS mine
    FROM list_entries l
    WHERE l.organization_id = %(organization_id)s AND l.mailbox_guid = k.mailbox_guid
      AND lower(l.device_id) = lower(k.device_id)
) e ON true

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
