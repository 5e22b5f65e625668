-- name: lock
-- One replica at a time looks at a tenant.
SELECT pg_try_advisory_xact_lock(hashtextextended('gatepost alerts ' || gatepost_tenant(), 0)) AS locked

-- name: conditions
-- What is wrong now in the organizations: service/alerts/conditions.py says what each means. settled: lasts already.
-- example: {"now": "2100-01-01T00:00:00Z", "silent": "2100-01-01T00:00:00Z", "silent_stopped": "2100-01-01T00:00:00Z", "certificate": "2100-01-01T00:00:00Z", "ticket": "2100-01-01T00:00:00Z"}
WITH current AS (
    SELECT o.organization_id, o.writing_stopped_at, c.connector_id, i.status, i.lease_until,
           COALESCE(GREATEST(i.last_at, i.lease_until), c.enrolled_at) AS heard
    FROM organizations o
    JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch AND c.revoked_at IS NULL
    LEFT JOIN checkins i ON i.connector_id = c.connector_id
    WHERE o.state IN ('connected', 'removing')
), newest AS (
    SELECT DISTINCT ON (s.organization_id) s.organization_id, s.state FROM syncs s
    WHERE s.kind = 'full' AND s.state IN ('held', 'accepted', 'sealed')
    ORDER BY s.organization_id, s.ended_at DESC
), last_two AS (
    SELECT organization_id, array_agg(state) AS states FROM (
        SELECT s.organization_id, s.state,
               row_number() OVER (PARTITION BY s.organization_id ORDER BY s.started_at DESC) AS n
        FROM syncs s WHERE s.state <> 'open'
    ) AS ended WHERE n <= 2 GROUP BY organization_id
)
SELECT 'silent' AS condition, organization_id, '' AS subject, to_json(heard) #>> '{}' AS detail, true AS settled
FROM current
WHERE heard < CASE WHEN writing_stopped_at IS NULL THEN %(silent)s::timestamptz ELSE %(silent_stopped)s END
UNION ALL
SELECT 'sync', organization_id, '', '', COALESCE(states = '{abandoned,abandoned}', false)
FROM current LEFT JOIN last_two USING (organization_id)
WHERE status ->> 'failure' IS NOT NULL OR states = '{abandoned,abandoned}'
UNION ALL
SELECT 'held', organization_id, 'inventory', '', true FROM newest WHERE state = 'held'
UNION ALL
SELECT 'held', organization_id, 'removal', '', true FROM removals WHERE state = 'asked' AND ended_at IS NULL
UNION ALL
SELECT 'held', organization_id, 'guard', count(*)::text, true FROM holds WHERE state = 'open' GROUP BY organization_id
UNION ALL
SELECT 'held', NULL::uuid, 'budgets', '', true FROM guard_settings WHERE asked_at IS NOT NULL
UNION ALL
SELECT 'held', NULL::uuid, 'source', count(*)::text, true FROM sources WHERE enabled AND held IS NOT NULL
HAVING count(*) > 0
UNION ALL
SELECT 'source', NULL::uuid, '', count(*)::text, true FROM sources
WHERE enabled AND held IS NULL AND fresh_at + make_interval(secs => fresh_for) < %(now)s HAVING count(*) > 0
UNION ALL
SELECT 'certificate', organization_id, '', to_json(max(not_after)) #>> '{}', true
FROM current JOIN connector_certificates k USING (connector_id)
WHERE k.revoked_at IS NULL GROUP BY organization_id HAVING max(not_after) < %(certificate)s
UNION ALL
SELECT 'ticket', organization_id, '', to_json(min(expires_at)) #>> '{}', true FROM tickets
WHERE used_at IS NULL AND expires_at > %(now)s AND expires_at < %(ticket)s GROUP BY organization_id
UNION ALL
SELECT 'password', organization_id, '', '', true FROM current
WHERE jsonb_typeof(status #> '{doctor,checks}') = 'array' AND EXISTS (
    SELECT FROM jsonb_array_elements(status #> '{doctor,checks}') AS told (entry)
    WHERE entry ->> 'name' LIKE '%%password%%' AND entry ->> 'level' IN ('bad', 'warning'))
UNION ALL
SELECT CASE WHEN code IN ('list-conflict', 'entries-undone', 'entry-undone') THEN 'lists' ELSE 'refused' END,
       organization_id, '', count(*)::text, true
FROM findings
WHERE ended_at IS NULL AND (origin, code) IN (
    ('service', 'list-conflict'), ('connector', 'entries-undone'), ('service', 'entry-undone'),
    ('service', 'write-refused'), ('service', 'write-failed'), ('service', 'outcome-malformed'))
GROUP BY 1, 2

-- name: open
-- The alerts that are not over, begun or about to.
SELECT alert_id, organization_id, condition, subject, detail, seen_at, clear_at, begun_at, told_at FROM alerts
WHERE ended_at IS NULL

-- name: save
-- An alert as it is now.
-- example: {"alert_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "condition": "silent", "subject": "", "detail": "", "seen_at": "2026-01-01T00:00:00Z", "clear_at": null, "begun_at": null, "told_at": null, "ended_at": null}
INSERT INTO alerts (alert_id, organization_id, condition, subject, detail, seen_at, clear_at, begun_at, told_at, ended_at)
VALUES (%(alert_id)s, %(organization_id)s, %(condition)s, %(subject)s, %(detail)s, %(seen_at)s, %(clear_at)s, %(begun_at)s,
        %(told_at)s, %(ended_at)s)
ON CONFLICT (tenant_id, alert_id) DO UPDATE SET
    detail = excluded.detail, clear_at = excluded.clear_at, begun_at = excluded.begun_at, told_at = excluded.told_at,
    ended_at = excluded.ended_at

-- name: shown
-- The alerts that were told and are not over, and those that ended lately, the newest first.
-- example: {"ended_after": "2000-01-01T00:00:00Z", "limit": 50}
SELECT a.alert_id, a.organization_id, a.condition, a.subject, a.detail, a.seen_at, a.begun_at, a.ended_at, o.name
FROM alerts a LEFT JOIN organizations o ON o.organization_id = a.organization_id
WHERE a.begun_at IS NOT NULL AND (a.ended_at IS NULL OR a.ended_at > %(ended_after)s)
ORDER BY a.ended_at DESC NULLS FIRST, a.begun_at DESC LIMIT %(limit)s

-- name: tell
-- Tell every target something of an alert.
-- example: {"alert_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "what": "begin", "now": "2026-01-01T00:00:00Z"}
INSERT INTO alert_deliveries (target_id, alert_id, what, made_at, next_at)
SELECT target_id, %(alert_id)s, %(what)s, %(now)s, %(now)s FROM alert_targets

-- name: test
-- Tell one target that this is a test; no row where there is no such target, or one was asked for just before.
-- example: {"target_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e12", "now": "2026-01-01T00:00:00Z", "since": "2100-01-01T00:00:00Z"}
INSERT INTO alert_deliveries (target_id, what, made_at, next_at)
SELECT target_id, 'test', %(now)s, %(now)s FROM alert_targets t WHERE target_id = %(target_id)s AND NOT EXISTS (
    SELECT FROM alert_deliveries d WHERE d.target_id = t.target_id AND d.what = 'test' AND d.made_at > %(since)s)

-- name: lost
-- What was claimed and never ended: a webhook is told again under the same id, of the others nobody can tell.
-- example: {"before": "2100-01-01T00:00:00Z", "now": "2026-01-01T00:00:00Z"}
UPDATE alert_deliveries d SET
    state = CASE WHEN t.kind = 'webhook' THEN 'waiting' ELSE 'uncertain' END,
    ended_at = CASE WHEN t.kind = 'webhook' THEN NULL ELSE %(now)s::timestamptz END,
    error = 'broken-off'
FROM alert_targets t
WHERE t.target_id = d.target_id AND d.state = 'sending' AND d.claimed_at < %(before)s

-- name: due
-- The targets that something waits for.
-- example: {"now": "2100-01-01T00:00:00Z"}
SELECT t.target_id, t.kind, t.address, t.language, t.secret_sealed FROM alert_targets t
WHERE EXISTS (SELECT FROM alert_deliveries d
              WHERE d.target_id = t.target_id AND d.state = 'waiting' AND d.next_at <= %(now)s)
ORDER BY t.target_id

-- name: claim
-- Take what waits for a target; nobody else will send it.
-- example: {"target_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e12", "now": "2100-01-01T00:00:00Z"}
WITH claimed AS (
    UPDATE alert_deliveries SET state = 'sending', claimed_at = %(now)s, attempts = attempts + 1
    WHERE target_id = %(target_id)s AND state = 'waiting' AND next_at <= %(now)s
    RETURNING delivery_id, alert_id, what, attempts, made_at
)
SELECT c.delivery_id, c.what, c.attempts, c.made_at, a.organization_id, a.condition, a.subject, a.detail, a.seen_at,
       a.ended_at, o.name
FROM claimed c LEFT JOIN alerts a ON a.alert_id = c.alert_id
LEFT JOIN organizations o ON o.organization_id = a.organization_id
ORDER BY c.made_at, c.delivery_id

-- name: done
-- How the sending of what was claimed went.
-- example: {"delivery_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e13"], "state": "sent", "error": "", "next_at": "2026-01-01T00:00:00Z", "now": "2026-01-01T00:00:00Z"}
UPDATE alert_deliveries SET state = %(state)s, error = %(error)s, next_at = %(next_at)s,
    ended_at = CASE WHEN %(state)s = 'waiting' THEN NULL ELSE %(now)s::timestamptz END
WHERE delivery_id = ANY(%(delivery_ids)s)

-- name: note
-- How the newest sending to a target went.
-- example: {"target_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e12", "error": "", "now": "2026-01-01T00:00:00Z"}
UPDATE alert_targets SET last_error = %(error)s,
    last_ok_at = CASE WHEN %(error)s = '' THEN %(now)s ELSE last_ok_at END
WHERE target_id = %(target_id)s

-- name: targets
-- Where alerts go, with how many wait and of how many nobody can tell.
SELECT t.target_id, t.kind, t.address, t.language, t.made_by, t.made_at, t.last_ok_at, t.last_error,
       (SELECT count(*) FROM alert_deliveries d
        WHERE d.target_id = t.target_id AND d.state IN ('waiting', 'sending')) AS waiting,
       (SELECT count(*) FROM alert_deliveries d WHERE d.target_id = t.target_id AND d.state = 'uncertain') AS uncertain
FROM alert_targets t ORDER BY t.kind, t.address

-- name: add_target
-- A new target, unless there is one like it.
-- example: {"target_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e14", "kind": "mail", "address": "a@example.com", "language": "en", "secret_sealed": null, "actor": "anna"}
INSERT INTO alert_targets (target_id, kind, address, language, secret_sealed, made_by)
VALUES (%(target_id)s, %(kind)s, %(address)s, %(language)s, %(secret_sealed)b, %(actor)s)
ON CONFLICT (tenant_id, kind, address) DO NOTHING

-- name: remove_target
-- No alert goes there any more; what waited for it is forgotten.
-- example: {"target_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e12"}
DELETE FROM alert_targets WHERE target_id = %(target_id)s RETURNING kind, address

-- name: prune_deliveries
-- What was sent long ago.
-- example: {"before": "2100-01-01T00:00:00Z"}
DELETE FROM alert_deliveries WHERE ended_at < %(before)s

-- name: prune
-- Alerts that ended long ago and of which no target is still told.
-- example: {"before": "2100-01-01T00:00:00Z"}
DELETE FROM alerts a WHERE a.ended_at < %(before)s
    AND NOT EXISTS (SELECT FROM alert_deliveries d WHERE d.alert_id = a.alert_id)
