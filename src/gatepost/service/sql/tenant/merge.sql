-- name: plan_sets
-- Join sets by hashing: where a table was just filled and not analysed yet, the planner believes that it holds a few
-- rows and would compare every row with every other. Looking up single keys is written as LATERAL, which this leaves
-- alone.
SELECT set_config('enable_nestloop', 'off', true)

-- name: analyze_grown
-- Look anew at tables that more than doubled, so that a first synchronisation is not merged by plans for empty tables.
-- example: {}
SELECT gatepost_analyze_grown()

-- name: stage_devices
-- Where the changed rows of a part wait, for one transaction; COPY cannot write to a table under row-level security.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_devices (
    guid uuid, device_id text, mailbox_guid uuid, identity text, friendly_name text, device_type text, model text,
    os text, os_language text, user_agent text, imei text, phone_number text, mobile_operator text,
    client_type text, client_version text, access_state text, access_state_reason text, access_control_rule text,
    first_sync_at timestamptz, changed_at timestamptz, last_sync_attempt_at timestamptz,
    last_success_sync_at timestamptz, last_policy_update_at timestamptz, policy_applied text, policy_status text,
    status text, wipe_requested_at timestamptz, wipe_sent_at timestamptz, wipe_acknowledged_at timestamptz,
    last_wipe_requestor text, folders_synced integer, family text, facts_id uuid, words text[], row_hash bigint,
    os_version integer[]
) ON COMMIT DELETE ROWS

-- name: changed_devices
-- Which of these devices are new, different, or come back: their places in the list, from 1.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "hashes": [1]}
SELECT s.n FROM unnest(%(guids)b::uuid[], %(hashes)b::bigint[]) WITH ORDINALITY AS s (guid, row_hash, n)
LEFT JOIN LATERAL (
    SELECT row_hash, gone_at FROM devices WHERE organization_id = %(organization_id)s AND guid = s.guid OFFSET 0
) AS d ON true
WHERE d.row_hash IS DISTINCT FROM s.row_hash OR d.gone_at IS NOT NULL
ORDER BY s.n

-- name: mailbox_names
-- What the owners of these mailboxes are found by.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT guid, primary_smtp, display_name FROM mailboxes
WHERE organization_id = %(organization_id)s AND guid = ANY(%(guids)s)

-- name: merge_devices
-- Merge the staged devices: facts, history, counters and words from what was before, then the rows, in one statement.
-- The tenant is named once a set: as a column's default it would be asked for with every row.
-- example: {"organization_id": "", "now": "2026-01-01T00:00:00Z"}
WITH before AS MATERIALIZED (
    SELECT * FROM devices
    WHERE organization_id = %(organization_id)s AND guid = ANY(ARRAY(SELECT guid FROM staged_devices))
), compared AS (
    SELECT s.guid, d.gone_at IS NOT NULL AS returned, jsonb_strip_nulls(jsonb_build_object(
        'device_id', gatepost_change(d.device_id, s.device_id),
        'mailbox_guid', gatepost_change(d.mailbox_guid, s.mailbox_guid),
        'identity', gatepost_change(d.identity, s.identity),
        'friendly_name', gatepost_change(d.friendly_name, s.friendly_name),
        'device_type', gatepost_change(d.device_type, s.device_type), 'model', gatepost_change(d.model, s.model),
        'os', gatepost_change(d.os, s.os), 'os_language', gatepost_change(d.os_language, s.os_language),
        'user_agent', gatepost_change(d.user_agent, s.user_agent), 'imei', gatepost_change(d.imei, s.imei),
        'phone_number', gatepost_change(d.phone_number, s.phone_number),
        'mobile_operator', gatepost_change(d.mobile_operator, s.mobile_operator),
        'client_type', gatepost_change(d.client_type, s.client_type),
        'client_version', gatepost_change(d.client_version, s.client_version),
        'access_state', gatepost_change(d.access_state, s.access_state),
        'access_state_reason', gatepost_change(d.access_state_reason, s.access_state_reason),
        'access_control_rule', gatepost_change(d.access_control_rule, s.access_control_rule),
        'first_sync_at', gatepost_change(d.first_sync_at, s.first_sync_at),
        'last_policy_update_at', gatepost_change(d.last_policy_update_at, s.last_policy_update_at),
        'policy_applied', gatepost_change(d.policy_applied, s.policy_applied),
        'policy_status', gatepost_change(d.policy_status, s.policy_status),
        'status', gatepost_change(d.status, s.status),
        'wipe_requested_at', gatepost_change(d.wipe_requested_at, s.wipe_requested_at),
        'wipe_sent_at', gatepost_change(d.wipe_sent_at, s.wipe_sent_at),
        'wipe_acknowledged_at', gatepost_change(d.wipe_acknowledged_at, s.wipe_acknowledged_at),
        'last_wipe_requestor', gatepost_change(d.last_wipe_requestor, s.last_wipe_requestor),
        'folders_synced', gatepost_change(d.folders_synced, s.folders_synced)
    )) AS changes
    FROM staged_devices s JOIN before d ON d.guid = s.guid
), written AS (
    INSERT INTO device_history (tenant_id, organization_id, device_guid, at, n, what, changes)
    SELECT (SELECT gatepost_tenant()), %(organization_id)s, guid, %(now)s, nextval('device_history_n'),
           CASE WHEN returned THEN 'returned' ELSE 'changed' END, changes
    FROM compared WHERE returned OR changes <> '{}'
), interned AS (
    INSERT INTO device_facts (
        tenant_id, facts_id, family, device_type, model, os, os_version, user_agent, client_type
    )
    SELECT DISTINCT ON (s.facts_id)
           (SELECT gatepost_tenant()), s.facts_id, s.family, s.device_type, s.model, s.os, s.os_version, s.user_agent,
           s.client_type
    FROM staged_devices s
    ORDER BY s.facts_id
    ON CONFLICT DO NOTHING
), counted AS (
    INSERT INTO counters (organization_id, name, value)
    SELECT %(organization_id)s, c.name, sum(c.step) FROM (
        SELECT family, access_state, mailbox_guid, 1 AS step FROM staged_devices
        UNION ALL
        SELECT family, access_state, mailbox_guid, -1 FROM before WHERE gone_at IS NULL
    ) AS each, LATERAL (VALUES
        ('devices', step), ('family:' || family, step), ('state:' || coalesce(access_state, 'none'), step),
        ('orphans', CASE WHEN mailbox_guid IS NULL THEN step ELSE 0 END)
    ) AS c (name, step)
    GROUP BY c.name HAVING sum(c.step) <> 0 ORDER BY c.name
    ON CONFLICT (tenant_id, organization_id, name) DO UPDATE SET value = counters.value + excluded.value
), forgotten AS (
    DELETE FROM device_words WHERE ctid = ANY(ARRAY(
        SELECT w.place FROM (
            SELECT guid, unnest(words) AS word FROM before EXCEPT SELECT guid, unnest(words) FROM staged_devices
        ) AS old, LATERAL (
            SELECT ctid AS place FROM device_words
            WHERE organization_id = %(organization_id)s AND word = old.word AND device_guid = old.guid OFFSET 0
        ) AS w
    ))
), learned AS (
    INSERT INTO device_words (tenant_id, organization_id, word, device_guid)
    SELECT (SELECT gatepost_tenant()), %(organization_id)s, new.word, new.guid FROM (
        SELECT guid, unnest(words) AS word FROM staged_devices EXCEPT SELECT guid, unnest(words) FROM before
    ) AS new
    ORDER BY new.word, new.guid
)
INSERT INTO devices (
    tenant_id, organization_id, guid, first_seen, last_seen, changed_seen_at,
    device_id, mailbox_guid, identity, friendly_name, device_type, model, os, os_language, user_agent, imei,
    phone_number, mobile_operator, client_type, client_version, access_state, access_state_reason,
    access_control_rule, first_sync_at, changed_at, last_sync_attempt_at, last_success_sync_at,
    last_policy_update_at, policy_applied, policy_status, status, wipe_requested_at, wipe_sent_at,
    wipe_acknowledged_at, last_wipe_requestor, folders_synced, family, facts_id, words, row_hash
)
SELECT
    (SELECT gatepost_tenant()), %(organization_id)s, guid, %(now)s, %(now)s, %(now)s,
    device_id, mailbox_guid, identity, friendly_name, device_type, model, os, os_language, user_agent, imei,
    phone_number, mobile_operator, client_type, client_version, access_state, access_state_reason,
    access_control_rule, first_sync_at, changed_at, last_sync_attempt_at, last_success_sync_at,
    last_policy_update_at, policy_applied, policy_status, status, wipe_requested_at, wipe_sent_at,
    wipe_acknowledged_at, last_wipe_requestor, folders_synced, family, facts_id, words, row_hash
FROM staged_devices ORDER BY guid
ON CONFLICT (tenant_id, organization_id, guid) DO UPDATE SET
    last_seen = excluded.last_seen, changed_seen_at = excluded.changed_seen_at, gone_at = NULL,
    device_id = excluded.device_id, mailbox_guid = excluded.mailbox_guid, identity = excluded.identity,
    friendly_name = excluded.friendly_name, device_type = excluded.device_type, model = excluded.model,
    os = excluded.os, os_language = excluded.os_language, user_agent = excluded.user_agent,
    imei = excluded.imei, phone_number = excluded.phone_number, mobile_operator = excluded.mobile_operator,
    client_type = excluded.client_type, client_version = excluded.client_version,
    access_state = excluded.access_state, access_state_reason = excluded.access_state_reason,
    access_control_rule = excluded.access_control_rule, first_sync_at = excluded.first_sync_at,
    changed_at = excluded.changed_at, last_sync_attempt_at = excluded.last_sync_attempt_at,
    last_success_sync_at = excluded.last_success_sync_at,
    last_policy_update_at = excluded.last_policy_update_at, policy_applied = excluded.policy_applied,
    policy_status = excluded.policy_status, status = excluded.status,
    wipe_requested_at = excluded.wipe_requested_at, wipe_sent_at = excluded.wipe_sent_at,
    wipe_acknowledged_at = excluded.wipe_acknowledged_at, last_wipe_requestor = excluded.last_wipe_requestor,
    folders_synced = excluded.folders_synced, family = excluded.family, facts_id = excluded.facts_id,
    words = excluded.words, row_hash = excluded.row_hash

-- name: stage_mailboxes
-- Where the changed mailboxes of a part wait, for one transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_mailboxes (
    guid uuid, dn text, identity text, primary_smtp text, display_name text, kind text, eas_enabled boolean,
    allowed_ids text[], blocked_ids text[], mailbox_policy text, changed_at timestamptz, row_hash bigint
) ON COMMIT DELETE ROWS

-- name: changed_mailboxes
-- Which of these mailboxes are new, different, or come back: their places in the list, from 1.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "hashes": [1]}
SELECT s.n FROM unnest(%(guids)b::uuid[], %(hashes)b::bigint[]) WITH ORDINALITY AS s (guid, row_hash, n)
LEFT JOIN LATERAL (
    SELECT row_hash, gone_at FROM mailboxes WHERE organization_id = %(organization_id)s AND guid = s.guid OFFSET 0
) AS m ON true
WHERE m.row_hash IS DISTINCT FROM s.row_hash OR m.gone_at IS NOT NULL
ORDER BY s.n

-- name: renamed_mailboxes
-- Staged mailboxes that people would now find under another name, or for the first time.
-- example: {"organization_id": ""}
SELECT s.guid FROM staged_mailboxes s
LEFT JOIN mailboxes m ON m.organization_id = %(organization_id)s AND m.guid = s.guid
WHERE (s.primary_smtp, s.display_name) IS DISTINCT FROM (m.primary_smtp, m.display_name)

-- name: merge_mailboxes
-- Merge the staged mailboxes and count those that are here: what moved away, or was disabled, is no mailbox to miss.
-- example: {"organization_id": "", "now": "2026-01-01T00:00:00Z"}
WITH counted AS (
    INSERT INTO counters (organization_id, name, value)
    SELECT %(organization_id)s, 'mailboxes', sum(each.step) FROM (
        SELECT 1 AS step FROM staged_mailboxes WHERE kind NOT IN ('remote', 'disabled')
        UNION ALL
        SELECT -1 FROM mailboxes
        WHERE organization_id = %(organization_id)s AND guid = ANY(ARRAY(SELECT guid FROM staged_mailboxes))
          AND gone_at IS NULL AND kind NOT IN ('remote', 'disabled')
    ) AS each HAVING sum(each.step) <> 0
    ON CONFLICT (tenant_id, organization_id, name) DO UPDATE SET value = counters.value + excluded.value
)
INSERT INTO mailboxes (
    organization_id, guid, lists_read_at, first_seen, last_seen, changed_seen_at,
    dn, identity, primary_smtp, display_name, kind, eas_enabled, allowed_ids, blocked_ids, mailbox_policy,
    changed_at, row_hash
)
SELECT
    %(organization_id)s, guid, %(now)s, %(now)s, %(now)s, %(now)s,
    dn, identity, primary_smtp, display_name, kind, eas_enabled, allowed_ids, blocked_ids, mailbox_policy,
    changed_at, row_hash
FROM staged_mailboxes ORDER BY guid
ON CONFLICT (tenant_id, organization_id, guid) DO UPDATE SET
    lists_read_at = excluded.lists_read_at, last_seen = excluded.last_seen, changed_seen_at = excluded.changed_seen_at,
    gone_at = NULL,
    dn = excluded.dn, identity = excluded.identity, primary_smtp = excluded.primary_smtp,
    display_name = excluded.display_name, kind = excluded.kind, eas_enabled = excluded.eas_enabled,
    allowed_ids = excluded.allowed_ids, blocked_ids = excluded.blocked_ids,
    mailbox_policy = excluded.mailbox_policy, changed_at = excluded.changed_at, row_hash = excluded.row_hash

-- name: devices_to_reword
-- The devices of these mailboxes with everything that they are found by.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT d.guid, d.friendly_name, d.device_id, d.model, d.os, d.words, m.primary_smtp, m.display_name
FROM devices d JOIN mailboxes m ON m.organization_id = d.organization_id AND m.guid = d.mailbox_guid
WHERE d.organization_id = %(organization_id)s AND d.mailbox_guid = ANY(%(guids)s)
ORDER BY d.guid

-- name: forget_words
-- One device is no longer found by these words.
-- example: {"organization_id": "", "guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "words": ["anna"]}
DELETE FROM device_words
WHERE organization_id = %(organization_id)s AND device_guid = %(guid)s AND word = ANY(%(words)s)

-- name: learn_words
-- One device is found by these words from now on.
-- example: {"organization_id": "", "guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "words": ["anna"]}
WITH known AS (
    UPDATE devices SET words = %(words)s WHERE organization_id = %(organization_id)s AND guid = %(guid)s RETURNING guid
)
INSERT INTO device_words (organization_id, word, device_guid)
SELECT %(organization_id)s, word, known.guid FROM known, unnest(%(words)s::text[]) AS word
ON CONFLICT DO NOTHING

-- name: missing
-- How many devices and mailboxes a synchronisation did not see; devices without a mailbox, or whose mailbox is missing,
-- gone or elsewhere, are not counted.
-- example: {"organization_id": "", "sync_id": "1"}
WITH lost_mailboxes AS MATERIALIZED (
    SELECT guid FROM mailboxes
    WHERE organization_id = %(organization_id)s AND gone_at IS NULL AND kind NOT IN ('remote', 'disabled')
    EXCEPT
    SELECT unnest(mailboxes) FROM sync_parts
    WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s
), lost_devices AS MATERIALIZED (
    SELECT guid FROM devices WHERE organization_id = %(organization_id)s AND gone_at IS NULL
    EXCEPT
    SELECT unnest(devices) FROM sync_parts
    WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s
)
SELECT
    (SELECT count(*) FROM lost_mailboxes) AS mailboxes,
    (SELECT count(*) FROM devices
     WHERE organization_id = %(organization_id)s AND guid = ANY(ARRAY(SELECT guid FROM lost_devices))
       AND mailbox_guid IS NOT NULL
       AND mailbox_guid NOT IN (SELECT guid FROM lost_mailboxes)
       AND mailbox_guid NOT IN (
           SELECT guid FROM mailboxes
           WHERE organization_id = %(organization_id)s AND (gone_at IS NOT NULL OR kind IN ('remote', 'disabled')))
    ) AS devices

-- name: excused
-- How many devices at most are not missed where so many mailboxes are missing: those without a mailbox, those of
-- mailboxes that are gone or elsewhere, and those of the mailboxes with the most.
-- example: {"organization_id": "", "mailboxes": 1}
WITH held AS MATERIALIZED (
    SELECT d.mailbox_guid, count(*) AS devices,
           bool_or(m.gone_at IS NOT NULL OR m.kind IN ('remote', 'disabled')) AS gone
    FROM devices d LEFT JOIN mailboxes m ON m.organization_id = d.organization_id AND m.guid = d.mailbox_guid
    WHERE d.organization_id = %(organization_id)s AND d.gone_at IS NULL
    GROUP BY d.mailbox_guid
)
SELECT (
    (SELECT coalesce(sum(devices), 0) FROM held WHERE mailbox_guid IS NULL OR gone)
    + (SELECT coalesce(sum(devices), 0) FROM (
        SELECT devices FROM held WHERE mailbox_guid IS NOT NULL AND NOT gone ORDER BY devices DESC LIMIT %(mailboxes)s
    ) AS largest)
)::bigint AS devices

-- name: orphaned
-- How many of these devices, told without a mailbox, have one until now.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT count(*) AS orphaned FROM devices
WHERE organization_id = %(organization_id)s AND guid = ANY(%(guids)s) AND mailbox_guid IS NOT NULL AND gone_at IS NULL

-- name: mark_gone_devices
-- Devices that a sealed full synchronisation did not see are gone: mark them, write it down, count them off.
-- example: {"organization_id": "", "sync_id": "1", "now": "2026-01-01T00:00:00Z"}
WITH unseen AS MATERIALIZED (
    SELECT guid FROM devices WHERE organization_id = %(organization_id)s AND gone_at IS NULL
    EXCEPT
    SELECT unnest(devices) FROM sync_parts
    WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s
), lost AS (
    UPDATE devices d SET gone_at = %(now)s
    WHERE d.organization_id = %(organization_id)s AND d.guid = ANY(ARRAY(SELECT guid FROM unseen))
    RETURNING d.guid, d.family, d.access_state, d.mailbox_guid
), written AS (
    INSERT INTO device_history (organization_id, device_guid, at, n, what)
    SELECT %(organization_id)s, guid, %(now)s, nextval('device_history_n'), 'gone' FROM lost
), counted AS (
    INSERT INTO counters (organization_id, name, value)
    SELECT %(organization_id)s, c.name, -sum(c.step) FROM lost, LATERAL (VALUES
        ('devices', 1), ('family:' || family, 1), ('state:' || coalesce(access_state, 'none'), 1),
        ('orphans', CASE WHEN mailbox_guid IS NULL THEN 1 ELSE 0 END)
    ) AS c (name, step)
    GROUP BY c.name HAVING sum(c.step) <> 0 ORDER BY c.name
    ON CONFLICT (tenant_id, organization_id, name) DO UPDATE SET value = counters.value + excluded.value
)
SELECT count(*) AS gone FROM lost

-- name: mark_gone_mailboxes
-- Mailboxes that a sealed full synchronisation did not see are gone; their devices, if still seen, are orphans by then.
-- example: {"organization_id": "", "sync_id": "1", "now": "2026-01-01T00:00:00Z"}
WITH unseen AS MATERIALIZED (
    SELECT guid FROM mailboxes WHERE organization_id = %(organization_id)s AND gone_at IS NULL
    EXCEPT
    SELECT unnest(mailboxes) FROM sync_parts
    WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s
), lost AS (
    UPDATE mailboxes m SET gone_at = %(now)s
    WHERE m.organization_id = %(organization_id)s AND m.guid = ANY(ARRAY(SELECT guid FROM unseen))
    RETURNING m.guid, m.kind
), counted AS (
    INSERT INTO counters (organization_id, name, value)
    SELECT %(organization_id)s, 'mailboxes', -count(*) FROM lost WHERE kind NOT IN ('remote', 'disabled')
    HAVING count(*) > 0
    ON CONFLICT (tenant_id, organization_id, name) DO UPDATE SET value = counters.value + excluded.value
)
SELECT count(*) AS gone FROM lost

-- name: count
-- How many devices and mailboxes there are.
-- example: {"organization_id": ""}
SELECT
    coalesce(sum(value) FILTER (WHERE name = 'devices'), 0)::bigint AS devices,
    coalesce(sum(value) FILTER (WHERE name = 'mailboxes'), 0)::bigint AS mailboxes
FROM counters WHERE organization_id = %(organization_id)s AND name IN ('devices', 'mailboxes')

-- name: forget_counters
-- The counters of an organization, before they are counted anew.
-- example: {"organization_id": ""}
DELETE FROM counters WHERE organization_id = %(organization_id)s

-- name: recount
-- All counters of an organization, counted anew from the rows.
-- example: {"organization_id": ""}
INSERT INTO counters (organization_id, name, value)
SELECT organization_id, c.name, sum(c.step) FROM devices, LATERAL (VALUES
    ('devices', 1), ('family:' || family, 1), ('state:' || coalesce(access_state, 'none'), 1),
    ('orphans', CASE WHEN mailbox_guid IS NULL THEN 1 ELSE 0 END)
) AS c (name, step)
WHERE organization_id = %(organization_id)s AND gone_at IS NULL
GROUP BY organization_id, c.name HAVING sum(c.step) <> 0
UNION ALL
SELECT organization_id, 'mailboxes', count(*) FROM mailboxes
WHERE organization_id = %(organization_id)s AND gone_at IS NULL AND kind NOT IN ('remote', 'disabled')
GROUP BY organization_id
