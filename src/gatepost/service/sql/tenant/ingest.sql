-- name: lock
-- What the last document of a connector was; its row lock puts the documents in order.
-- example: {"connector_id": ""}
SELECT sequence, digest, result, instance, lease_until, last_at, memory, held, doubted FROM checkins
WHERE connector_id = %(connector_id)s FOR UPDATE

-- name: organization
-- The epoch that counts, read so that no enrolment can pass it before this transaction ends; and what is asked for.
-- example: {"organization_id": ""}
SELECT epoch, state, sync_requested, sync_requested_at, writing_stopped_at IS NOT NULL AS stopped FROM organizations
WHERE organization_id = %(organization_id)s FOR SHARE

-- name: older_lease
-- Until when a connector before this one may still write.
-- example: {"organization_id": "", "connector_id": ""}
SELECT max(lease_until) AS lease_until FROM checkins
WHERE organization_id = %(organization_id)s AND connector_id <> %(connector_id)s

-- name: remember
-- A document is applied: its number, its digest, what was answered, who sent it; the lease is renewed.
-- example: {"connector_id": "", "sequence": 1, "digest": "", "result": {}, "instance": null, "lease_until": null, "spoken_at": null, "status": {}, "told_at": null, "memory": 1, "held": 0, "doubted": 0}
UPDATE checkins SET
    sequence = %(sequence)s, digest = %(digest)s, result = %(result)s, instance = %(instance)s,
    lease_until = %(lease_until)s, status = %(status)s, told_at = %(told_at)s,
    memory = %(memory)s, held = %(held)s, doubted = %(doubted)s, last_at = clock_timestamp(),
    spoken_at = CASE instance WHEN %(instance)s THEN greatest(spoken_at, %(spoken_at)s) ELSE %(spoken_at)s END
WHERE connector_id = %(connector_id)s

-- name: host
-- Where a connector runs and in which version, as it last said.
-- example: {"connector_id": "", "host": "", "version": ""}
UPDATE connectors SET host = %(host)s, version = %(version)s
WHERE connector_id = %(connector_id)s AND (host, version) <> (%(host)s, %(version)s)

-- name: renew
-- A repeated document or a wait renews the lease and changes nothing else.
-- example: {"connector_id": "", "instance": null, "lease_until": null, "spoken_at": null, "told_at": null}
UPDATE checkins SET
    lease_until = %(lease_until)s, instance = %(instance)s, last_at = clock_timestamp(),
    told_at = coalesce(%(told_at)s, told_at),
    spoken_at = CASE instance WHEN %(instance)s THEN greatest(spoken_at, %(spoken_at)s) ELSE %(spoken_at)s END
WHERE connector_id = %(connector_id)s

-- name: end_lease
-- The instance that says farewell writes no more, unless it has spoken since.
-- example: {"connector_id": "", "instance": null, "spoken_at": "2026-01-01T00:00:00Z"}
UPDATE checkins SET lease_until = now(), spoken_at = %(spoken_at)s
WHERE connector_id = %(connector_id)s AND instance = %(instance)s AND lease_until > now()
  AND (spoken_at IS NULL OR spoken_at < %(spoken_at)s)

-- name: outcomes
-- Outcomes, each once; those that were not told before.
-- example: {"organization_id": "", "connector_id": "", "rows": {"rows": [{"outcome_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "about": "", "result": "", "body": {}, "at": null, "took_away": false}]}}
INSERT INTO outcomes (outcome_id, organization_id, connector_id, about, result, body, at, took_away)
SELECT r.outcome_id, %(organization_id)s::uuid, %(connector_id)s::uuid, r.about, r.result, r.body, r.at, r.took_away
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    outcome_id uuid, about text, result text, body jsonb, at timestamptz, took_away boolean)
ORDER BY r.outcome_id
ON CONFLICT (tenant_id, outcome_id) DO NOTHING
RETURNING outcome_id

-- name: settings
-- The organization's settings as just read.
-- example: {"organization_id": "", "default_level": null, "settings": {}}
INSERT INTO org_settings (organization_id, default_level, settings)
VALUES (%(organization_id)s, %(default_level)s, %(settings)s)
ON CONFLICT (tenant_id, organization_id) DO UPDATE SET
    default_level = excluded.default_level, settings = excluded.settings, read_at = now()

-- name: head
-- The revision of the organization's desired state.
-- example: {"organization_id": ""}
SELECT revision FROM desired_heads WHERE organization_id = %(organization_id)s

-- name: desired
-- What changed since a revision, in whole revisions, so that the last one of a page is where the next page begins.
-- example: {"organization_id": "", "revision": 0, "memory": 1, "doubted": 0, "limit": 10}
-- owned and tried are for the memory that asks: see docs/protocol.md. What was adopted and is kept is nobody's to write.
SELECT d.mailbox_guid::text AS mailbox, d.device_id, d.level, d.reason, d.entry, d.revision,
       ARRAY(SELECT l.list FROM list_entries l
             WHERE l.organization_id = d.organization_id AND l.mailbox_guid = d.mailbox_guid
               AND l.device_id = d.device_id AND l.ownership IN ('ours', 'presumed') AND NOT l.kept) AS owned,
       ARRAY(SELECT l.list FROM list_entries l
             WHERE l.organization_id = d.organization_id AND l.mailbox_guid = d.mailbox_guid
               AND l.device_id = d.device_id AND l.ownership = 'intended'
               AND (l.doubtful OR (l.intended_revision <= %(doubted)s AND l.memory < %(memory)s))) AS tried
FROM desired d
WHERE d.organization_id = %(organization_id)s AND d.revision > %(revision)s
ORDER BY d.revision FETCH FIRST %(limit)s ROWS WITH TIES

-- name: taken_away
-- How many reported writes took access away since a moment.
-- example: {"organization_id": "", "since": "2026-01-01T00:00:00Z"}
SELECT count(*)::bigint AS taken_away FROM outcomes
WHERE organization_id = %(organization_id)s AND took_away AND received_at > %(since)s

-- name: waiting
-- What a connector that waits would be told.
-- example: {"organization_id": "", "connector_id": ""}
SELECT h.revision, o.sync_requested, o.sync_requested_at, o.writing_stopped_at IS NOT NULL AS stopped,
       o.sync_requested <> 'none' AND o.sync_requested_at IS DISTINCT FROM c.told_at AS untold,
       n.epoch = o.epoch AND n.revoked_at IS NULL AND o.state <> 'removed' AS current,
       (SELECT count(*) FROM wishes w
        WHERE w.organization_id = o.organization_id AND w.ended_at IS NULL AND w.sent_at IS NULL
          AND o.state NOT IN ('removing', 'removed'))
       + (SELECT count(*) FROM notices m
          WHERE m.organization_id = o.organization_id AND m.state = 'waiting' AND m.told_at IS NULL
            AND m.due_at <= now()) AS orders
FROM organizations o
JOIN checkins c ON c.organization_id = o.organization_id AND c.connector_id = %(connector_id)s
JOIN connectors n ON n.connector_id = c.connector_id
LEFT JOIN desired_heads h ON h.organization_id = o.organization_id
WHERE o.organization_id = %(organization_id)s
