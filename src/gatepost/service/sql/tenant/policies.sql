-- name: save
-- Keep a new version; nothing where another was saved at the same moment.
-- example: {"document": {}, "note": "", "made_by": "x", "made_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"}
INSERT INTO policies (version, document, note, made_by, made_id)
SELECT coalesce(max(version), 0) + 1, %(document)s::jsonb, %(note)s, %(made_by)s, %(made_id)s FROM policies
ON CONFLICT DO NOTHING RETURNING version

-- name: get
-- One version.
-- example: {"version": 1}
SELECT version, note, made_at, made_by, document FROM policies WHERE version = %(version)s

-- name: documents
-- What some versions say.
-- example: {"versions": [1]}
SELECT version, document FROM policies WHERE version = ANY(%(versions)s)

-- name: list
-- Versions, the newest first.
-- example: {"below": null, "limit": 10}
SELECT version, note, made_at, made_by, document FROM policies
WHERE %(below)s::integer IS NULL OR version < %(below)s
ORDER BY version DESC LIMIT %(limit)s

-- name: known_groups
-- Which of these names of groups the directory has; policies name a group by its id.
-- example: {"names": []}
SELECT group_id::text AS name FROM groups WHERE group_id::text = ANY(%(names)s)

-- name: group
-- A group of the directory.
-- example: {"group_id": ""}
SELECT group_id FROM groups WHERE group_id = %(group_id)s

-- name: rollout
-- How far the newest version is rolled out.
SELECT version, base, ring, pilot, pilot::text AS pilot_name, state, why, ring_hours, ring_since, expected, began_by,
       began_id
FROM rollouts

-- name: lock_rollout
-- The same, locked until the transaction ends.
SELECT version, base, ring, pilot, pilot::text AS pilot_name, state, why, ring_hours, ring_since, expected, began_by,
       began_id
FROM rollouts FOR UPDATE

-- name: roll_out
-- Let a version hold within a ring, in place of what held.
-- example: {"version": 1, "base": null, "ring": "all", "pilot": null, "state": "done", "ring_hours": null, "expected": null, "began_by": "x", "began_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"}
INSERT INTO rollouts (version, base, ring, pilot, state, ring_hours, expected, began_by, began_id)
VALUES (%(version)s, %(base)s, %(ring)s, %(pilot)s, %(state)s, %(ring_hours)s, %(expected)s, %(began_by)s, %(began_id)s)
ON CONFLICT (tenant_id) DO UPDATE SET
    version = excluded.version, base = excluded.base, ring = excluded.ring, pilot = excluded.pilot,
    state = excluded.state, why = '', ring_hours = excluded.ring_hours, ring_since = now(),
    expected = excluded.expected, began_by = excluded.began_by, began_id = excluded.began_id

-- name: widen
-- The next ring, by itself: whoever began it stays behind it.
-- example: {"ring": "all", "state": "done", "expected": null}
UPDATE rollouts SET ring = %(ring)s, state = %(state)s, expected = %(expected)s, why = '', ring_since = now()

-- name: change_state
-- Stop a rollout, or let it go on; its hours begin anew.
-- example: {"state": "stopped", "why": "x"}
UPDATE rollouts SET state = %(state)s, why = %(why)s, ring_since = now()

-- name: signs
-- What is seen of a version since its ring began: open holds because of it, people who lost access, writes that came to
-- nothing of all that were told of, and connectors that are silent while they could write.
-- example: {"version": "1", "since": "2026-01-01T00:00:00Z", "silent_before": "2100-01-01T00:00:00Z"}
SELECT (SELECT count(*) FROM holds WHERE state = 'open' AND cause = 'policy' AND ref = %(version)s) AS holds,
       (SELECT count(*) FROM budget_uses WHERE verb = 'take' AND at >= %(since)s) AS lost,
       d.troubled, d.told,
       (SELECT count(*) FROM organizations o
        JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch
        JOIN checkins i ON i.connector_id = c.connector_id
        WHERE o.state = 'connected' AND o.writing_stopped_at IS NULL AND i.last_at < %(silent_before)s) AS silent
FROM (
    SELECT count(*) FILTER (WHERE result IN ('refused', 'failed', 'conflict')) AS troubled, count(*) AS told
    FROM desired WHERE published_at >= %(since)s AND result_revision = revision
) d
