-- name: entries
-- Every entry that stands in the lists of mailboxes that can be reached, as last read: each id once a list, with what
-- the ledger calls it and the device that it names. What we took off since is left out, what we added since is there.
-- example: {"organization_id": "", "group_id": null}
WITH listed AS (
    SELECT m.guid AS mailbox_guid, x.list, lower(x.device_id) AS folded, array_agg(DISTINCT x.device_id) AS spellings
    FROM mailboxes m
    CROSS JOIN LATERAL (SELECT 'allow' AS list, unnest(m.allowed_ids) AS device_id
                        UNION ALL SELECT 'block', unnest(m.blocked_ids)) x
    WHERE m.organization_id = %(organization_id)s AND m.gone_at IS NULL
    GROUP BY 1, 2, 3
), told AS (
    SELECT DISTINCT ON (l.mailbox_guid, l.list, lower(l.device_id))
           l.mailbox_guid, l.list, lower(l.device_id) AS folded, l.device_id, l.ownership, l.since, l.adoption_id, l.kept
    FROM list_entries l WHERE l.organization_id = %(organization_id)s
    ORDER BY 1, 2, 3, l.ownership IN ('ours', 'presumed') DESC, l.device_id
)
SELECT m.guid AS mailbox_guid, coalesce(m.primary_smtp, m.display_name, m.guid::text) AS mailbox, list, e.spellings,
       coalesce(t.ownership, 'foreign') AS ownership, t.device_id AS told_id, t.adoption_id, t.kept,
       p.level AS published, m.allowed_ids, m.blocked_ids, m.eas_enabled,
       d.guid, d.device_id, d.friendly_name, d.device_type, d.model, d.os, d.user_agent, d.access_state,
       d.access_state_reason
FROM listed e
FULL JOIN told t USING (mailbox_guid, list, folded)
JOIN mailboxes m ON m.organization_id = %(organization_id)s AND m.guid = mailbox_guid
LEFT JOIN LATERAL (
    SELECT * FROM devices d
    WHERE d.organization_id = %(organization_id)s AND d.mailbox_guid = m.guid AND d.gone_at IS NULL
      AND lower(d.device_id) = folded
    ORDER BY d.last_seen DESC, d.guid LIMIT 1) d ON true
LEFT JOIN LATERAL (
    SELECT level FROM desired p
    WHERE p.organization_id = %(organization_id)s AND p.mailbox_guid = m.guid AND lower(p.device_id) = folded
    ORDER BY p.revision DESC LIMIT 1) p ON true
WHERE m.gone_at IS NULL AND m.kind NOT IN ('remote', 'disabled')
  AND (CASE WHEN e.spellings IS NULL THEN t.ownership IN ('ours', 'presumed') AND t.since > m.lists_read_at
            ELSE NOT coalesce(t.ownership = 'withdrawn' AND t.since > m.lists_read_at, false) END)
  AND (%(group_id)s::uuid IS NULL
       OR m.person_id IN (SELECT person_id FROM memberships WHERE group_id = %(group_id)s))
ORDER BY mailbox, m.guid, list, folded

-- name: settings
-- What decides where no list does, as last read.
-- example: {"organization_id": ""}
SELECT default_level, settings -> 'rules' AS rules, read_at FROM org_settings
WHERE organization_id = %(organization_id)s

-- name: state
-- The organization's state, which no removal changes before this transaction ends.
-- example: {"organization_id": ""}
SELECT state FROM organizations WHERE organization_id = %(organization_id)s FOR SHARE

-- name: group
-- A group's name.
-- example: {"group_id": ""}
SELECT name FROM groups WHERE group_id = %(group_id)s

-- name: groups
-- Every group, by its name.
SELECT group_id, name FROM groups ORDER BY name, group_id

-- name: place
-- Where an adoption stands among what connectors tell: after all that was told, and before all that will be.
-- example: {"organization_id": ""}
SELECT memories AS memory, revision, clock_timestamp() AS at FROM desired_heads
WHERE organization_id = %(organization_id)s

-- name: add
-- Entries are taken over.
-- example: {"organization_id": "", "how": "all", "about": "", "entries": 1, "digest": "x", "adopted_by": "x"}
INSERT INTO adoptions (organization_id, how, about, entries, digest, adopted_by)
VALUES (%(organization_id)s, %(how)s, %(about)s, %(entries)s, %(digest)s, %(adopted_by)s)
RETURNING adoption_id

-- name: adoptions
-- Every adoption, the newest first, with how many of its entries still are ours by it.
-- example: {"organization_id": ""}
SELECT a.adoption_id, a.how, a.about, a.entries, a.adopted_at, a.adopted_by, a.returned, a.returned_at, a.returned_by,
       (SELECT count(*) FROM list_entries l
        WHERE l.organization_id = a.organization_id AND l.adoption_id = a.adoption_id) AS standing
FROM adoptions a WHERE a.organization_id = %(organization_id)s
ORDER BY a.adopted_at DESC, a.adoption_id

-- name: adopt
-- These entries are ours by an adoption, with the story that says so; kept where nothing but leave is published.
-- example: {"organization_id": "", "adoption_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "y", "list": "block", "ownership": "ours", "present_before": true, "memory": 1, "story": {}, "kept": true}]}}
INSERT INTO list_entries AS l (
    organization_id, mailbox_guid, device_id, list, ownership, present_before, memory, story, adoption_id, kept
)
SELECT %(organization_id)s::uuid, r.mailbox_guid, r.device_id, r.list, r.ownership, r.present_before, r.memory, r.story,
       %(adoption_id)s::uuid, r.kept
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, list text, ownership text, present_before boolean, memory bigint, story jsonb,
    kept boolean)
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id, list) DO UPDATE SET
    ownership = excluded.ownership, present_before = excluded.present_before, doubtful = false,
    memory = excluded.memory, story = excluded.story, adoption_id = excluded.adoption_id, kept = excluded.kept,
    since = now()

-- name: adopted
-- Entries that are ours by an adoption, locked.
-- example: {"organization_id": "", "adoption_id": ""}
SELECT mailbox_guid, device_id, list, story, intended_revision, released_revision FROM list_entries
WHERE organization_id = %(organization_id)s AND adoption_id = %(adoption_id)s
ORDER BY mailbox_guid, device_id, list FOR UPDATE

-- name: lock
-- What the ledger knows of these entries, locked.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "lists": ["allow"]}
SELECT l.mailbox_guid, l.device_id, l.list, l.story FROM list_entries l
JOIN unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[], %(lists)s::text[]) AS k (mailbox_guid, device_id, list)
  ON k.mailbox_guid = l.mailbox_guid AND k.device_id = l.device_id AND k.list = l.list
WHERE l.organization_id = %(organization_id)s
ORDER BY l.mailbox_guid, l.device_id, l.list FOR UPDATE OF l

-- name: return
-- An adoption is given back, once.
-- example: {"organization_id": "", "adoption_id": "", "returned": 1, "returned_by": "x"}
UPDATE adoptions SET returned = %(returned)s, returned_at = now(), returned_by = %(returned_by)s
WHERE organization_id = %(organization_id)s AND adoption_id = %(adoption_id)s AND returned_at IS NULL
RETURNING how, about, entries, adopted_by

-- name: count_published
-- How many of these device ids have something published.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT count(*) AS published
FROM (SELECT DISTINCT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[])) AS k (mailbox_guid, device_id)
JOIN desired d ON d.organization_id = %(organization_id)s AND d.mailbox_guid = k.mailbox_guid
              AND d.device_id = k.device_id

-- name: tell_again
-- The same under new revisions, so many rows each: the connector must be told anew of whose the entries are.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "revision": 1, "rows_a_revision": 1000}
UPDATE desired d SET revision = n.revision
FROM (SELECT k.mailbox_guid, k.device_id, %(revision)s::bigint
             + (row_number() OVER (ORDER BY k.mailbox_guid, k.device_id) - 1) / %(rows_a_revision)s AS revision
      FROM (SELECT DISTINCT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]))
           AS k (mailbox_guid, device_id)
      JOIN desired e ON e.organization_id = %(organization_id)s AND e.mailbox_guid = k.mailbox_guid
                    AND e.device_id = k.device_id) n
WHERE d.organization_id = %(organization_id)s AND d.mailbox_guid = n.mailbox_guid AND d.device_id = n.device_id

-- name: devices
-- Every device of a mailbox that is there, with all that Exchange decides by. owned: lists with an entry of ours;
-- withdrawn: lists that we took the id off after the inventory had read them.
-- example: {"organization_id": ""}
SELECT d.guid, d.device_id, d.mailbox_guid, d.friendly_name, d.device_type, d.model, d.os, d.user_agent, d.access_state,
       d.access_state_reason, d.known, m.allowed_ids, m.blocked_ids, m.eas_enabled,
       coalesce(m.primary_smtp, m.display_name, m.guid::text) AS mailbox, e.owned, e.withdrawn
FROM devices d
JOIN mailboxes m ON m.organization_id = d.organization_id AND m.guid = d.mailbox_guid
JOIN LATERAL (
    SELECT coalesce(array_agg(l.list) FILTER (WHERE l.ownership IN ('ours', 'presumed')), '{}') AS owned,
           coalesce(array_agg(l.list) FILTER (WHERE l.ownership = 'withdrawn' AND l.since > m.lists_read_at), '{}')
               AS withdrawn
    FROM list_entries l
    WHERE l.organization_id = d.organization_id AND l.mailbox_guid = d.mailbox_guid
      AND lower(l.device_id) = lower(d.device_id)
) e ON true
WHERE d.organization_id = %(organization_id)s AND d.gone_at IS NULL AND m.gone_at IS NULL
ORDER BY mailbox, d.guid

-- name: note_known
-- These devices are known, the others that are there are not.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
UPDATE devices d SET known = k.known
FROM (SELECT e.guid, e.guid IN (SELECT unnest(%(guids)s::uuid[])) AS known FROM devices e
      WHERE e.organization_id = %(organization_id)s AND e.gone_at IS NULL) k
WHERE d.organization_id = %(organization_id)s AND d.guid = k.guid AND d.known <> k.known
RETURNING d.mailbox_guid

-- name: count_known
-- How many devices are known, and how many there are.
-- example: {"organization_id": ""}
SELECT count(*) FILTER (WHERE known) AS known, count(*) AS devices FROM devices
WHERE organization_id = %(organization_id)s AND gone_at IS NULL

-- name: mailboxes
-- The mailboxes with these addresses (folded), where lists can be written.
-- example: {"organization_id": "", "addresses": ["a@example.test"]}
SELECT guid, lower(primary_smtp) AS address FROM mailboxes
WHERE organization_id = %(organization_id)s AND lower(primary_smtp) = ANY(%(addresses)s::text[])
  AND gone_at IS NULL AND kind NOT IN ('remote', 'disabled')

-- name: spellings
-- How devices of these mailboxes spell their ids, for those that are there and stand for one phone.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT mailbox_guid, device_id, lower(coalesce(client_type, '')) = 'rest' AS cloud FROM devices
WHERE organization_id = %(organization_id)s AND mailbox_guid = ANY(%(guids)s::uuid[]) AND gone_at IS NULL
  AND device_id IS NOT NULL

-- name: pins
-- What is pinned of these device ids.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT p.mailbox_guid, p.device_id, p.level, p.reason, p.until
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN pins p ON p.organization_id = %(organization_id)s AND p.mailbox_guid = k.mailbox_guid
           AND p.device_id = k.device_id

-- name: pin
-- Pin device ids, in place of what was pinned of them.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"], "level": "allow", "reason": "x", "until": null, "by": "x"}
INSERT INTO pins (organization_id, mailbox_guid, device_id, level, reason, until, by)
SELECT %(organization_id)s::uuid, k.mailbox_guid, k.device_id, %(level)s, %(reason)s, %(until)s::timestamptz, %(by)s
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    level = excluded.level, reason = excluded.reason, until = excluded.until, by = excluded.by, at = now()

-- name: latest_switch
-- The switch of the default level that waits, else the last one.
-- example: {"organization_id": ""}
SELECT switch_id, level, was, state, digest, gaining, losing, asked_id, asked_by, asked_at, approved_by, approved_at,
       ended_at
FROM default_switches WHERE organization_id = %(organization_id)s
ORDER BY state = 'asked' DESC, asked_at DESC, switch_id LIMIT 1

-- name: add_switch
-- A switch of the default level is asked for.
-- example: {"organization_id": "", "level": "block", "was": "allow", "digest": "", "gaining": 0, "losing": 0, "asked_id": "", "asked_by": "x"}
INSERT INTO default_switches (organization_id, level, was, state, digest, gaining, losing, asked_id, asked_by)
VALUES (%(organization_id)s, %(level)s, %(was)s, 'asked', %(digest)s, %(gaining)s, %(losing)s, %(asked_id)s,
        %(asked_by)s)
RETURNING switch_id

-- name: approve_switch
-- Somebody who may approve it did.
-- example: {"switch_id": "", "approved_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "approved_by": "x"}
UPDATE default_switches SET approved_id = %(approved_id)s, approved_by = %(approved_by)s, approved_at = now()
WHERE switch_id = %(switch_id)s AND state = 'asked'

-- name: end_switch
-- It is wished of Exchange, or dropped.
-- example: {"switch_id": "", "state": "dropped", "wish_id": null}
UPDATE default_switches SET state = %(state)s, wish_id = %(wish_id)s, ended_at = now()
WHERE switch_id = %(switch_id)s AND state = 'asked'
