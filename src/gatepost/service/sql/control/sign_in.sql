-- name: lock
-- Put the attempts of one address in line until the transaction ends, so that many at once cannot pass the limit.
-- example: {"address": "192.0.2.1"}
SELECT pg_advisory_xact_lock(hashtextextended('gatepost sign-in ' || %(address)s, 0))

-- name: attempts
-- How many attempts of an address failed since a moment, and when the last did: anywhere, at one tenant's short name, and
-- there with one name.
-- example: {"address": "192.0.2.1", "slug_hash": "x", "name_hash": "x", "since": "2026-01-01T00:00:00Z"}
SELECT count(*) AS anywhere, max(at) AS last_anywhere,
       count(*) FILTER (WHERE slug_hash = %(slug_hash)s) AS by_address,
       max(at) FILTER (WHERE slug_hash = %(slug_hash)s) AS last_by_address,
       count(*) FILTER (WHERE slug_hash = %(slug_hash)s AND name_hash = %(name_hash)s) AS by_name,
       max(at) FILTER (WHERE slug_hash = %(slug_hash)s AND name_hash = %(name_hash)s) AS last_by_name
FROM sign_in_attempts
WHERE address = %(address)s AND at > %(since)s AND NOT succeeded

-- name: attempt
-- Count an attempt, as failed until it has succeeded.
-- example: {"address": "192.0.2.1", "slug_hash": "x", "name_hash": "x"}
INSERT INTO sign_in_attempts (address, slug_hash, name_hash) VALUES (%(address)s, %(slug_hash)s, %(name_hash)s)

-- name: succeeded
-- The attempts of this name from this address no longer count: this one, and the failed ones before it.
-- example: {"address": "192.0.2.1", "slug_hash": "x", "name_hash": "x", "since": "2026-01-01T00:00:00Z"}
UPDATE sign_in_attempts SET succeeded = true
WHERE address = %(address)s AND slug_hash = %(slug_hash)s AND name_hash = %(name_hash)s AND at > %(since)s
  AND NOT succeeded

-- name: prune
-- Attempts that no limit looks at any more.
-- example: {"before": "2026-01-01T00:00:00Z"}
DELETE FROM sign_in_attempts WHERE at < %(before)s
