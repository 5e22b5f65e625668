-- name: ensure_organization
-- The organization of this name, made if it is new.
-- example: {"name": "Head office"}
WITH made AS (
    INSERT INTO organizations (name) VALUES (%(name)s) ON CONFLICT (tenant_id, name) DO NOTHING
    RETURNING organization_id
)
SELECT organization_id FROM made
UNION ALL
SELECT organization_id FROM organizations WHERE tenant_id = gatepost_tenant() AND name = %(name)s
LIMIT 1

-- name: add_ticket
-- A ticket for one enrolment; only its hash is kept.
-- example: {"ticket_hash": "x", "organization_id": "", "expires_at": "2026-01-02T00:00:00Z", "made_by": "operator"}
INSERT INTO tickets (ticket_hash, organization_id, expires_at, made_by)
VALUES (%(ticket_hash)s, %(organization_id)s, %(expires_at)s, %(made_by)s)

-- name: lock_ticket
-- A ticket and what it paid for, locked until the enrolment is committed.
-- example: {"ticket_hash": "x"}
SELECT t.organization_id, t.expires_at, t.used_at, t.public_key, t.connector_id, c.epoch
FROM tickets t LEFT JOIN connectors c ON c.connector_id = t.connector_id
WHERE t.ticket_hash = %(ticket_hash)s
FOR UPDATE OF t

-- name: use_ticket
-- A ticket is spent, once.
-- example: {"ticket_hash": "x", "connector_id": "", "public_key": "sha256:00"}
UPDATE tickets SET used_at = now(), connector_id = %(connector_id)s, public_key = %(public_key)s
WHERE ticket_hash = %(ticket_hash)s AND used_at IS NULL

-- name: raise_epoch
-- The next epoch of an organization; the lock keeps every check-in of the connector before out until it is fenced.
-- example: {"organization_id": ""}
UPDATE organizations SET epoch = epoch + 1, state = 'connected', connected_at = now()
WHERE organization_id = %(organization_id)s AND state <> 'removing'
RETURNING epoch

-- name: supersede
-- The connectors before this epoch are fenced from now on.
-- example: {"organization_id": "", "epoch": 1}
UPDATE connectors SET superseded_at = now()
WHERE organization_id = %(organization_id)s AND epoch < %(epoch)s AND superseded_at IS NULL

-- name: add_connector
-- A connector of this epoch, with its empty check-in row and the organization's head.
-- example: {"organization_id": "", "epoch": 1, "public_key": "sha256:00", "host": "", "version": ""}
WITH made AS (
    INSERT INTO connectors (organization_id, epoch, public_key, host, version)
    VALUES (%(organization_id)s, %(epoch)s, %(public_key)s, %(host)s, %(version)s)
    RETURNING connector_id
), opened AS (
    INSERT INTO checkins (connector_id, organization_id) SELECT connector_id, %(organization_id)s FROM made
), headed AS (
    INSERT INTO desired_heads (organization_id) VALUES (%(organization_id)s) ON CONFLICT DO NOTHING
)
SELECT connector_id FROM made

-- name: connector
-- A connector with what decides whether it is still the one: its key, its organization's epoch, who came after it.
-- example: {"connector_id": ""}
SELECT c.connector_id, c.organization_id, c.epoch, c.public_key, c.revoked_at, c.superseded_at,
       o.epoch AS current_epoch, o.state AS organization_state, n.host AS next_host, n.enrolled_at AS next_at
FROM connectors c
JOIN organizations o ON o.organization_id = c.organization_id
LEFT JOIN connectors n ON n.organization_id = c.organization_id AND n.epoch = o.epoch
WHERE c.connector_id = %(connector_id)s
