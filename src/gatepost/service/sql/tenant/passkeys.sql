-- name: offer
-- A challenge to be answered once; no row where an address has too many that were not answered: for one person, or for
-- nobody yet, so that whoever asks without a name keeps nobody from confirming.
-- example: {"challenge": "new", "purpose": "step-up", "administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "address": "192.0.2.1", "made_after": "2026-01-01T00:00:00Z", "most": 50}
INSERT INTO passkey_challenges (challenge, purpose, administrator_id, address)
SELECT %(challenge)s, %(purpose)s, %(administrator_id)s, %(address)s
WHERE (SELECT count(*) FROM passkey_challenges
       WHERE address = %(address)s AND made_at > %(made_after)s
         AND administrator_id IS NOT DISTINCT FROM %(administrator_id)s::uuid) < %(most)s

-- name: take
-- The challenge that an answer names, which is gone with that.
-- example: {"challenge": "x", "made_after": "2026-01-01T00:00:00Z"}
DELETE FROM passkey_challenges WHERE challenge = %(challenge)s AND made_at > %(made_after)s
RETURNING purpose, administrator_id

-- name: prune
-- Challenges that nobody answered in time.
-- example: {"made_before": "2026-01-01T00:00:00Z"}
DELETE FROM passkey_challenges WHERE made_at < %(made_before)s

-- name: owner
-- Whose passkey is to be made, and how authenticators know that person.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT name, user_handle FROM administrators WHERE administrator_id = %(administrator_id)s AND disabled_at IS NULL

-- name: add
-- A new passkey; no row where the tenant knows its credential already.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "credential_id": "new", "public_key": "x", "sign_count": 0, "transports": ["internal"], "name": "Laptop"}
INSERT INTO passkeys (administrator_id, credential_id, public_key, sign_count, transports, name)
VALUES (%(administrator_id)s, %(credential_id)s, %(public_key)s, %(sign_count)s, %(transports)s, %(name)s)
ON CONFLICT DO NOTHING

-- name: by_credential
-- A passkey by its credential's id, with its person.
-- example: {"credential_id": "x"}
SELECT p.passkey_id, p.administrator_id, p.public_key, p.sign_count, a.name, a.user_handle
FROM passkeys p JOIN administrators a ON a.tenant_id = p.tenant_id AND a.administrator_id = p.administrator_id
WHERE p.credential_id = %(credential_id)s AND a.disabled_at IS NULL

-- name: used
-- A passkey was used; no row where its counter did not grow, unless it never counts.
-- example: {"passkey_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "sign_count": 7}
UPDATE passkeys SET sign_count = %(sign_count)s, last_used_at = now()
WHERE passkey_id = %(passkey_id)s AND (sign_count < %(sign_count)s OR (sign_count = 0 AND %(sign_count)s = 0))

-- name: all
-- The passkeys of an administrator, oldest first.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT passkey_id, name, credential_id, transports, made_at, last_used_at FROM passkeys
WHERE administrator_id = %(administrator_id)s ORDER BY made_at, passkey_id

-- name: rename
-- Another name for a passkey; the one before comes back.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "passkey_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "name": "Phone"}
UPDATE passkeys p SET name = %(name)s FROM passkeys before
WHERE p.administrator_id = %(administrator_id)s AND p.passkey_id = %(passkey_id)s AND before.passkey_id = p.passkey_id
  AND before.tenant_id = p.tenant_id
RETURNING before.name

-- name: remove
-- A passkey that is not used any more.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "passkey_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
DELETE FROM passkeys WHERE administrator_id = %(administrator_id)s AND passkey_id = %(passkey_id)s RETURNING name

-- name: remove_all
-- A person has no passkeys any more.
-- example: {"administrator_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
DELETE FROM passkeys WHERE administrator_id = %(administrator_id)s
