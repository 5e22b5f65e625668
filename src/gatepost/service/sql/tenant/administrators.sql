-- name: create
-- A new administrator; no row where the name is taken.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "name": "Anna", "password_hash": "$argon2id$", "roles": ["administrator"]}
INSERT INTO administrators (administrator_id, name, password_hash, roles)
VALUES (%(administrator_id)s, %(name)s, %(password_hash)s, %(roles)s)
ON CONFLICT DO NOTHING

-- name: all
-- Every administrator of the tenant, without the hashes.
SELECT name, roles, made_at, last_sign_in_at, disabled_at FROM administrators ORDER BY lower(name)

-- name: set_password
-- Another password, and the end of every session made with the one before; no row where nobody has the name.
-- example: {"name": "Anna", "password_hash": "$argon2id$"}
WITH changed AS (
    UPDATE administrators SET password_hash = %(password_hash)s WHERE lower(name) = lower(%(name)s)
    RETURNING administrator_id, name
), ended AS (
    DELETE FROM sessions WHERE administrator_id IN (SELECT administrator_id FROM changed) RETURNING session_id
)
SELECT administrator_id, name, (SELECT count(*) FROM ended) AS sessions FROM changed

-- name: by_name
-- Who signs in with a name, and the hash to compare the password with.
-- example: {"name": "Anna"}
SELECT administrator_id, name, password_hash FROM administrators
WHERE lower(name) = lower(%(name)s) AND disabled_at IS NULL

-- name: renew_hash
-- A password's hash made with the parameters of today.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "password_hash": "$argon2id$"}
UPDATE administrators SET password_hash = %(password_hash)s WHERE administrator_id = %(administrator_id)s

-- name: signed_in
-- Note when an administrator last signed in.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE administrators SET last_sign_in_at = now() WHERE administrator_id = %(administrator_id)s

-- name: standing
-- How one administrator stands: roles, factors and moments; locked until the transaction ends.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT a.administrator_id, a.name, a.roles, a.made_at, a.promoted_at, a.disabled_at, a.last_sign_in_at,
       a.password_hash IS NOT NULL AS has_password,
       (SELECT count(*) FROM passkeys p WHERE p.administrator_id = a.administrator_id) AS passkeys,
       (SELECT max(i.expires_at) FROM invitations i
        WHERE i.administrator_id = a.administrator_id AND i.used_at IS NULL AND i.expires_at > now()) AS invited_until
FROM administrators a WHERE a.administrator_id = %(administrator_id)s
FOR UPDATE OF a

-- name: everybody
-- Every administrator of the tenant as one page shows them, and with how many live sessions.
-- example: {"made_after": "2026-01-01T00:00:00Z", "seen_after": "2026-01-01T00:00:00Z"}
SELECT a.administrator_id, a.name, a.roles, a.made_at, a.promoted_at, a.disabled_at, a.last_sign_in_at,
       a.password_hash IS NOT NULL AS has_password,
       (SELECT count(*) FROM passkeys p WHERE p.administrator_id = a.administrator_id) AS passkeys,
       (SELECT count(*) FROM sessions s WHERE s.administrator_id = a.administrator_id
        AND s.made_at > %(made_after)s AND s.seen_at > %(seen_after)s) AS sessions,
       (SELECT max(i.expires_at) FROM invitations i
        WHERE i.administrator_id = a.administrator_id AND i.used_at IS NULL AND i.expires_at > now()) AS invited_until
FROM administrators a ORDER BY lower(a.name)

-- name: line_up
-- Who can sign in and holds one of some roles; the rows stay as they are until the transaction ends.
-- example: {"roles": ["administrator"]}
SELECT a.administrator_id, a.made_at, a.promoted_at FROM administrators a
WHERE a.disabled_at IS NULL AND a.roles && %(roles)s::text[]
  AND (a.password_hash IS NOT NULL OR EXISTS (SELECT FROM passkeys p WHERE p.administrator_id = a.administrator_id))
ORDER BY a.administrator_id FOR UPDATE OF a

-- name: set_roles
-- Other roles; promoted_at is when they last allowed more than before.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "roles": ["reader"], "promoted": true}
UPDATE administrators SET roles = %(roles)s, promoted_at = CASE WHEN %(promoted)s THEN now() ELSE promoted_at END
WHERE administrator_id = %(administrator_id)s

-- name: disable
-- Nobody signs in as this administrator until further notice.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE administrators SET disabled_at = now() WHERE administrator_id = %(administrator_id)s AND disabled_at IS NULL

-- name: enable
-- A disabled administrator may sign in again, and counts as promoted at this moment.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE administrators SET disabled_at = NULL, promoted_at = now()
WHERE administrator_id = %(administrator_id)s AND disabled_at IS NOT NULL

-- name: replace_password
-- Another password, or none.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "password_hash": "$argon2id$"}
UPDATE administrators SET password_hash = %(password_hash)s WHERE administrator_id = %(administrator_id)s

-- name: promoted_now
-- Whoever proves anew who they are to somebody else counts as promoted at this moment.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE administrators SET promoted_at = now() WHERE administrator_id = %(administrator_id)s

-- name: rules
-- Whether every administrator of the tenant needs a passkey.
SELECT passkeys_required FROM sign_in_rules

-- name: require_passkeys
-- Every administrator needs a passkey, or need not have one.
-- example: {"passkeys_required": true}
INSERT INTO sign_in_rules (passkeys_required) VALUES (%(passkeys_required)s)
ON CONFLICT (tenant_id) DO UPDATE SET passkeys_required = EXCLUDED.passkeys_required

-- name: named
-- Whoever has a name, disabled or not.
-- example: {"name": "Anna"}
SELECT administrator_id, name FROM administrators WHERE lower(name) = lower(%(name)s)
