-- name: lock_head
-- The organization's head, locked: publishers and outcomes of one organization go one after the other.
-- example: {"organization_id": ""}
SELECT revision, acknowledged, memories FROM desired_heads WHERE organization_id = %(organization_id)s FOR UPDATE

-- name: raise
-- So many revisions more; the last of them. The row stays locked until the transaction ends, so that the order of commits
-- is that of numbers.
-- example: {"organization_id": "", "count": 1}
UPDATE desired_heads SET revision = revision + %(count)s WHERE organization_id = %(organization_id)s RETURNING revision

-- name: acknowledge
-- A connector that may write holds this revision; one that this history never gave out counts as the newest.
-- example: {"organization_id": "", "revision": 1}
UPDATE desired_heads SET acknowledged = least(revision, %(revision)s)
WHERE organization_id = %(organization_id)s AND acknowledged < least(revision, %(revision)s)

-- name: begin_memory
-- Another life of a connector's store begins; what may have been written before it without a report.
-- example: {"organization_id": ""}
UPDATE desired_heads SET memories = memories + 1 WHERE organization_id = %(organization_id)s
RETURNING memories AS memory, acknowledged AS doubted

-- name: published
-- What is published of a device id in a mailbox.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x"}
SELECT level, reason, entry, revision FROM desired
WHERE organization_id = %(organization_id)s AND mailbox_guid = %(mailbox_guid)s AND device_id = %(device_id)s

-- name: publish
-- Publish levels, each under its revision, in place of what was published.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "levels": ["leave"], "reasons": [""], "entries": ["none"], "revisions": [1]}
INSERT INTO desired (organization_id, mailbox_guid, device_id, level, reason, entry, revision)
SELECT %(organization_id)s::uuid, k.mailbox_guid, k.device_id, k.level, k.reason, k.entry, k.revision
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[], %(levels)s::text[], %(reasons)s::text[],
            %(entries)s::text[], %(revisions)s::bigint[])
    AS k (mailbox_guid, device_id, level, reason, entry, revision)
ORDER BY k.mailbox_guid, k.device_id
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    level = excluded.level, reason = excluded.reason, entry = excluded.entry, revision = excluded.revision,
    published_at = now()

-- name: reword
-- The level stays, and so does its revision; the reason is another one.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "reasons": ["y"]}
UPDATE desired d SET reason = k.reason
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[], %(reasons)s::text[])
    AS k (mailbox_guid, device_id, reason)
WHERE d.organization_id = %(organization_id)s AND d.mailbox_guid = k.mailbox_guid AND d.device_id = k.device_id

-- name: publish_again
-- The same under a new revision: the connector must be told more of whose the entries are.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x", "revision": 1}
UPDATE desired SET revision = %(revision)s
WHERE organization_id = %(organization_id)s AND mailbox_guid = %(mailbox_guid)s AND device_id = %(device_id)s

-- name: note
-- What the connector says of rows, one thing of each, unless something newer was said.
-- example: {"organization_id": "", "memory": 1, "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "result": "applied", "revision": 1, "at": "2026-01-01T00:00:00Z", "lists_before": null, "lists_after": null, "controller": null, "why": ""}]}}
UPDATE desired d SET
    result = r.result, result_memory = %(memory)s, result_revision = r.revision, result_at = r.at,
    result_before = r.lists_before, result_after = r.lists_after, result_controller = r.controller, result_why = r.why
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, result text, revision bigint, at timestamptz, lists_before jsonb,
    lists_after jsonb, controller text, why text)
WHERE d.organization_id = %(organization_id)s AND d.mailbox_guid = r.mailbox_guid AND d.device_id = r.device_id
  AND (d.result IS NULL OR (d.result_memory, d.result_revision, d.result_at) <= (%(memory)s, r.revision, r.at))

-- name: standing
-- Everything that is known of device ids in mailboxes: published, said, pinned, whose the entries are, and the lists as
-- an inventory last read them.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT k.mailbox_guid, k.device_id, m.primary_smtp, m.display_name, m.allowed_ids, m.blocked_ids,
       d.level, d.reason, d.entry, d.revision, d.published_at, d.result, d.result_revision, d.result_at, d.result_after,
       d.result_controller, d.result_why,
       p.level AS pin_level, p.reason AS pin_reason, p.until AS pin_until, p.by AS pin_by, p.at AS pin_at,
       a.ownership AS allow_ownership, a.since AS allow_since, b.ownership AS block_ownership, b.since AS block_since
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN mailboxes m ON m.organization_id = %(organization_id)s AND m.guid = k.mailbox_guid
LEFT JOIN desired d ON d.organization_id = %(organization_id)s AND d.mailbox_guid = k.mailbox_guid
                   AND d.device_id = k.device_id
LEFT JOIN pins p ON p.organization_id = %(organization_id)s AND p.mailbox_guid = k.mailbox_guid
                AND p.device_id = k.device_id
LEFT JOIN list_entries a ON a.organization_id = %(organization_id)s AND a.mailbox_guid = k.mailbox_guid
                        AND a.device_id = k.device_id AND a.list = 'allow'
LEFT JOIN list_entries b ON b.organization_id = %(organization_id)s AND b.mailbox_guid = k.mailbox_guid
                        AND b.device_id = k.device_id AND b.list = 'block'

-- name: mode
-- What the organization's connector last said of the limits that it works in.
-- example: {"organization_id": ""}
SELECT i.status ->> 'mode' AS mode, coalesce(i.lease_until > now(), false) AS connected
FROM organizations o
JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch AND c.revoked_at IS NULL
JOIN checkins i ON i.connector_id = c.connector_id
WHERE o.organization_id = %(organization_id)s
