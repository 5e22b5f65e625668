-- name: report
-- A finding is there, still or again.
-- example: {"organization_id": "", "origin": "sync", "code": "x", "subject": "", "cause": "", "remedy": ""}
INSERT INTO findings (organization_id, origin, code, subject, cause, remedy)
VALUES (%(organization_id)s, %(origin)s, %(code)s, %(subject)s, %(cause)s, %(remedy)s)
ON CONFLICT (tenant_id, organization_id, origin, code, subject) DO UPDATE SET
    cause = excluded.cause, remedy = excluded.remedy, last = now(), ended_at = NULL,
    since = CASE WHEN findings.ended_at IS NULL THEN findings.since ELSE now() END

-- name: end_others
-- Of this origin's findings only those told in this transaction are still there.
-- example: {"organization_id": "", "origin": "sync"}
UPDATE findings SET ended_at = now()
WHERE organization_id = %(organization_id)s AND origin = %(origin)s AND ended_at IS NULL AND last < now()

-- name: end
-- These findings of the service about these subjects are over.
-- example: {"organization_id": "", "rows": {"rows": [{"codes": ["x"], "subject": ""}]}}
UPDATE findings f SET ended_at = now()
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (codes text[], subject text), unnest(r.codes) AS c (code)
WHERE f.organization_id = %(organization_id)s AND f.origin = 'service' AND f.code = c.code AND f.subject = r.subject
  AND f.ended_at IS NULL

-- name: end_old
-- A connector tells each finding when it meets it; after a day without it, it is over.
-- example: {"before": "2026-01-01T00:00:00Z"}
UPDATE findings SET ended_at = now() WHERE origin = 'connector' AND ended_at IS NULL AND last < %(before)s
