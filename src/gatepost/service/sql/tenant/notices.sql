-- name: organizations
-- Organizations whose connector writes, and where somebody is to be told something.
SELECT o.organization_id FROM organizations o
JOIN connectors c ON c.organization_id = o.organization_id AND c.epoch = o.epoch AND c.revoked_at IS NULL
JOIN checkins i ON i.connector_id = c.connector_id AND i.status ->> 'mode' = 'enforce'
WHERE o.state NOT IN ('removing', 'removed')
  AND EXISTS (SELECT 1 FROM decisions d WHERE d.organization_id = o.organization_id AND d.announce IS NOT NULL)
ORDER BY o.organization_id

-- name: ready
-- What people are to be told: the decision is published as it is, and the connector said that it stands. right: it is
-- still so; fresh: it came to be so since then; reachable: a person reads this mailbox.
-- example: {"organization_id": "", "since": "2026-01-01T00:00:00Z", "limit": 10}
SELECT n.mailbox_guid, n.device_id, n.announce AS kind, n.since,
       coalesce(CASE n.announce
           WHEN 'blocked' THEN n.level = 'block'
           WHEN 'quarantined' THEN n.level = 'quarantine'
           WHEN 'warning' THEN n.level IN ('allow', 'leave') AND n.until > now()
           ELSE n.level IN ('allow', 'leave') END, false) AS is_right,
       CASE n.announce WHEN 'warning' THEN n.decided_at ELSE greatest(n.since, d.result_at) END > %(since)s AS fresh,
       coalesce(m.kind IN ('user', 'linked') AND m.gone_at IS NULL AND m.primary_smtp IS NOT NULL
           AND coalesce(p.enabled, true), false) AS reachable
FROM decisions n
LEFT JOIN desired d ON d.organization_id = n.organization_id AND d.mailbox_guid = n.mailbox_guid
                   AND d.device_id = n.device_id
LEFT JOIN mailboxes m ON m.organization_id = n.organization_id AND m.guid = n.mailbox_guid
LEFT JOIN people p ON p.person_id = m.person_id
WHERE n.organization_id = %(organization_id)s AND n.announce IS NOT NULL
  AND ((d.level = n.level AND d.result IN ('applied', 'unchanged') AND d.result_revision = d.revision)
    OR (d.level IS NULL AND n.level = 'leave'))
ORDER BY n.mailbox_guid, n.device_id LIMIT %(limit)s

-- name: announced
-- What was looked at needs no other look, unless it is another decision by now.
-- example: {"organization_id": "", "rows": {"rows": [{"mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "device_id": "x", "since": "2026-01-01T00:00:00Z", "kind": "blocked"}]}}
UPDATE decisions n SET announce = NULL
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, since timestamptz, kind text)
WHERE n.organization_id = %(organization_id)s AND n.mailbox_guid = r.mailbox_guid AND n.device_id = r.device_id
  AND n.since = r.since AND n.announce = r.kind

-- name: overtaken
-- What was to be told of these devices and nobody has been given yet: it is not so any more.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
DELETE FROM notice_items i USING notices n
WHERE n.notice_id = i.notice_id AND n.state = 'waiting' AND i.organization_id = %(organization_id)s
  AND (i.mailbox_guid, i.device_id) IN (SELECT * FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]))
RETURNING i.mailbox_guid, i.device_id, i.kind

-- name: waiting
-- Mails to these mailboxes that nobody has been given yet, and that may tell more.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT notice_id, mailbox_guid FROM notices
WHERE organization_id = %(organization_id)s AND mailbox_guid = ANY(%(mailbox_guids)s::uuid[])
  AND state = 'waiting' AND about = 'devices'
ORDER BY made_at FOR UPDATE

-- name: full
-- Mailboxes that got as many mails since a moment as one may get, and when the earliest of those was due.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "since": "2026-01-01T00:00:00Z", "limit": 1}
SELECT mailbox_guid, due_at FROM (
    SELECT mailbox_guid, due_at, row_number() OVER (PARTITION BY mailbox_guid ORDER BY due_at DESC) AS place
    FROM notices
    WHERE organization_id = %(organization_id)s AND mailbox_guid = ANY(%(mailbox_guids)s::uuid[])
      AND due_at > %(since)s AND about = 'devices' AND state IN ('waiting', 'claimed', 'uncertain', 'sent')) AS counted
WHERE place = %(limit)s

-- name: make
-- A mail to each of these mailboxes.
-- example: {"organization_id": "", "rows": {"rows": [{"notice_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "mailbox_guid": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "due_at": "2026-01-01T00:00:00Z"}]}}
INSERT INTO notices (organization_id, notice_id, mailbox_guid, about, due_at)
SELECT %(organization_id)s::uuid, r.notice_id, r.mailbox_guid, 'devices', r.due_at
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (notice_id uuid, mailbox_guid uuid, due_at timestamptz)

-- name: tell
-- What each mail tells; of one decision about one device each kind once, ever.
-- example: {"organization_id": "", "rows": {"rows": []}}
INSERT INTO notice_items (organization_id, mailbox_guid, device_id, since, kind, notice_id)
SELECT %(organization_id)s::uuid, r.mailbox_guid, r.device_id, r.since, r.kind, r.notice_id
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    mailbox_guid uuid, device_id text, since timestamptz, kind text, notice_id uuid)
ON CONFLICT DO NOTHING
RETURNING notice_id

-- name: drop_empty
-- Mails that have nothing to tell.
-- example: {"organization_id": "", "now": "2026-01-01T00:00:00Z"}
UPDATE notices n SET state = 'dropped', ended_at = %(now)s, why = 'overtaken'
WHERE n.organization_id = %(organization_id)s AND n.state = 'waiting' AND n.about = 'devices'
  AND NOT EXISTS (SELECT 1 FROM notice_items i WHERE i.notice_id = n.notice_id)

-- name: noted
-- What is to be sent now was told with an answer, as far as it may be sent: nobody needs to be woken for it again.
-- example: {"organization_id": "", "now": "2026-01-01T00:00:00Z"}
UPDATE notices SET told_at = %(now)s
WHERE organization_id = %(organization_id)s AND state = 'waiting' AND due_at <= %(now)s AND told_at IS NULL

-- name: given
-- How many mails were given to be sent since a moment.
-- example: {"since": "2026-01-01T00:00:00Z"}
SELECT count(*) AS given FROM notices WHERE claimed_at > %(since)s AND made_at > %(since)s - interval '3 days'

-- name: due
-- Mails to send now, the oldest first.
-- example: {"organization_id": "", "now": "2026-01-01T00:00:00Z", "limit": 10}
SELECT notice_id::text, NULL AS permit FROM notices
WHERE organization_id = %(organization_id)s AND state = 'waiting' AND due_at <= %(now)s
ORDER BY due_at, notice_id LIMIT %(limit)s

-- name: unsettled
-- Mails that were given to be sent so long ago that nothing of it is under way, and nobody has said what came of them.
-- example: {"organization_id": "", "before": "2026-01-01T00:00:00Z", "limit": 10}
SELECT notice_id::text, permit::text FROM notices
WHERE organization_id = %(organization_id)s AND state IN ('claimed', 'uncertain') AND claimed_at < %(before)s
ORDER BY claimed_at, notice_id LIMIT %(limit)s

-- name: claim
-- Give mails to a connector, each under a permit of its own; those are chosen once, so that the limit holds.
-- example: {"organization_id": "", "notice_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "connector_id": "", "now": "2026-01-01T00:00:00Z", "limit": 10}
WITH chosen AS MATERIALIZED (
    SELECT notice_id FROM notices
    WHERE organization_id = %(organization_id)s AND notice_id = ANY(%(notice_ids)s::uuid[])
      AND state = 'waiting' AND due_at <= %(now)s
    ORDER BY due_at, notice_id LIMIT %(limit)s FOR UPDATE)
UPDATE notices n SET state = 'claimed', permit = gen_random_uuid(), attempts = attempts + 1, claimed_at = %(now)s,
                     claimed_by = %(connector_id)s
FROM chosen c WHERE n.notice_id = c.notice_id
RETURNING n.notice_id, n.permit, n.mailbox_guid, n.about, n.kind, n.language

-- name: readers
-- Who reads these mailboxes now: nobody where it is no person's, is gone or elsewhere, or the person is not active.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT m.guid AS mailbox_guid, m.primary_smtp, coalesce(p.display_name, m.display_name) AS name, p.language,
       o.name AS organization
FROM mailboxes m
JOIN organizations o ON o.organization_id = m.organization_id
LEFT JOIN people p ON p.person_id = m.person_id
WHERE m.organization_id = %(organization_id)s AND m.guid = ANY(%(mailbox_guids)s::uuid[])
  AND m.kind IN ('user', 'linked') AND m.gone_at IS NULL AND m.primary_smtp IS NOT NULL AND coalesce(p.enabled, true)

-- name: contents
-- What these mails tell, as far as it is still so, with the decision and the device as they are now.
-- example: {"notice_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
SELECT i.notice_id, i.kind, i.device_id, d.reason, d.until, v.friendly_name, v.model, v.family
FROM notice_items i
JOIN decisions d ON d.organization_id = i.organization_id AND d.mailbox_guid = i.mailbox_guid
                AND d.device_id = i.device_id
LEFT JOIN LATERAL (
    SELECT friendly_name, model, family FROM devices
    WHERE organization_id = i.organization_id AND mailbox_guid = i.mailbox_guid AND device_id = i.device_id
    ORDER BY gone_at NULLS FIRST, guid LIMIT 1) v ON true
WHERE i.notice_id = ANY(%(notice_ids)s::uuid[])
  AND CASE i.kind
      WHEN 'blocked' THEN d.level = 'block'
      WHEN 'quarantined' THEN d.level = 'quarantine'
      WHEN 'warning' THEN d.level IN ('allow', 'leave') AND d.until > now()
      ELSE d.level IN ('allow', 'leave') END
ORDER BY i.notice_id, i.since, i.device_id

-- name: fill
-- What was given to be sent, word for word.
-- example: {"rows": {"rows": [{"notice_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "kind": "blocked", "language": "en", "recipient": "", "subject": "", "html": "", "text": ""}]}}
UPDATE notices n SET kind = r.kind, language = r.language, recipient = r.recipient, subject = r.subject, html = r.html,
                     text = r.text
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    notice_id uuid, kind text, language text, recipient text, subject text, html text, text text)
WHERE n.notice_id = r.notice_id

-- name: drop
-- Mails that are not sent after all, and why.
-- example: {"notice_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "why": "x", "now": "2026-01-01T00:00:00Z"}
UPDATE notices SET state = 'dropped', ended_at = %(now)s, why = %(why)s WHERE notice_id = ANY(%(notice_ids)s::uuid[])

-- name: told
-- What became of mails. One that was sent was sent, whatever else is said; all else counts only under the permit that the
-- mail was given out with last. What was not sent waits again, longer each time, until it is too old.
-- example: {"organization_id": "", "rows": {"rows": [{"notice_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "permit": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "result": "sent", "why": ""}]}, "now": "2026-01-01T00:00:00Z", "made_after": "2026-01-01T00:00:00Z"}
UPDATE notices n SET
    state = CASE
        WHEN r.result IN ('sent', 'found') THEN 'sent'
        WHEN r.result = 'uncertain' THEN 'uncertain'
        WHEN r.result = 'unsent' AND n.made_at > %(made_after)s THEN 'waiting'
        ELSE 'failed' END,
    ended_at = CASE WHEN r.result IN ('sent', 'found', 'failed') THEN %(now)s::timestamptz END,
    due_at = CASE WHEN r.result = 'unsent' THEN %(now)s::timestamptz + least(n.attempts, 30) * interval '1 minute' ELSE n.due_at END,
    told_at = CASE WHEN r.result = 'unsent' THEN NULL ELSE n.told_at END,
    why = r.why
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (notice_id uuid, permit uuid, result text, why text)
WHERE n.organization_id = %(organization_id)s AND n.notice_id = r.notice_id AND n.state <> 'sent'
  AND (r.result IN ('sent', 'found') OR (n.permit = r.permit AND n.state IN ('claimed', 'uncertain')))
RETURNING n.notice_id, n.mailbox_guid, n.kind, n.state, n.about, n.why

-- name: prune
-- Mails that nobody needs to look at any more.
-- example: {"before": "2026-01-01T00:00:00Z"}
DELETE FROM notices WHERE made_at < %(before)s

-- name: expire
-- Mails that would come too late.
-- example: {"made_before": "2026-01-01T00:00:00Z", "now": "2026-01-01T00:00:00Z"}
UPDATE notices SET state = 'dropped', ended_at = %(now)s, why = 'too-late'
WHERE state = 'waiting' AND made_at < %(made_before)s

-- name: recent
-- The newest mails, with what each is about.
-- example: {"limit": 10}
SELECT n.notice_id, n.organization_id, n.mailbox_guid, n.about, n.kind, n.language, n.state, n.made_at, n.due_at,
       n.claimed_at, n.ended_at, n.attempts, n.why, coalesce(n.recipient, m.primary_smtp) AS recipient,
       (SELECT count(*) FROM notice_items i WHERE i.notice_id = n.notice_id) AS tells
FROM notices n
LEFT JOIN mailboxes m ON m.organization_id = n.organization_id AND m.guid = n.mailbox_guid
WHERE n.state <> 'dropped'
ORDER BY n.made_at DESC, n.notice_id LIMIT %(limit)s

-- name: counts
-- How many mails there are in each state since a moment.
-- example: {"since": "2026-01-01T00:00:00Z"}
SELECT state, count(*) AS mails FROM notices WHERE made_at > %(since)s GROUP BY state

-- name: mailbox_of
-- The mailbox of a person that has this address.
-- example: {"address": "user0@example.test"}
SELECT organization_id, guid AS mailbox_guid FROM mailboxes
WHERE lower(primary_smtp) = lower(%(address)s) AND kind IN ('user', 'linked') AND gone_at IS NULL
ORDER BY organization_id, guid LIMIT 1

-- name: test
-- A mail that an administrator sends as a test.
-- example: {"organization_id": "", "mailbox_guid": "", "kind": "blocked", "language": "en"}
INSERT INTO notices (organization_id, mailbox_guid, about, kind, language)
VALUES (%(organization_id)s, %(mailbox_guid)s, 'test', %(kind)s, %(language)s) RETURNING notice_id
