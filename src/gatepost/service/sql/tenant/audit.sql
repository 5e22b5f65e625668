-- name: insert
-- One event of the running transaction.
-- example: {"name": "operator:tenant:created", "actor": "operator", "body": {}, "body_hash": "", "organization_id": null}
INSERT INTO events (organization_id, name, actor, body, body_hash)
VALUES (%(organization_id)s, %(name)s, %(actor)s, %(body)s, %(body_hash)s)
