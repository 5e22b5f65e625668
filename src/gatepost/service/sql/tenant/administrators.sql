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
