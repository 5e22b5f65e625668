-- name: lock
-- What the last document of a connector was; its row lock puts the documents in order.
-- example: {"connector_id": ""}
SELECT sequence, digest, result, instance, lease_until, last_at FROM checkins
WHERE connector_id = %(connector_id)s FOR UPDATE

-- name: organization
-- The epoch that counts, read so that no enrolment can pass it before this transaction ends; and what is asked for.
-- example: {"organization_id": ""}
SELECT epoch, state, sync_requested, sync_requested_at FROM organizations
WHERE organization_id = %(organization_id)s FOR SHARE

-- name: older_lease
-- Until when a connector before this one may still write.
-- example: {"organization_id": "", "connector_id": ""}
SELECT max(lease_until) AS lease_until FROM checkins
WHERE organization_id = %(organization_id)s AND connector_id <> %(connector_id)s

-- name: remember
-- A document is applied: its number, its digest, what was answered, who sent it; the lease is renewed.
-- example: {"connector_id": "", "sequence": 1, "digest": "", "result": {}, "instance": null, "lease_until": null, "status": {}, "told_at": null}
UPDATE checkins SET
    sequence = %(sequence)s, digest = %(digest)s, result = %(result)s, instance = %(instance)s,
    lease_until = %(lease_until)s, status = %(status)s, told_at = %(told_at)s, last_at = clock_timestamp()
WHERE connector_id = %(connector_id)s

-- name: host
-- Where a connector runs and in which version, as it last said.
-- example: {"connector_id": "", "host": "", "version": ""}
UPDATE connectors SET host = %(host)s, version = %(version)s
WHERE connector_id = %(connector_id)s AND (host, version) <> (%(host)s, %(version)s)

-- name: renew
-- A repeated document or a wait renews the lease and changes nothing else.
-- example: {"connector_id": "", "instance": null, "lease_until": null, "told_at": null}
UPDATE checkins SET
    lease_until = %(lease_until)s, instance = %(instance)s, last_at = clock_timestamp(),
    told_at = coalesce(%(told_at)s, told_at)
WHERE connector_id = %(connector_id)s

-- name: end_lease
-- The instance that says farewell writes no more.
-- example: {"connector_id": "", "instance": null}
UPDATE checkins SET lease_until = now()
WHERE connector_id = %(connector_id)s AND instance = %(instance)s AND lease_until > now()

-- name: outcome
-- An outcome, once.
-- example: {"outcome_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "organization_id": "", "connector_id": "", "about": "", "result": "", "body": {}, "at": null}
INSERT INTO outcomes (outcome_id, organization_id, connector_id, about, result, body, at)
VALUES (%(outcome_id)s, %(organization_id)s, %(connector_id)s, %(about)s, %(result)s, %(body)s, %(at)s)
ON CONFLICT (tenant_id, outcome_id) DO NOTHING

-- name: settings
-- The organization's settings as just read.
-- example: {"organization_id": "", "default_level": null, "settings": {}}
INSERT INTO org_settings (organization_id, default_level, settings)
VALUES (%(organization_id)s, %(default_level)s, %(settings)s)
ON CONFLICT (tenant_id, organization_id) DO UPDATE SET
    default_level = excluded.default_level, settings = excluded.settings, read_at = now()

-- name: head
-- The revision of the organization's desired state.
-- example: {"organization_id": ""}
SELECT revision FROM desired_heads WHERE organization_id = %(organization_id)s

-- name: desired
-- What changed since a revision, in whole revisions, so that the last one of a page is where the next page begins.
-- example: {"organization_id": "", "revision": 0, "limit": 10}
SELECT mailbox_guid::text AS mailbox, device_id, level, reason, entry, was, revision FROM desired
WHERE organization_id = %(organization_id)s AND revision > %(revision)s
ORDER BY revision FETCH FIRST %(limit)s ROWS WITH TIES

-- name: waiting
-- What a connector that waits would be told.
-- example: {"organization_id": "", "connector_id": ""}
SELECT h.revision, o.sync_requested, o.sync_requested_at,
       o.sync_requested <> 'none' AND o.sync_requested_at IS DISTINCT FROM c.told_at AS untold
FROM organizations o
JOIN checkins c ON c.organization_id = o.organization_id AND c.connector_id = %(connector_id)s
LEFT JOIN desired_heads h ON h.organization_id = o.organization_id
WHERE o.organization_id = %(organization_id)s
