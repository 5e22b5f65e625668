-- name: claim
-- The installation's key is this one, unless there is one already.
-- example: {"key_id": "x"}
INSERT INTO vault (key_id) VALUES (%(key_id)s) ON CONFLICT DO NOTHING

-- name: key_id
-- Which key seals what is in this database.
SELECT key_id FROM vault
