-- name: open
-- A new session; only the hash of its secret is kept. No row where the administrator was disabled meanwhile.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "secret_hash": "x", "administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428", "factors": "password", "address": "192.0.2.1"}
INSERT INTO sessions (session_id, secret_hash, administrator_id, step_up_at, factors, address)
SELECT %(session_id)s, convert_to(%(secret_hash)s, 'UTF8'), administrator_id, now(), %(factors)s, %(address)s
FROM administrators WHERE administrator_id = %(administrator_id)s AND disabled_at IS NULL

-- name: of
-- The session of a token, with its administrator and tenant, if it is neither too old nor idle for too long.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "secret_hash": "x", "made_after": "2026-01-01T00:00:00Z", "seen_after": "2026-01-01T00:00:00Z"}
SELECT s.administrator_id, s.seen_at, s.step_up_at, s.factors, a.name, a.roles, t.slug,
       EXISTS (SELECT FROM passkeys p WHERE p.administrator_id = s.administrator_id) AS has_passkey,
       EXISTS (SELECT FROM sign_in_rules r WHERE r.passkeys_required) AS passkeys_required
FROM sessions s
JOIN administrators a ON a.tenant_id = s.tenant_id AND a.administrator_id = s.administrator_id
JOIN tenants t ON t.tenant_id = s.tenant_id
WHERE s.session_id = %(session_id)s AND s.secret_hash = convert_to(%(secret_hash)s, 'UTF8')
  AND s.made_at > %(made_after)s AND s.seen_at > %(seen_after)s AND a.disabled_at IS NULL AND t.state = 'active'

-- name: step_up
-- A session proven anew goes on under another id and secret; no row where it has ended.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "new_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428", "secret_hash": "x", "factors": "password"}
UPDATE sessions SET session_id = %(new_id)s, secret_hash = convert_to(%(secret_hash)s, 'UTF8'), factors = %(factors)s,
    step_up_at = now(), seen_at = now()
WHERE session_id = %(session_id)s

-- name: touch
-- Count a request as a sign of life.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE sessions SET seen_at = now() WHERE session_id = %(session_id)s

-- name: close
-- End a session.
-- example: {"session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
DELETE FROM sessions WHERE session_id = %(session_id)s

-- name: all
-- The live sessions of an administrator, newest first.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "made_after": "2026-01-01T00:00:00Z", "seen_after": "2026-01-01T00:00:00Z"}
SELECT session_id, made_at, seen_at, address, factors FROM sessions
WHERE administrator_id = %(administrator_id)s AND made_at > %(made_after)s AND seen_at > %(seen_after)s
ORDER BY made_at DESC

-- name: end
-- End every session of an administrator but one.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "but": null}
DELETE FROM sessions WHERE administrator_id = %(administrator_id)s AND session_id IS DISTINCT FROM %(but)s

-- name: end_one
-- End one session of an administrator.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "session_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428"}
DELETE FROM sessions WHERE administrator_id = %(administrator_id)s AND session_id = %(session_id)s
