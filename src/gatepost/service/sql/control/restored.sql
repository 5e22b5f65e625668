-- name: before
-- The history that the database had; none where a restore was not finished.
SELECT incarnation FROM incarnation

-- name: begin
-- Another history: connectors begin afresh, and carry out no order of the one before.
INSERT INTO incarnation DEFAULT VALUES
ON CONFLICT (single) DO UPDATE SET incarnation = excluded.incarnation, since = now()
RETURNING incarnation

-- name: acknowledge
-- Whatever was published may have been written, for what was reported since the backup is lost.
UPDATE desired_heads SET acknowledged = revision

-- name: forget_memories
-- Every connector's next document begins a new memory; and nobody else writes before a lease that we do not know is over.
-- example: {"lease_seconds": 120}
UPDATE checkins c SET memory = 0, held = 0, doubted = 0, told_at = NULL,
    lease_until = greatest(c.lease_until, now() + make_interval(secs => %(lease_seconds)s))
FROM organizations o, connectors k
WHERE k.tenant_id = c.tenant_id AND k.connector_id = c.connector_id AND o.tenant_id = c.tenant_id
  AND o.organization_id = c.organization_id AND k.epoch = o.epoch

-- name: forget_freshness
-- What sources said since the backup is lost: what was known of them takes nobody access away until they speak anew.
UPDATE sources SET fresh_at = NULL WHERE fresh_at IS NOT NULL

-- name: forget_sessions
-- Whoever was signed in then may not be any more.
DELETE FROM sessions

-- name: forget_tickets
-- A ticket that is not spent here may be spent in the history that is lost.
DELETE FROM tickets WHERE used_at IS NULL

-- name: forget_requests
-- Connectors take a full synchronisation by themselves.
UPDATE organizations SET sync_requested = 'none', sync_requested_at = NULL WHERE sync_requested <> 'none'

-- name: tell
-- One event for each tenant.
-- example: {"rows": {"rows": [{"tenant_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "body": {}, "body_hash": ""}]}, "event": "operator:database:restored"}
INSERT INTO events (tenant_id, name, actor, address, body, body_hash)
SELECT r.tenant_id, %(event)s, 'operator', '', r.body, decode(r.body_hash, 'hex')
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (tenant_id uuid, body jsonb, body_hash text)
