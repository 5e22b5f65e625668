-- name: standing
-- Where device ids of mailboxes are held, and what asked for it.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT i.mailbox_guid, i.device_id, i.hold_id, i.level, h.state, h.cause, h.ref, h.by_id
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN hold_items i ON i.organization_id = %(organization_id)s AND i.mailbox_guid = k.mailbox_guid
                 AND i.device_id = k.device_id AND i.state = 'held'
JOIN holds h ON h.hold_id = i.hold_id

-- name: cause
-- What asked for what is in a hold.
-- example: {"hold_id": ""}
SELECT cause, ref, by_id FROM holds WHERE hold_id::text = %(hold_id)s::text

-- name: behind
-- Who let the policy hold that decides what is in a hold: where no person asked for it, or that was so lately.
-- example: {"hold_id": "", "since": "2026-01-01T00:00:00Z"}
SELECT r.began_id FROM rollouts r JOIN holds h ON h.hold_id = %(hold_id)s
WHERE h.cause IN ('time', 'sync') OR r.ring_since >= %(since)s

-- name: gathering
-- The hold of a cause that newcomers join.
-- example: {"organization_id": "", "verb": "take", "cause": "policy", "ref": "", "by_id": null}
SELECT hold_id FROM holds
WHERE organization_id = %(organization_id)s AND verb = %(verb)s AND cause = %(cause)s AND ref = %(ref)s
  AND by_id IS NOT DISTINCT FROM %(by_id)s::uuid AND state = 'open' AND gathers_until > now()
ORDER BY opened_at DESC LIMIT 1

-- name: open
-- A new hold; with the name of who is behind its cause.
-- example: {"organization_id": "", "verb": "take", "cause": "policy", "ref": "", "by_id": null, "minutes": 60, "expires_at": "2100-01-01T00:00:00Z"}
INSERT INTO holds (organization_id, verb, cause, ref, by_id, gathers_until, expires_at)
VALUES (%(organization_id)s, %(verb)s, %(cause)s, %(ref)s, %(by_id)s, now() + make_interval(mins => %(minutes)s),
        %(expires_at)s)
RETURNING hold_id, (SELECT a.name FROM administrators a WHERE a.administrator_id = by_id) AS by

-- name: add_items
-- Newcomers of a hold, and those that were in it before and come again.
-- example: {"organization_id": "", "hold_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "level": "block", "published": null, "reason": "unmanaged", "before_state": "allowed", "after_state": "blocked", "after_step": "blocked-list", "after_rule": null}]}}
INSERT INTO hold_items (organization_id, hold_id, mailbox_guid, device_id, level, published, reason, before_state,
                        after_state, after_step, after_rule)
SELECT %(organization_id)s, %(hold_id)s, r.mailbox_guid, r.device_id, r.level, r.published, r.reason, r.before_state,
       r.after_state, r.after_step, r.after_rule
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, level text, published text, reason text, before_state text, after_state text,
    after_step text, after_rule text)
ON CONFLICT (tenant_id, hold_id, mailbox_guid, device_id) DO UPDATE SET
    level = excluded.level, published = excluded.published, reason = excluded.reason,
    before_state = excluded.before_state, after_state = excluded.after_state, after_step = excluded.after_step,
    after_rule = excluded.after_rule, state = 'held', added_at = now(), ended_at = NULL

-- name: end_items
-- These are held no more.
-- example: {"organization_id": "", "state": "dropped", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
UPDATE hold_items i SET state = %(state)s, ended_at = now()
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
WHERE i.organization_id = %(organization_id)s AND i.mailbox_guid = k.mailbox_guid AND i.device_id = k.device_id
  AND i.state = 'held'

-- name: drop_rest
-- Of these, what still is in a hold that was carried out is held no more.
-- example: {"organization_id": "", "hold_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
UPDATE hold_items i SET state = 'dropped', ended_at = now()
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
WHERE i.organization_id = %(organization_id)s AND i.hold_id::text = %(hold_id)s::text
  AND i.mailbox_guid = k.mailbox_guid AND i.device_id = k.device_id AND i.state = 'held'

-- name: drop_all
-- Nothing is held in an organization any more.
-- example: {"organization_id": ""}
UPDATE hold_items SET state = 'dropped', ended_at = now()
WHERE organization_id = %(organization_id)s AND state = 'held'

-- name: end_empty
-- Open holds in which nothing waits.
-- example: {"organization_id": ""}
UPDATE holds h SET state = 'over', decided_by = 'service', decided_at = now()
WHERE h.organization_id = %(organization_id)s AND h.state = 'open'
  AND NOT EXISTS (SELECT FROM hold_items i WHERE i.hold_id = h.hold_id AND i.state = 'held')
RETURNING h.hold_id

-- name: listing
-- Holds, open ones first, then the newest; what waits in each, and what its cause is about, by name.
-- example: {"hold_id": null, "states": ["open"], "limit": 10}
SELECT h.hold_id, h.organization_id, o.name AS organization, h.verb, h.cause, h.ref, h.by_id, h.state, h.opened_at,
       h.gathers_until, h.expires_at, h.decided_by, h.decided_at, h.why, coalesce(a.name, '') AS by,
       coalesce(s.name, h.ref) AS about, i.people, i.devices, i.released, i.dropped
FROM holds h
JOIN organizations o ON o.organization_id = h.organization_id
LEFT JOIN administrators a ON a.administrator_id = h.by_id
LEFT JOIN sources s ON h.cause = 'source' AND s.source_id::text = h.ref
CROSS JOIN LATERAL (
    SELECT count(DISTINCT mailbox_guid) FILTER (WHERE state = 'held') AS people,
           count(*) FILTER (WHERE state = 'held') AS devices, count(*) FILTER (WHERE state = 'released') AS released,
           count(*) FILTER (WHERE state = 'dropped') AS dropped
    FROM hold_items WHERE hold_id = h.hold_id
) i
WHERE h.state = ANY(%(states)s) AND (%(hold_id)s::uuid IS NULL OR h.hold_id = %(hold_id)s)
ORDER BY h.state <> 'open', h.opened_at DESC, h.hold_id LIMIT %(limit)s

-- name: digest
-- One text for all that ever came into a hold.
-- example: {"hold_id": ""}
SELECT encode(sha256(convert_to(coalesce(string_agg(
    jsonb_build_array(mailbox_guid, device_id, level, published, reason, before_state, after_state)::text, ','
    ORDER BY mailbox_guid, device_id COLLATE "C"), ''), 'UTF8')), 'hex') AS digest
FROM hold_items WHERE hold_id = %(hold_id)s

-- name: items
-- What came into a hold, with whose device it is; still: it is decided so now.
-- example: {"hold_id": "", "after_mailbox": null, "after_device": "", "limit": 10}
SELECT i.mailbox_guid, i.device_id, i.level, i.published, i.reason, i.before_state, i.after_state, i.after_step,
       i.after_rule, i.state, i.added_at, coalesce(m.primary_smtp, m.display_name, i.mailbox_guid::text) AS mailbox,
       v.guid, coalesce(v.friendly_name, v.model, v.device_type, '') AS device, coalesce(d.level = i.level, true) AS still
FROM hold_items i
LEFT JOIN mailboxes m ON m.organization_id = i.organization_id AND m.guid = i.mailbox_guid
LEFT JOIN decisions d ON d.organization_id = i.organization_id AND d.mailbox_guid = i.mailbox_guid
                     AND d.device_id = i.device_id
LEFT JOIN LATERAL (
    SELECT guid, friendly_name, model, device_type FROM devices
    WHERE organization_id = i.organization_id AND mailbox_guid = i.mailbox_guid
      AND lower(device_id) = lower(i.device_id) AND gone_at IS NULL LIMIT 1
) v ON true
WHERE i.hold_id = %(hold_id)s
  AND (%(after_mailbox)s::uuid IS NULL OR (i.mailbox_guid, i.device_id) > (%(after_mailbox)s, %(after_device)s))
ORDER BY i.mailbox_guid, i.device_id LIMIT %(limit)s

-- name: reasons
-- Why things wait in a hold.
-- example: {"hold_id": ""}
SELECT reason, count(DISTINCT mailbox_guid) AS people, count(*) AS devices FROM hold_items
WHERE hold_id = %(hold_id)s AND state = 'held' GROUP BY reason ORDER BY people DESC, reason

-- name: open_of
-- How many open holds a kind of cause has.
-- example: {"cause": "policy", "ref": ""}
SELECT count(*) AS open FROM holds
WHERE state = 'open' AND cause = %(cause)s AND (%(ref)s = '' OR ref = %(ref)s)

-- name: decide
-- A hold is approved or refused.
-- example: {"hold_id": "", "state": "refused", "digest": null, "decided_id": null, "decided_by": "x", "why": ""}
UPDATE holds SET state = %(state)s, digest = %(digest)s, decided_id = %(decided_id)s, decided_by = %(decided_by)s,
    decided_at = now(), why = %(why)s
WHERE hold_id = %(hold_id)s AND state = 'open'

-- name: reopen
-- What was refused is looked at again; nobody joins it.
-- example: {"hold_id": "", "expires_at": "2100-01-01T00:00:00Z"}
UPDATE holds SET state = 'open', decided_id = NULL, decided_by = NULL, decided_at = NULL, why = '', digest = NULL,
    expires_at = %(expires_at)s, gathers_until = now()
WHERE hold_id = %(hold_id)s AND state = 'refused'

-- name: drop_changed
-- What is decided otherwise since is not let through.
-- example: {"hold_id": ""}
UPDATE hold_items i SET state = 'dropped', ended_at = now()
FROM decisions d
WHERE i.hold_id = %(hold_id)s AND i.state = 'held' AND d.organization_id = i.organization_id
  AND d.mailbox_guid = i.mailbox_guid AND d.device_id = i.device_id AND d.level <> i.level

-- name: to_release
-- What an approval lets through when it is decided next. What somebody's own change is about to decide is left to that.
-- example: {"hold_id": ""}
SELECT i.mailbox_guid, i.device_id FROM hold_items i
WHERE i.hold_id = %(hold_id)s AND i.state = 'held' AND NOT EXISTS (
    SELECT FROM decisions_due d
    WHERE d.organization_id = i.organization_id AND d.mailbox_guid = i.mailbox_guid AND d.device_id = i.device_id
      AND d.by_id IS NOT NULL)

-- name: expired
-- Holds that nobody decided in time.
-- example: {"now": "2200-01-01T00:00:00Z"}
SELECT hold_id FROM holds WHERE state = 'open' AND expires_at <= %(now)s ORDER BY organization_id, hold_id

-- name: forget_items
-- What ended long ago in holds.
-- example: {"before": "2100-01-01T00:00:00Z"}
DELETE FROM hold_items WHERE ended_at < %(before)s
