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
SELECT name, (SELECT count(*) FROM ended) AS sessions FROM changed

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

-- name: open_session
-- A new session; only the hash of its secret is kept. No row where the administrator was disabled meanwhile.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "secret_hash": "x", "administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428"}
INSERT INTO sessions (session_id, secret_hash, administrator_id)
SELECT %(session_id)s, convert_to(%(secret_hash)s, 'UTF8'), administrator_id
FROM administrators WHERE administrator_id = %(administrator_id)s AND disabled_at IS NULL

-- name: session
-- The session of a token, with its administrator and tenant, if it is neither too old nor idle for too long.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "secret_hash": "x", "made_after": "2026-01-01T00:00:00Z", "seen_after": "2026-01-01T00:00:00Z"}
SELECT s.administrator_id, s.seen_at, a.name, a.roles, t.slug
FROM sessions s
JOIN administrators a ON a.tenant_id = s.tenant_id AND a.administrator_id = s.administrator_id
JOIN tenants t ON t.tenant_id = s.tenant_id
WHERE s.session_id = %(session_id)s AND s.secret_hash = convert_to(%(secret_hash)s, 'UTF8')
  AND s.made_at > %(made_after)s AND s.seen_at > %(seen_after)s AND a.disabled_at IS NULL AND t.state = 'active'

-- name: touch_session
-- Count a request as a sign of life.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE sessions SET seen_at = now() WHERE session_id = %(session_id)s

-- name: close_session
-- End a session.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
DELETE FROM sessions WHERE session_id = %(session_id)s
