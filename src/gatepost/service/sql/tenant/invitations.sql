-- name: end
-- The invitations of an administrator that were not used end.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
DELETE FROM invitations WHERE administrator_id = %(administrator_id)s AND used_at IS NULL

-- name: make
-- An invitation, of which only the hash of its code is kept.
-- example: {"code_hash": "new", "administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "made_by": "Anna", "expires_at": "2026-01-01T00:00:00Z"}
INSERT INTO invitations (code_hash, administrator_id, made_by, expires_at)
VALUES (%(code_hash)s, %(administrator_id)s, %(made_by)s, %(expires_at)s)

-- name: take
-- Use an invitation, once; no row where it was used, is too old, or its administrator is disabled.
-- example: {"code_hash": "x"}
UPDATE invitations i SET used_at = now() FROM administrators a
WHERE i.code_hash = %(code_hash)s AND i.used_at IS NULL AND i.expires_at > now()
  AND a.tenant_id = i.tenant_id AND a.administrator_id = i.administrator_id AND a.disabled_at IS NULL
RETURNING i.administrator_id, a.name, i.made_by

-- name: prune
-- Invitations whose time is over.
-- example: {"before": "2026-01-01T00:00:00Z"}
DELETE FROM invitations WHERE expires_at < %(before)s
