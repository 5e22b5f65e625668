-- name: waiting
-- Whether events wait for the sealer, and whether what is sealed waits for a signature.
-- example: {"since": "2026-01-01T00:00:00Z"}
SELECT EXISTS (SELECT FROM events WHERE seq IS NULL) AS unsealed,
       EXISTS (SELECT FROM audit_heads h WHERE NOT EXISTS (
           SELECT FROM audit_checkpoints c WHERE c.seq = h.seq OR c.at > %(since)s)) AS unsigned

-- name: lock
-- One sealer of a tenant at a time; the others go on to the next tenant.
SELECT pg_try_advisory_xact_lock(hashtextextended('gatepost sealer ' || gatepost_tenant(), 0)) AS locked

-- name: head
-- The last number and hash, locked.
SELECT seq, chain_hash FROM audit_heads FOR UPDATE

-- name: unsealed
-- Committed events without a number, the oldest first.
-- example: {"limit": 10}
SELECT event_id, at, name, actor, address, organization_id, body_hash FROM events
WHERE seq IS NULL ORDER BY at, event_id LIMIT %(limit)s

-- name: seal
-- Events get their numbers and hashes.
-- example: {"rows": {"rows": [{"event_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "seq": 1, "chain_hash": "00"}]}}
UPDATE events e SET seq = r.seq, chain_hash = decode(r.chain_hash, 'hex')
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (event_id uuid, seq bigint, chain_hash text)
WHERE e.event_id = r.event_id AND e.seq IS NULL

-- name: advance
-- The new last number and hash.
-- example: {"seq": 1, "chain_hash": "x"}
INSERT INTO audit_heads (seq, chain_hash) VALUES (%(seq)s, %(chain_hash)s)
ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, chain_hash = excluded.chain_hash, at = now()

-- name: sign
-- A checkpoint.
-- example: {"seq": 1, "chain_hash": "x", "at": "2026-01-01T00:00:00Z", "public": "x", "signature": "x"}
INSERT INTO audit_checkpoints (seq, chain_hash, at, public, signature)
VALUES (%(seq)s, %(chain_hash)s, %(at)s, %(public)s, %(signature)s)
ON CONFLICT DO NOTHING
