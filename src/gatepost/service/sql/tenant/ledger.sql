-- name: intend
-- An entry is wanted from this revision on. What was intended before and never read to be gone stays intended since then.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x", "list": "allow", "revision": 1}
INSERT INTO list_entries AS l (organization_id, mailbox_guid, device_id, list, ownership, intended_revision)
VALUES (%(organization_id)s, %(mailbox_guid)s, %(device_id)s, %(list)s, 'intended', %(revision)s)
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id, list) DO UPDATE SET
    intended_revision = CASE WHEN l.ownership = 'withdrawn' OR l.intended_revision IS NULL
                             THEN excluded.intended_revision ELSE l.intended_revision END,
    ownership = CASE WHEN l.ownership = 'withdrawn' THEN 'intended' ELSE l.ownership END,
    since = CASE WHEN l.ownership = 'withdrawn' THEN now() ELSE l.since END,
    released_revision = NULL

-- name: release
-- Entries in every list but this one are wanted no more from this revision on.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x", "entry": "none", "revision": 1}
UPDATE list_entries SET released_revision = %(revision)s
WHERE organization_id = %(organization_id)s AND mailbox_guid = %(mailbox_guid)s AND device_id = %(device_id)s
  AND list <> %(entry)s AND intended_revision IS NOT NULL AND released_revision IS NULL

-- name: lock
-- The entries of these device ids, locked.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT l.mailbox_guid, l.device_id, l.list, l.ownership, l.intended_revision, l.released_revision, l.story
FROM list_entries l
JOIN (SELECT DISTINCT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[])) AS k (mailbox_guid, device_id)
  ON k.mailbox_guid = l.mailbox_guid AND k.device_id = l.device_id
WHERE l.organization_id = %(organization_id)s
ORDER BY l.mailbox_guid, l.device_id, l.list FOR UPDATE OF l

-- name: save
-- What the readings of entries come to.
-- example: {"organization_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "list": "allow", "ownership": "foreign", "present_before": true, "doubtful": false, "memory": 1, "story": {}}]}}
INSERT INTO list_entries AS l (
    organization_id, mailbox_guid, device_id, list, ownership, present_before, doubtful, memory, story
)
SELECT %(organization_id)s::uuid, r.mailbox_guid, r.device_id, r.list, r.ownership, r.present_before, r.doubtful,
       r.memory, r.story
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, list text, ownership text, present_before boolean, doubtful boolean,
    memory bigint, story jsonb)
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id, list) DO UPDATE SET
    since = CASE WHEN l.ownership = excluded.ownership THEN l.since ELSE now() END, ownership = excluded.ownership,
    present_before = excluded.present_before, doubtful = excluded.doubtful, memory = excluded.memory,
    story = excluded.story
