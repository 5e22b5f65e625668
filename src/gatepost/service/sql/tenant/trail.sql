-- name: head
-- The last number and hash, and the key whose signatures count.
SELECT h.seq, h.chain_hash, h.at, (SELECT k.public FROM tenant_keys k) AS public FROM audit_heads h

-- name: sealed
-- Sealed events behind a number, in order.
-- example: {"after": 0, "until": 10, "limit": 10}
SELECT event_id, at, name, actor, address, organization_id, body_hash, body, seq, chain_hash FROM events
WHERE seq > %(after)s AND seq <= %(until)s ORDER BY seq LIMIT %(limit)s

-- name: beyond
-- Sealed events behind a number that the head does not know.
-- example: {"seq": 0}
SELECT event_id, seq FROM events WHERE seq > %(seq)s ORDER BY seq LIMIT 1

-- name: at
-- The chain's hash at a number.
-- example: {"seq": 1}
SELECT chain_hash FROM events WHERE seq = %(seq)s

-- name: checkpoints
-- Every checkpoint, in order.
SELECT seq, chain_hash, at, public, signature FROM audit_checkpoints ORDER BY seq

-- name: unsealed
-- Events that should have been sealed by now.
-- example: {"before": "2100-01-01T00:00:00Z"}
SELECT count(*) AS waiting, min(at) AS since FROM events WHERE seq IS NULL AND at < %(before)s

-- name: page
-- A page of events, newest first: behind a cursor, and those that fit. Empty filters take all.
-- example: {"actor": "", "name": "", "organization_id": null, "since": null, "until": null, "before_at": null, "before_id": null, "limit": 10}
SELECT event_id, at, name, actor, address, organization_id, body, seq FROM events
WHERE (%(actor)s = '' OR actor = %(actor)s) AND (%(name)s = '' OR name = %(name)s)
  AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
  AND (%(before_at)s::timestamptz IS NULL OR (at, event_id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY at DESC, event_id DESC LIMIT %(limit)s
