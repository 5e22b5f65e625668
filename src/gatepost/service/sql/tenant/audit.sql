-- name: insert
-- Events of the running transaction.
-- example: {"actor": "operator", "address": "", "organization_id": null, "rows": {"rows": [{"name": "operator:tenant:created", "body": {}, "body_hash": ""}]}}
INSERT INTO events (organization_id, name, actor, address, body, body_hash)
SELECT %(organization_id)s::uuid, r.name, %(actor)s, %(address)s, r.body, decode(r.body_hash, 'hex')
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (name text, body jsonb, body_hash text)
