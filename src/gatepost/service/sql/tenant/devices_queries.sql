-- name: plan_anew
-- Plan every statement of this transaction for its own values, so that a filter that is not set costs nothing.
SET LOCAL plan_cache_mode = 'force_custom_plan'

-- name: commonness
-- How many words there are in each range, counted no further than a limit.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "words": ["iph"], "word_ends": ["ipi"], "enough": 10}
SELECT o.word, o.word_end, (
    SELECT count(*) FROM (
        SELECT FROM device_words w
        WHERE w.organization_id = ANY(%(organizations)s::uuid[])
          AND w.word >= o.word COLLATE "C" AND w.word < o.word_end COLLATE "C"
        LIMIT %(enough)s) AS few) AS found
FROM unnest(%(words)s::text[], %(word_ends)s::text[]) AS o (word, word_end)
ORDER BY found, o.word

-- name: newest
-- Keys of a page of devices after a key, newest first, each with a word in every range, among so many to walk.
-- A filter that is NULL is not set.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "gone": false, "state": null, "family": null, "words": ["iph"], "word_ends": ["ipi"], "after_at": null, "after_guid": null, "after_organization": null, "limit": 50, "walk": 1000}
SELECT d.organization_id, d.guid, d.first_seen AS at
FROM (
    SELECT d.organization_id, d.guid, d.first_seen, d.words FROM devices d
    WHERE d.organization_id = ANY(%(organizations)s::uuid[])
      AND (d.gone_at IS NOT NULL) = %(gone)s
      AND (%(state)s::text IS NULL OR d.access_state = %(state)s)
      AND (%(family)s::text IS NULL OR d.family = %(family)s)
      AND (%(after_at)s::timestamptz IS NULL OR (d.first_seen, d.guid, d.organization_id)
           < (%(after_at)s::timestamptz, %(after_guid)s::uuid, %(after_organization)s::uuid))
    ORDER BY d.first_seen DESC, d.guid DESC, d.organization_id DESC
    LIMIT %(walk)s) d
WHERE NOT EXISTS (
  SELECT FROM unnest(%(words)s::text[], %(word_ends)s::text[]) AS o (word, word_end)
  WHERE NOT EXISTS (
      SELECT FROM unnest(d.words) AS w (word)
      WHERE w.word >= o.word COLLATE "C" AND w.word < o.word_end COLLATE "C"))
ORDER BY d.first_seen DESC, d.guid DESC, d.organization_id DESC
LIMIT %(limit)s

-- name: end_of_newest
-- The key of the last device that newest walked, where there are more after so many.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "gone": false, "state": null, "family": null, "after_at": null, "after_guid": null, "after_organization": null, "walk": 0}
SELECT d.organization_id, d.guid, d.first_seen AS at FROM devices d
WHERE d.organization_id = ANY(%(organizations)s::uuid[])
  AND (d.gone_at IS NOT NULL) = %(gone)s
  AND (%(state)s::text IS NULL OR d.access_state = %(state)s)
  AND (%(family)s::text IS NULL OR d.family = %(family)s)
  AND (%(after_at)s::timestamptz IS NULL OR (d.first_seen, d.guid, d.organization_id)
       < (%(after_at)s::timestamptz, %(after_guid)s::uuid, %(after_organization)s::uuid))
ORDER BY d.first_seen DESC, d.guid DESC, d.organization_id DESC
OFFSET %(walk)s LIMIT 1

-- name: changed
-- Keys of a page of devices after a key, last changed first; as newest.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "gone": false, "state": null, "family": null, "words": ["iph"], "word_ends": ["ipi"], "after_at": null, "after_guid": null, "after_organization": null, "limit": 50, "walk": 1000}
SELECT d.organization_id, d.guid, d.changed_seen_at AS at
FROM (
    SELECT d.organization_id, d.guid, d.changed_seen_at, d.words FROM devices d
    WHERE d.organization_id = ANY(%(organizations)s::uuid[])
      AND (d.gone_at IS NOT NULL) = %(gone)s
      AND (%(state)s::text IS NULL OR d.access_state = %(state)s)
      AND (%(family)s::text IS NULL OR d.family = %(family)s)
      AND (%(after_at)s::timestamptz IS NULL OR (d.changed_seen_at, d.guid, d.organization_id)
           < (%(after_at)s::timestamptz, %(after_guid)s::uuid, %(after_organization)s::uuid))
    ORDER BY d.changed_seen_at DESC, d.guid DESC, d.organization_id DESC
    LIMIT %(walk)s) d
WHERE NOT EXISTS (
  SELECT FROM unnest(%(words)s::text[], %(word_ends)s::text[]) AS o (word, word_end)
  WHERE NOT EXISTS (
      SELECT FROM unnest(d.words) AS w (word)
      WHERE w.word >= o.word COLLATE "C" AND w.word < o.word_end COLLATE "C"))
ORDER BY d.changed_seen_at DESC, d.guid DESC, d.organization_id DESC
LIMIT %(limit)s

-- name: end_of_changed
-- The key of the last device that changed walked, where there are more after so many.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "gone": false, "state": null, "family": null, "after_at": null, "after_guid": null, "after_organization": null, "walk": 0}
SELECT d.organization_id, d.guid, d.changed_seen_at AS at FROM devices d
WHERE d.organization_id = ANY(%(organizations)s::uuid[])
  AND (d.gone_at IS NOT NULL) = %(gone)s
  AND (%(state)s::text IS NULL OR d.access_state = %(state)s)
  AND (%(family)s::text IS NULL OR d.family = %(family)s)
  AND (%(after_at)s::timestamptz IS NULL OR (d.changed_seen_at, d.guid, d.organization_id)
       < (%(after_at)s::timestamptz, %(after_guid)s::uuid, %(after_organization)s::uuid))
ORDER BY d.changed_seen_at DESC, d.guid DESC, d.organization_id DESC
OFFSET %(walk)s LIMIT 1

-- name: newest_with_words
-- As newest, found by their word in the first range, which few have.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "gone": false, "state": null, "family": null, "first": "ann", "first_end": "ano", "words": ["iph"], "word_ends": ["ipi"], "after_at": null, "after_guid": null, "after_organization": null, "limit": 50}
SELECT d.organization_id, d.guid, d.first_seen AS at
FROM devices d
WHERE d.organization_id = ANY(%(organizations)s::uuid[])
  AND (d.gone_at IS NOT NULL) = %(gone)s
  AND (%(state)s::text IS NULL OR d.access_state = %(state)s)
  AND (%(family)s::text IS NULL OR d.family = %(family)s)
  AND (%(after_at)s::timestamptz IS NULL OR (d.first_seen, d.guid, d.organization_id)
       < (%(after_at)s::timestamptz, %(after_guid)s::uuid, %(after_organization)s::uuid))
  AND (d.organization_id, d.guid) IN (
      SELECT w.organization_id, w.device_guid FROM device_words w
      WHERE w.organization_id = ANY(%(organizations)s::uuid[]) AND w.word >= %(first)s AND w.word < %(first_end)s)
  AND NOT EXISTS (
      SELECT FROM unnest(%(words)s::text[], %(word_ends)s::text[]) AS o (word, word_end)
      WHERE NOT EXISTS (
          SELECT FROM unnest(d.words) AS w (word)
          WHERE w.word >= o.word COLLATE "C" AND w.word < o.word_end COLLATE "C"))
ORDER BY d.first_seen DESC, d.guid DESC, d.organization_id DESC
LIMIT %(limit)s

-- name: changed_with_words
-- As changed, found by their word in the first range, which few have.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "gone": false, "state": null, "family": null, "first": "ann", "first_end": "ano", "words": ["iph"], "word_ends": ["ipi"], "after_at": null, "after_guid": null, "after_organization": null, "limit": 50}
SELECT d.organization_id, d.guid, d.changed_seen_at AS at
FROM devices d
WHERE d.organization_id = ANY(%(organizations)s::uuid[])
  AND (d.gone_at IS NOT NULL) = %(gone)s
  AND (%(state)s::text IS NULL OR d.access_state = %(state)s)
  AND (%(family)s::text IS NULL OR d.family = %(family)s)
  AND (%(after_at)s::timestamptz IS NULL OR (d.changed_seen_at, d.guid, d.organization_id)
       < (%(after_at)s::timestamptz, %(after_guid)s::uuid, %(after_organization)s::uuid))
  AND (d.organization_id, d.guid) IN (
      SELECT w.organization_id, w.device_guid FROM device_words w
      WHERE w.organization_id = ANY(%(organizations)s::uuid[]) AND w.word >= %(first)s AND w.word < %(first_end)s)
  AND NOT EXISTS (
      SELECT FROM unnest(%(words)s::text[], %(word_ends)s::text[]) AS o (word, word_end)
      WHERE NOT EXISTS (
          SELECT FROM unnest(d.words) AS w (word)
          WHERE w.word >= o.word COLLATE "C" AND w.word < o.word_end COLLATE "C"))
ORDER BY d.changed_seen_at DESC, d.guid DESC, d.organization_id DESC
LIMIT %(limit)s

-- name: rows
-- What a list shows of devices, for their keys.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "guids": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca428"]}
SELECT d.organization_id, d.guid, d.device_id, d.friendly_name, d.family, d.device_type, d.model, d.os, d.access_state,
       d.access_state_reason, d.first_sync_at, d.first_seen, d.changed_seen_at, d.gone_at, d.mailbox_guid,
       m.primary_smtp, m.display_name, m.kind AS mailbox_kind
FROM unnest(%(organizations)s::uuid[], %(guids)s::uuid[]) WITH ORDINALITY AS k (organization_id, guid, place)
JOIN devices d ON d.organization_id = k.organization_id AND d.guid = k.guid
LEFT JOIN mailboxes m ON m.organization_id = d.organization_id AND m.guid = d.mailbox_guid
ORDER BY k.place

-- name: device
-- One device with every field. An unchanged row is not written, so it was last seen by the newest full synchronisation
-- that could read everything, if that is later.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "guid": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428"}
SELECT organization_id, guid, device_id, mailbox_guid, identity, friendly_name, device_type, model, os, os_language,
       user_agent, imei, phone_number, mobile_operator, client_type, client_version, access_state, access_state_reason,
       access_control_rule, first_sync_at, changed_at, last_sync_attempt_at, last_success_sync_at,
       last_policy_update_at, policy_applied, policy_status, status, wipe_requested_at, wipe_sent_at,
       wipe_acknowledged_at, last_wipe_requestor, folders_synced, family, first_seen, changed_seen_at, gone_at,
       CASE WHEN gone_at IS NULL THEN greatest(last_seen, (
           SELECT max(ended_at) FROM syncs s
           WHERE s.organization_id = devices.organization_id AND s.kind = 'full' AND s.state = 'sealed' AND s.unreadable = 0
       )) ELSE last_seen END AS last_seen
FROM devices WHERE organization_id = %(organization_id)s AND guid = %(guid)s

-- name: by_keys
-- The devices with these ids in these mailboxes, of several with one id the one that was seen last.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT DISTINCT ON (k.mailbox_guid, k.device_id)
       k.mailbox_guid, k.device_id, d.organization_id, d.guid, d.friendly_name, d.model, d.device_type
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN devices d ON d.mailbox_guid = k.mailbox_guid AND d.organization_id = %(organization_id)s
              AND d.device_id = k.device_id
ORDER BY k.mailbox_guid, k.device_id, d.gone_at DESC NULLS FIRST, d.last_seen DESC, d.guid

-- name: mailbox
-- A mailbox with its personal lists, and when they were last read (see device).
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "guid": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428"}
SELECT organization_id, guid, identity, primary_smtp, display_name, kind, eas_enabled, allowed_ids, blocked_ids,
       mailbox_policy, changed_at, gone_at,
       CASE WHEN gone_at IS NULL THEN greatest(lists_read_at, (
           SELECT max(ended_at) FROM syncs s
           WHERE s.organization_id = mailboxes.organization_id AND s.kind = 'full' AND s.state = 'sealed'
             AND s.unreadable = 0
       )) ELSE lists_read_at END AS lists_read_at
FROM mailboxes WHERE organization_id = %(organization_id)s AND guid = %(guid)s

-- name: history
-- What changed of a device, newest first, after a key.
-- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "guid": "1b4e28ba-2fa1-4d2b-883f-0016d3cca428", "after_at": null, "after_n": null, "limit": 50}
SELECT at, n, what, changes FROM device_history
WHERE organization_id = %(organization_id)s AND device_guid = %(guid)s
  AND (%(after_at)s::timestamptz IS NULL OR (at, n) < (%(after_at)s::timestamptz, %(after_n)s::bigint))
ORDER BY at DESC, n DESC
LIMIT %(limit)s
