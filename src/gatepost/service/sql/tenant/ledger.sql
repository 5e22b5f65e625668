-- name: intend
-- Entries are wanted, each from its revision on. What was intended before and never read to be gone stays intended since
-- then.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "entries": ["allow"], "revisions": [1]}
INSERT INTO list_entries AS l (organization_id, mailbox_guid, device_id, list, ownership, intended_revision)
SELECT %(organization_id)s::uuid, k.mailbox_guid, k.device_id, k.entry, 'intended', k.revision
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[], %(entries)s::text[], %(revisions)s::bigint[])
    AS k (mailbox_guid, device_id, entry, revision)
WHERE k.entry <> 'none'
ORDER BY k.mailbox_guid, k.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id, list) DO UPDATE SET
    intended_revision = CASE WHEN l.ownership = 'withdrawn' OR l.intended_revision IS NULL
                             THEN excluded.intended_revision ELSE l.intended_revision END,
    ownership = CASE WHEN l.ownership = 'withdrawn' THEN 'intended' ELSE l.ownership END,
    since = CASE WHEN l.ownership = 'withdrawn' THEN now() ELSE l.since END,
    released_revision = NULL

-- name: release
-- Entries in every list but this one are wanted no more, each from its revision on.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "entries": ["none"], "revisions": [1]}
UPDATE list_entries l SET released_revision = k.revision
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[], %(entries)s::text[], %(revisions)s::bigint[])
    AS k (mailbox_guid, device_id, entry, revision)
WHERE l.organization_id = %(organization_id)s AND l.mailbox_guid = k.mailbox_guid AND l.device_id = k.device_id
  AND l.list <> k.entry AND l.intended_revision IS NOT NULL AND l.released_revision IS NULL

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
-- What the readings of entries come to. An entry that was never told of is not adopted; one that is adopted no more by
-- its readings (kept, as proposed) is ours by another act, or is not there.
-- example: {"organization_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "list": "allow", "ownership": "foreign", "present_before": true, "doubtful": false, "memory": 1, "adopted": false, "story": {}}]}}
INSERT INTO list_entries AS l (
    organization_id, mailbox_guid, device_id, list, ownership, present_before, doubtful, memory, story, kept
)
SELECT %(organization_id)s::uuid, r.mailbox_guid, r.device_id, r.list, r.ownership, r.present_before, r.doubtful,
       r.memory, r.story, r.adopted
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, list text, ownership text, present_before boolean, doubtful boolean,
    memory bigint, adopted boolean, story jsonb)
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id, list) DO UPDATE SET
    since = CASE WHEN l.ownership = excluded.ownership THEN l.since ELSE now() END, ownership = excluded.ownership,
    adoption_id = CASE WHEN excluded.kept THEN l.adoption_id END, kept = l.kept AND excluded.kept,
    present_before = excluded.present_before, doubtful = excluded.doubtful, memory = excluded.memory,
    story = excluded.story

-- name: settle
-- Something else than leave is published of these device ids: what was adopted of them is kept as it is no more.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
UPDATE list_entries l SET kept = false
FROM (SELECT DISTINCT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[])) AS k (mailbox_guid, device_id)
WHERE l.organization_id = %(organization_id)s AND l.kept
  AND l.mailbox_guid = k.mailbox_guid AND l.device_id = k.device_id
