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
-- These findings of the service about a subject are over.
-- example: {"organization_id": "", "codes": ["x"], "subject": ""}
UPDATE findings SET ended_at = now()
WHERE organization_id = %(organization_id)s AND origin = 'service' AND code = ANY(%(codes)s) AND subject = %(subject)s
  AND ended_at IS NULL

-- name: end_old
-- A connector tells each finding when it meets it; after a day without it, it is over.
-- example: {"before": "2026-01-01T00:00:00Z"}
UPDATE findings SET ended_at = now() WHERE origin = 'connector' AND ended_at IS NULL AND last < %(before)s
