-- name: lock
-- The organization, locked: no enrolment, check-in or other removal passes until this ends.
-- example: {"organization_id": ""}
SELECT organization_id, name, state FROM organizations WHERE organization_id = %(organization_id)s FOR UPDATE

-- name: entries
-- Every entry of ours, known or presumed; reachable is false where the mailbox is gone, moved away or disabled.
-- example: {"organization_id": ""}
SELECT l.mailbox_guid, l.device_id, l.list, coalesce(m.primary_smtp, m.display_name, l.mailbox_guid::text) AS mailbox,
       m.guid IS NOT NULL AND m.gone_at IS NULL AND m.kind NOT IN ('remote', 'disabled') AS reachable
FROM list_entries l
LEFT JOIN mailboxes m ON m.organization_id = l.organization_id AND m.guid = l.mailbox_guid
WHERE l.organization_id = %(organization_id)s AND l.ownership IN ('ours', 'presumed') AND NOT l.kept
ORDER BY mailbox, l.mailbox_guid, l.list, l.device_id

-- name: devices
-- The devices that entries of ours are about, with all that Exchange decides by. withdrawn: lists that we took the id
-- off after the inventory had read them.
-- example: {"organization_id": ""}
SELECT d.guid, d.device_id, d.mailbox_guid, d.friendly_name, d.device_type, d.model, d.os, d.user_agent, d.access_state,
       d.access_state_reason, m.allowed_ids, m.blocked_ids, m.eas_enabled, e.owned, e.withdrawn,
       coalesce(m.primary_smtp, m.display_name, m.guid::text) AS mailbox
FROM devices d
JOIN mailboxes m ON m.organization_id = d.organization_id AND m.guid = d.mailbox_guid
JOIN LATERAL (
    SELECT coalesce(array_agg(l.list) FILTER (WHERE l.ownership IN ('ours', 'presumed') AND NOT l.kept), '{}') AS owned,
           coalesce(array_agg(l.list) FILTER (WHERE l.ownership = 'withdrawn' AND l.since > m.lists_read_at), '{}')
               AS withdrawn
    FROM list_entries l
    WHERE l.organization_id = d.organization_id AND l.mailbox_guid = d.mailbox_guid
      AND lower(l.device_id) = lower(d.device_id)
) e ON cardinality(e.owned) > 0
WHERE d.organization_id = %(organization_id)s AND d.gone_at IS NULL AND m.gone_at IS NULL AND d.mailbox_guid IN (
    SELECT l.mailbox_guid FROM list_entries l
    WHERE l.organization_id = %(organization_id)s AND l.ownership IN ('ours', 'presumed') AND NOT l.kept)
ORDER BY mailbox, d.guid

-- name: settings
-- What decides where no list does, as last read.
-- example: {"organization_id": ""}
SELECT default_level, settings -> 'rules' AS rules, read_at FROM org_settings
WHERE organization_id = %(organization_id)s

-- name: latest
-- The newest removal of an organization, whether it is over or not.
-- example: {"organization_id": ""}
SELECT removal_id, ending, state, digest, gaining, losing, entries, asked_id, asked_by, asked_at, approved_by,
       approved_at, ended_at, ended_by, why
FROM removals WHERE organization_id = %(organization_id)s
ORDER BY ended_at IS NOT NULL, asked_at DESC, removal_id LIMIT 1

-- name: add
-- A removal is asked for.
-- example: {"organization_id": "", "ending": "leave", "state": "asked", "digest": "", "gaining": 0, "losing": 0, "entries": 0, "asked_id": "", "asked_by": "x"}
INSERT INTO removals (organization_id, ending, state, digest, gaining, losing, entries, asked_id, asked_by)
VALUES (%(organization_id)s, %(ending)s, %(state)s, %(digest)s, %(gaining)s, %(losing)s, %(entries)s, %(asked_id)s,
        %(asked_by)s)
RETURNING removal_id

-- name: ask_anew
-- What was asked for has another effect by now: another digest is to be approved, by somebody else than who asks anew.
-- example: {"removal_id": "", "digest": "", "gaining": 0, "losing": 0, "entries": 0, "asked_id": "", "asked_by": "x"}
UPDATE removals SET digest = %(digest)s, gaining = %(gaining)s, losing = %(losing)s, entries = %(entries)s,
                    asked_id = %(asked_id)s, asked_by = %(asked_by)s, asked_at = now()
WHERE removal_id = %(removal_id)s AND state = 'asked'

-- name: approve
-- Somebody who may approve it did: the undoing begins.
-- example: {"removal_id": "", "approved_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "approved_by": "x"}
UPDATE removals SET state = 'undoing', approved_id = %(approved_id)s, approved_by = %(approved_by)s, approved_at = now()
WHERE removal_id = %(removal_id)s AND state = 'asked'

-- name: end
-- A removal is over: done, or cancelled.
-- example: {"removal_id": "", "state": "done", "ended_by": "x", "why": ""}
UPDATE removals SET state = %(state)s, ended_at = now(), ended_by = %(ended_by)s, why = %(why)s
WHERE removal_id = %(removal_id)s AND ended_at IS NULL

-- name: set_state
-- The organization's state as a removal has it.
-- example: {"organization_id": "", "state": "removing"}
UPDATE organizations SET state = %(state)s, removed_at = CASE WHEN %(state)s = 'removed' THEN now() END,
                         sync_requested = 'none'
WHERE organization_id = %(organization_id)s

-- name: end_pins
-- Nothing is pinned any more.
-- example: {"organization_id": ""}
DELETE FROM pins WHERE organization_id = %(organization_id)s
RETURNING mailbox_guid, device_id, level, reason, until, by

-- name: count_wanted
-- How many device ids want or have an entry of ours.
-- example: {"organization_id": ""}
SELECT count(*) AS wanted FROM (
    SELECT mailbox_guid, device_id FROM list_entries
    WHERE organization_id = %(organization_id)s AND ownership IN ('ours', 'presumed') AND NOT kept
    UNION
    SELECT mailbox_guid, device_id FROM desired WHERE organization_id = %(organization_id)s AND level <> 'leave'
) k

-- name: let_go
-- Hands off everything that wants or has an entry of ours, so many rows a revision, for a revision is told whole.
-- example: {"organization_id": "", "reason": "x", "revision": 1, "rows_a_revision": 1000}
INSERT INTO desired (organization_id, mailbox_guid, device_id, level, reason, entry, revision)
SELECT %(organization_id)s::uuid, mailbox_guid, device_id, 'leave', %(reason)s, 'none', %(revision)s::bigint
       + (row_number() OVER (ORDER BY mailbox_guid, device_id) - 1) / %(rows_a_revision)s
FROM (
    SELECT mailbox_guid, device_id FROM list_entries
    WHERE organization_id = %(organization_id)s AND ownership IN ('ours', 'presumed') AND NOT kept
    UNION
    SELECT mailbox_guid, device_id FROM desired WHERE organization_id = %(organization_id)s AND level <> 'leave'
) k
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    level = 'leave', reason = excluded.reason, entry = 'none', revision = excluded.revision, published_at = now()

-- name: release
-- Nothing is wanted any more from this revision on.
-- example: {"organization_id": "", "revision": 1}
UPDATE list_entries SET released_revision = %(revision)s
WHERE organization_id = %(organization_id)s AND intended_revision IS NOT NULL AND released_revision IS NULL

-- name: forget_desired
-- Nobody is told anything more; the ledger stays.
-- example: {"organization_id": ""}
DELETE FROM desired WHERE organization_id = %(organization_id)s

-- name: left
-- What is not taken off yet of mailboxes that can be reached, by what the connector last said of it.
-- example: {"organization_id": ""}
SELECT coalesce(CASE WHEN d.result_revision >= d.revision THEN d.result END, 'waiting') AS result, count(*) AS entries
FROM list_entries l
JOIN mailboxes m ON m.organization_id = l.organization_id AND m.guid = l.mailbox_guid
LEFT JOIN desired d ON d.organization_id = l.organization_id AND d.mailbox_guid = l.mailbox_guid
                   AND d.device_id = l.device_id
WHERE l.organization_id = %(organization_id)s AND m.gone_at IS NULL AND m.kind NOT IN ('remote', 'disabled')
  AND (l.ownership IN ('ours', 'presumed') AND NOT l.kept OR (l.ownership = 'intended' AND NOT coalesce(
      d.result_revision >= d.revision AND d.result IN ('applied', 'unchanged'), false)))
GROUP BY 1 ORDER BY 1

-- name: undoing
-- The organizations whose entries are being taken back.
SELECT organization_id FROM removals WHERE state = 'undoing' ORDER BY organization_id
