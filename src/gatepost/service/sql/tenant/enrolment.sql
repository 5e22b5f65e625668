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
SELECT t.organization_id, o.name AS organization_name, t.expires_at, t.used_at, t.key_hash, t.connector_id, c.epoch
FROM tickets t
JOIN organizations o ON o.organization_id = t.organization_id
LEFT JOIN connectors c ON c.connector_id = t.connector_id
WHERE t.ticket_hash = %(ticket_hash)s
FOR UPDATE OF t

-- name: use_ticket
-- A ticket is spent, once.
-- example: {"ticket_hash": "x", "connector_id": "", "key_hash": "x"}
UPDATE tickets SET used_at = now(), connector_id = %(connector_id)s, key_hash = %(key_hash)s
WHERE ticket_hash = %(ticket_hash)s AND used_at IS NULL

-- name: lock_organization
-- An organization, so that enrolments in it come one after the other.
-- example: {"organization_id": ""}
SELECT state FROM organizations WHERE organization_id = %(organization_id)s FOR UPDATE

-- name: occupant
-- The connector that works for an organization now: its host, version and last contact.
-- example: {"organization_id": ""}
SELECT c.connector_id, c.host, c.version, i.last_at
FROM organizations o
JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch
JOIN checkins i ON i.connector_id = c.connector_id
WHERE o.organization_id = %(organization_id)s AND o.state = 'connected' AND c.revoked_at IS NULL

-- name: raise_epoch
-- The next epoch of an organization; the lock keeps every check-in of the connector before out until it is fenced.
-- returns: it had been removed.
-- example: {"organization_id": ""}
UPDATE organizations o SET epoch = o.epoch + 1, state = 'connected', connected_at = now(), removed_at = NULL
FROM (SELECT state FROM organizations WHERE organization_id = %(organization_id)s) AS was
WHERE o.organization_id = %(organization_id)s AND o.state <> 'removing'
RETURNING o.epoch, was.state = 'removed' AS returns

-- name: supersede
-- The connectors before this epoch are fenced from now on.
-- example: {"organization_id": "", "epoch": 1}
UPDATE connectors SET superseded_at = now()
WHERE organization_id = %(organization_id)s AND epoch < %(epoch)s AND superseded_at IS NULL

-- name: add_connector
-- A connector of this epoch, with its empty check-in row and the organization's head.
-- example: {"organization_id": "", "epoch": 1, "host": "", "version": ""}
WITH made AS (
    INSERT INTO connectors (organization_id, epoch, host, version)
    VALUES (%(organization_id)s, %(epoch)s, %(host)s, %(version)s)
    RETURNING connector_id
), opened AS (
    INSERT INTO checkins (connector_id, organization_id) SELECT connector_id, %(organization_id)s FROM made
), headed AS (
    INSERT INTO desired_heads (organization_id) VALUES (%(organization_id)s) ON CONFLICT DO NOTHING
)
SELECT connector_id FROM made

-- name: connector
-- A connector by the certificate that it names, with what decides whether it is still the one: its key, its
-- organization's epoch, who came after it.
-- example: {"connector_id": "", "serial": "0"}
SELECT c.connector_id, c.organization_id, c.epoch, c.superseded_at, c.late_renewal_until,
       coalesce(c.revoked_at, k.revoked_at) AS revoked_at, k.serial, k.public_key, k.not_after, k.first_used_at,
       k.retired_at, o.epoch AS current_epoch, o.state AS organization_state, o.removed_at, n.host AS next_host,
       n.enrolled_at AS next_at
FROM connectors c
JOIN connector_certificates k ON k.connector_id = c.connector_id AND k.serial = %(serial)s
JOIN organizations o ON o.organization_id = c.organization_id
LEFT JOIN connectors n ON n.organization_id = c.organization_id AND n.epoch = o.epoch
WHERE c.connector_id = %(connector_id)s

-- name: standing
-- The organization that a connector works for, as it is told who asks.
-- example: {"organization_id": ""}
SELECT name, state FROM organizations WHERE organization_id = %(organization_id)s

-- name: revoke
-- The connector that works for an organization does so no more.
-- example: {"organization_id": ""}
UPDATE connectors c SET revoked_at = now()
FROM organizations o
WHERE o.organization_id = %(organization_id)s AND c.organization_id = o.organization_id AND c.epoch = o.epoch
  AND c.revoked_at IS NULL
RETURNING c.connector_id, c.host

-- name: allow_late
-- Until when the connector of an organization may renew a certificate that has expired.
-- example: {"organization_id": "", "until": "2026-01-02T00:00:00Z"}
UPDATE connectors c SET late_renewal_until = %(until)s
FROM organizations o
WHERE o.organization_id = %(organization_id)s AND c.organization_id = o.organization_id AND c.epoch = o.epoch
  AND c.revoked_at IS NULL
RETURNING c.connector_id
