-- name: add
-- A certificate, from now on.
-- example: {"connector_id": "", "serial": "0", "public_key": "x", "certificate": "", "not_after": "2026-01-02T00:00:00Z"}
INSERT INTO connector_certificates (connector_id, serial, public_key, certificate, not_after)
VALUES (%(connector_id)s, %(serial)s, %(public_key)s, %(certificate)s, %(not_after)s)

-- name: lock
-- Requests of one connector for certificates, one after the other.
-- example: {"connector_id": ""}
SELECT connector_id FROM connectors WHERE connector_id = %(connector_id)s FOR UPDATE

-- name: of_key
-- The certificates that a connector has for a key, the newest first.
-- example: {"connector_id": "", "public_key": "x"}
SELECT serial, certificate, not_after, first_used_at, retired_at, revoked_at FROM connector_certificates
WHERE connector_id = %(connector_id)s AND public_key = %(public_key)s ORDER BY issued_at DESC

-- name: first_use
-- A certificate signs for the first time: it is in use, and every other one of its connector is not any more.
-- example: {"connector_id": "", "serial": "0"}
UPDATE connector_certificates SET
    first_used_at = CASE serial WHEN %(serial)s THEN now() ELSE first_used_at END,
    retired_at = CASE serial WHEN %(serial)s THEN NULL ELSE coalesce(retired_at, now()) END
WHERE connector_id = %(connector_id)s

-- name: revoke
-- None of a connector's certificates is good any more.
-- example: {"connector_id": ""}
UPDATE connector_certificates SET revoked_at = now() WHERE connector_id = %(connector_id)s AND revoked_at IS NULL
