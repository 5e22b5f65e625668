-- name: add_source
-- A source of compliance; it is stale until it has spoken.
-- example: {"source_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "name": "x", "fresh_for": 86400}
INSERT INTO sources (source_id, name, fresh_for) VALUES (%(source_id)s, %(name)s, %(fresh_for)s)
ON CONFLICT DO NOTHING

-- name: change_source
-- Name, freshness and whether it counts.
-- example: {"source_id": "", "name": "x", "fresh_for": 3600, "enabled": true}
UPDATE sources SET name = %(name)s, fresh_for = %(fresh_for)s, enabled = %(enabled)s WHERE source_id = %(source_id)s

-- name: named
-- Another source with a name.
-- example: {"name": "", "source_id": null}
SELECT source_id FROM sources
WHERE name = %(name)s AND (%(source_id)s::uuid IS NULL OR source_id <> %(source_id)s)

-- name: sources
-- All sources, with what they say.
SELECT s.source_id, s.name, s.kind, s.enabled, s.fresh_for, s.fresh_at, s.complete_at, s.held, s.accepted, s.made_at,
       count(r.managed_id) AS records, count(*) FILTER (WHERE r.state = 'compliant') AS compliant,
       count(*) FILTER (WHERE r.state = 'noncompliant') AS noncompliant,
       count(*) FILTER (WHERE r.state = 'unknown') AS unknown
FROM sources s LEFT JOIN compliance_records r ON r.source_id = s.source_id
GROUP BY s.tenant_id, s.source_id ORDER BY s.name, s.source_id

-- name: source
-- One source, which nobody else changes until this ends.
-- example: {"source_id": ""}
SELECT source_id, name, enabled, fresh_for, fresh_at, complete_at, held, accepted FROM sources
WHERE source_id = %(source_id)s FOR UPDATE

-- name: believe
-- A source has spoken: what held it is over, and an acceptance is used up where it was needed.
-- example: {"source_id": "", "fresh_at": "2026-01-01T00:00:00Z", "complete_at": null, "accepted": null}
UPDATE sources SET fresh_at = %(fresh_at)s, complete_at = coalesce(%(complete_at)s, complete_at), held = NULL,
                   accepted = %(accepted)s
WHERE source_id = %(source_id)s

-- name: hold
-- What a source said is not believed, nor is it counted as fresh until an administrator or a better list says so.
-- example: {"source_id": "", "held": {"why": "empty"}}
UPDATE sources SET held = %(held)s WHERE source_id = %(source_id)s

-- name: accept
-- Let the next list do what was held.
-- example: {"source_id": "", "accepted": {"missing": 1}}
UPDATE sources SET held = NULL, accepted = %(accepted)s WHERE source_id = %(source_id)s

-- name: told
-- What a report would do: how many that did not comply it calls compliant, and how many records it leaves out.
-- example: {"source_id": "", "rows": {"rows": []}}
SELECT count(*) FILTER (WHERE t.state = 'compliant' AND r.failing_since IS NOT NULL AND t.checked_at >= r.checked_at)
           AS recovering,
       count(*) AS met
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS t (managed_id text, state text, checked_at timestamptz)
CROSS JOIN LATERAL (
    SELECT checked_at, failing_since FROM compliance_records
    WHERE source_id = %(source_id)s AND managed_id = t.managed_id OFFSET 0
) AS r

-- name: standing
-- How many records a source has, how many do not comply, and how many came to comply again lately.
-- example: {"source_id": "", "since": "2000-01-01T00:00:00Z"}
SELECT count(*) AS known, count(failing_since) AS failing,
       count(*) FILTER (WHERE recovered_at >= %(since)s AND failing_since IS NULL) AS recovered
FROM compliance_records WHERE source_id = %(source_id)s

-- name: put_records
-- Keep what a source reports, but for what is older than what is known. Of each record that says something else now, the
-- device ids and people that it spoke of and speaks of.
-- example: {"source_id": "", "now": "2026-01-01T00:00:00Z", "rows": {"rows": []}}
WITH told AS MATERIALIZED (
    SELECT r.managed_id, r.state, r.name, r.checked_at, lower(r.user_name) AS user_name,
           ARRAY(SELECT DISTINCT lower(i) FROM unnest(r.device_ids) AS i ORDER BY 1) AS device_ids, c.person_id
    FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
        managed_id text, state text, name text, checked_at timestamptz, user_name text, device_ids text[]
    )
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) = 1 THEN (array_agg(person_id))[1] END AS person_id FROM person_addresses
        WHERE address = lower(r.user_name) OFFSET 0
    ) AS c
), before AS MATERIALIZED (
    SELECT b.* FROM told t CROSS JOIN LATERAL (
        SELECT managed_id, state, user_name, person_id, device_ids FROM compliance_records
        WHERE source_id = %(source_id)s AND managed_id = t.managed_id OFFSET 0
    ) AS b
), written AS (
    INSERT INTO compliance_records AS r (
        source_id, managed_id, state, since, failing_since, checked_at, user_name, person_id, name, device_ids
    )
    SELECT %(source_id)s, managed_id, state, %(now)s, CASE state WHEN 'noncompliant' THEN %(now)s::timestamptz END,
           checked_at, user_name, person_id, name, device_ids
    FROM told ORDER BY managed_id
    ON CONFLICT (tenant_id, source_id, managed_id) DO UPDATE SET
        state = excluded.state, checked_at = excluded.checked_at, user_name = excluded.user_name,
        person_id = excluded.person_id, name = excluded.name, device_ids = excluded.device_ids,
        since = CASE WHEN r.state = excluded.state THEN r.since ELSE excluded.since END,
        failing_since = CASE excluded.state WHEN 'noncompliant' THEN coalesce(r.failing_since, excluded.since)
                                            WHEN 'unknown' THEN r.failing_since END,
        recovered_at = CASE WHEN r.failing_since IS NOT NULL AND excluded.state = 'compliant' THEN excluded.since
                            ELSE r.recovered_at END
    WHERE r.checked_at <= excluded.checked_at
    RETURNING r.managed_id, r.state, r.user_name, r.person_id, r.device_ids
), changed AS MATERIALIZED (
    SELECT w.managed_id, w.device_ids, w.person_id, coalesce(b.device_ids, '{}') AS old_ids, b.person_id AS old_person
    FROM written w LEFT JOIN before b ON b.managed_id = w.managed_id
    WHERE (w.state, w.user_name, w.person_id, w.device_ids)
          IS DISTINCT FROM (b.state, b.user_name, b.person_id, b.device_ids)
), unlinked AS (
    DELETE FROM links l USING changed c
    WHERE l.source_id = %(source_id)s AND l.managed_id = c.managed_id AND l.device_id <> ALL(c.device_ids)
), linked AS (
    INSERT INTO links (device_id, source_id, managed_id)
    SELECT i, %(source_id)s, c.managed_id FROM changed c, unnest(c.device_ids) AS i ORDER BY 1, 3
    ON CONFLICT DO NOTHING
)
SELECT device_ids || old_ids AS device_ids, array_remove(ARRAY[person_id, old_person], NULL) AS person_ids FROM changed

-- name: remove_others
-- Forget the records of a source that are not among these; what they said, and of whom.
-- example: {"source_id": "", "managed_ids": ["x"]}
DELETE FROM compliance_records r
WHERE r.source_id = %(source_id)s AND r.managed_id <> ALL(%(managed_ids)s)
RETURNING r.device_ids, array_remove(ARRAY[r.person_id], NULL) AS person_ids

-- name: remove
-- Forget one record; what it said, and of whom.
-- example: {"source_id": "", "managed_id": "x"}
DELETE FROM compliance_records r WHERE r.source_id = %(source_id)s AND r.managed_id = %(managed_id)s
RETURNING r.device_ids, array_remove(ARRAY[r.person_id], NULL) AS person_ids

-- name: records
-- A page of what a source reports.
-- example: {"source_id": "", "after": "", "limit": 10}
SELECT r.managed_id, r.state, r.since, r.failing_since, r.checked_at, r.user_name, r.name, r.device_ids, p.external_id
FROM compliance_records r LEFT JOIN people p ON p.person_id = r.person_id
WHERE r.source_id = %(source_id)s AND r.managed_id > %(after)s ORDER BY r.managed_id LIMIT %(limit)s

-- name: of_device
-- What every source says of a device id.
-- example: {"device_id": "x"}
SELECT s.source_id, s.name AS source, s.enabled, r.managed_id, r.state, r.since, r.failing_since, r.checked_at,
       r.user_name, r.person_id, r.name, l.evidence
FROM links l
JOIN compliance_records r ON r.source_id = l.source_id AND r.managed_id = l.managed_id
JOIN sources s ON s.source_id = l.source_id
WHERE l.device_id = lower(%(device_id)s) ORDER BY s.name, r.managed_id

-- name: of_source
-- The device ids and people that a source speaks of.
-- example: {"source_id": ""}
SELECT device_ids, array_remove(ARRAY[person_id], NULL) AS person_ids FROM compliance_records
WHERE source_id = %(source_id)s

-- name: people_of_ids
-- The people of the records that speak of these device ids.
-- example: {"ids": ["x"]}
SELECT DISTINCT r.person_id FROM unnest(%(ids)s::text[]) AS i (device_id)
JOIN links l ON l.device_id = i.device_id
JOIN compliance_records r ON r.source_id = l.source_id AND r.managed_id = l.managed_id
WHERE r.person_id IS NOT NULL

-- name: devices_of_ids
-- The devices with these ids.
-- example: {"ids": ["x"]}
SELECT organization_id, guid FROM devices WHERE folded_id = ANY(%(ids)s)

-- name: devices_of_mailboxes
-- The devices of these mailboxes.
-- example: {"guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT organization_id, guid FROM devices WHERE mailbox_guid = ANY(%(guids)s)

-- name: restand_devices
-- What the sources come to for these devices, kept with them; the device ids of which it changed. Records that disagree,
-- and one that names a user who is not the mailbox's, make it unknown. Single keys are looked up, for in the middle of a
-- synchronisation sets are joined by hashing (merge.plan_sets).
-- example: {"organizations": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
WITH found AS MATERIALIZED (
    SELECT q.organization_id, q.guid,
           CASE WHEN v.records = 0 THEN 'unmanaged' WHEN v.foreign_user OR v.states > 1 THEN 'unknown' ELSE v.state END
               AS managed, v.failing_since
    FROM (
        SELECT DISTINCT * FROM unnest(%(organizations)s::uuid[], %(guids)s::uuid[]) AS u (organization_id, guid)
    ) AS q
    CROSS JOIN LATERAL (
        SELECT mailbox_guid, folded_id FROM devices
        WHERE organization_id = q.organization_id AND guid = q.guid OFFSET 0
    ) AS d
    LEFT JOIN LATERAL (
        SELECT person_id, address FROM mailboxes
        WHERE organization_id = q.organization_id AND guid = d.mailbox_guid OFFSET 0
    ) AS m ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS records, count(DISTINCT r.state) AS states, min(r.state) AS state,
               min(r.failing_since) AS failing_since,
               bool_or(r.user_name <> '' AND r.person_id IS DISTINCT FROM m.person_id
                       OR r.user_name <> '' AND r.person_id IS NULL AND r.user_name IS DISTINCT FROM m.address)
                   AS foreign_user
        FROM (SELECT source_id, managed_id FROM links WHERE device_id = d.folded_id OFFSET 0) AS l
        CROSS JOIN LATERAL (
            SELECT * FROM compliance_records WHERE source_id = l.source_id AND managed_id = l.managed_id OFFSET 0
        ) AS r
        WHERE l.source_id = ANY(ARRAY(SELECT source_id FROM sources WHERE enabled)) OFFSET 0
    ) AS v
)
UPDATE devices d SET managed = f.managed,
                     managed_since = CASE f.managed WHEN 'noncompliant' THEN f.failing_since END
FROM found f
WHERE d.organization_id = f.organization_id AND d.guid = f.guid
  AND (d.managed, d.managed_since)
      IS DISTINCT FROM (f.managed, CASE f.managed WHEN 'noncompliant' THEN f.failing_since END)
RETURNING d.organization_id, d.mailbox_guid, d.device_id

-- name: restand_people
-- What the sources come to for all devices of these people together: one that complies is enough, and nobody fails while
-- something is unknown. A record whose device another record judges otherwise counts as unknown. Who changed.
-- example: {"person_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
WITH found AS MATERIALIZED (
    SELECT q.person_id, v.failing_since,
           CASE WHEN v.records = 0 THEN 'unmanaged' WHEN v.compliant THEN 'compliant' WHEN v.unknown THEN 'unknown'
                ELSE 'noncompliant' END AS managed
    FROM (SELECT DISTINCT unnest(%(person_ids)s::uuid[]) AS person_id) AS q
    CROSS JOIN LATERAL (
        SELECT count(*) AS records, bool_or(t.state = 'compliant') AS compliant, bool_or(t.state = 'unknown') AS unknown,
               max(t.failing_since) AS failing_since
        FROM (
            SELECT r.failing_since, CASE WHEN EXISTS (
                SELECT FROM links l
                JOIN links k ON k.device_id = l.device_id
                JOIN compliance_records o ON o.source_id = k.source_id AND o.managed_id = k.managed_id
                JOIN sources e ON e.source_id = k.source_id AND e.enabled
                WHERE l.source_id = r.source_id AND l.managed_id = r.managed_id AND o.state <> r.state
            ) THEN 'unknown' ELSE r.state END AS state
            FROM compliance_records r JOIN sources s ON s.source_id = r.source_id AND s.enabled
            WHERE r.person_id = q.person_id
        ) AS t
    ) AS v
)
UPDATE people p SET managed = f.managed,
                    managed_since = CASE f.managed WHEN 'noncompliant' THEN f.failing_since END
FROM found f
WHERE p.person_id = f.person_id
  AND (p.managed, p.managed_since)
      IS DISTINCT FROM (f.managed, CASE f.managed WHEN 'noncompliant' THEN f.failing_since END)
RETURNING p.person_id
