-- name: organizations
-- Every organization of the tenant, for choices and tabs.
SELECT organization_id, name FROM organizations ORDER BY name, organization_id

-- name: overview
-- Every organization with its state, and whether its connector's lease runs.
SELECT o.organization_id, o.name, o.state, i.lease_until
FROM organizations o
LEFT JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch AND c.revoked_at IS NULL
LEFT JOIN checkins i ON i.connector_id = c.connector_id
ORDER BY o.name, o.organization_id

-- name: organization
-- One organization by its id, and when what is known of it was last read.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT organization_id, name, state, sync_requested,
       (SELECT max(ended_at) FROM syncs s
        WHERE s.organization_id = organizations.organization_id AND s.state = 'sealed') AS last_sync
FROM organizations WHERE organization_id = %(organization_id)s

-- name: connection
-- One organization with its newest connector, what that one last said, and the ends of its syncs.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT o.organization_id, o.name, o.state, o.sync_requested, c.host, c.version, i.status, i.lease_until,
       i.last_at AS last_contact, o.writing_stopped_at, o.writing_stopped_by, o.writing_stopped_why,
       (SELECT max(started_at) FROM syncs s WHERE s.organization_id = o.organization_id) AS last_attempt,
       (SELECT max(ended_at) FROM syncs s WHERE s.organization_id = o.organization_id AND kind = 'full'
                                            AND s.state = 'sealed') AS last_full,
       (SELECT max(ended_at) FROM syncs s WHERE s.organization_id = o.organization_id AND kind = 'quick'
                                            AND s.state = 'sealed') AS last_quick
FROM organizations o
LEFT JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch AND c.revoked_at IS NULL
LEFT JOIN checkins i ON i.connector_id = c.connector_id
WHERE o.organization_id = %(organization_id)s

-- name: counters
-- The counts of one organization, or of all: names are devices, mailboxes, state:…, family:….
-- example: {"organization_id": null}
SELECT name, sum(value)::bigint AS value FROM counters
WHERE %(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s
GROUP BY name

-- name: syncs
-- The newest syncs of an organization.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "limit": 10}
SELECT sync_id, kind, state, announced_devices, announced_mailboxes, received_devices, received_mailboxes, changed, gone,
       rejected, unreadable, missing_devices, missing_mailboxes, why, started_at, ended_at, accepted_at, accepted_by
FROM syncs WHERE organization_id = %(organization_id)s
ORDER BY started_at DESC, sync_id LIMIT %(limit)s

-- name: findings
-- What needs attention in an organization, newest first.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "limit": 50}
SELECT origin, code, subject, cause, remedy, since, last FROM findings
WHERE organization_id = %(organization_id)s AND ended_at IS NULL
ORDER BY since DESC, code, subject LIMIT %(limit)s

-- name: request_sync
-- Ask the connector for a sync, unless it or a full one is asked for already and has not failed; a trigger wakes it.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "kind": "quick"}
UPDATE organizations o SET sync_requested = %(kind)s, sync_requested_at = now()
WHERE o.organization_id = %(organization_id)s AND (sync_requested NOT IN ('full', %(kind)s) OR EXISTS (
    SELECT FROM connectors c JOIN checkins i ON i.connector_id = c.connector_id
    WHERE c.organization_id = o.organization_id AND c.epoch = o.epoch AND i.status ->> 'failure' IS NOT NULL))

-- name: stop_writing
-- Nobody may write any more; a trigger wakes the connector, which is given no lease then.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "actor": "Anna", "reason": "x"}
UPDATE organizations
SET writing_stopped_at = now(), writing_stopped_by = %(actor)s, writing_stopped_why = %(reason)s
WHERE organization_id = %(organization_id)s AND writing_stopped_at IS NULL
RETURNING writing_stopped_at, writing_stopped_by, writing_stopped_why

-- name: stopped
-- Since when nobody may write, by whose word and why; locked until that is over.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT writing_stopped_at, writing_stopped_by, writing_stopped_why FROM organizations
WHERE organization_id = %(organization_id)s AND writing_stopped_at IS NOT NULL FOR UPDATE

-- name: release_writing
-- The connector may write again.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
UPDATE organizations SET writing_stopped_at = NULL, writing_stopped_by = NULL, writing_stopped_why = NULL
WHERE organization_id = %(organization_id)s AND writing_stopped_at IS NOT NULL

-- name: accept
-- An administrator accepts the inventory that is held: the newest full one, of the connector of today.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "sync_id": "1", "actor": "Anna"}
UPDATE syncs h SET state = 'accepted', accepted_at = clock_timestamp(), accepted_by = %(actor)s
FROM organizations o
WHERE h.organization_id = %(organization_id)s AND h.sync_id = %(sync_id)s AND h.state = 'held' AND h.kind = 'full'
  AND o.organization_id = h.organization_id AND o.epoch = h.epoch AND NOT EXISTS (
    SELECT FROM syncs s WHERE s.organization_id = h.organization_id AND s.kind = 'full' AND s.sync_id <> h.sync_id
                          AND s.state IN ('held', 'accepted', 'sealed') AND s.ended_at > h.ended_at
)
RETURNING h.announced_devices, h.announced_mailboxes
