-- name: find
-- One synchronisation of the organization, locked.
-- example: {"organization_id": "", "sync_id": "1"}
SELECT * FROM syncs WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s FOR UPDATE

-- name: abandon_open
-- Whatever synchronisation was open is not going to be finished.
-- example: {"organization_id": "", "why": "another one began"}
UPDATE syncs SET state = 'abandoned', ended_at = now(), why = %(why)s
WHERE organization_id = %(organization_id)s AND state = 'open'
RETURNING sync_id

-- name: accepted
-- The newest full synchronisation of this epoch that an administrator accepted since a moment although it shrank, if it
-- is not used up: none that could read everything was sealed since.
-- example: {"organization_id": "", "since": "2026-01-01T00:00:00Z"}
SELECT a.announced_devices, a.announced_mailboxes, a.missing_devices, a.missing_mailboxes, a.orphaned FROM syncs a
JOIN organizations o ON o.organization_id = a.organization_id AND o.epoch = a.epoch
WHERE a.organization_id = %(organization_id)s AND a.state = 'accepted' AND a.accepted_at > %(since)s AND NOT EXISTS (
    SELECT FROM syncs s WHERE s.organization_id = a.organization_id AND s.state = 'sealed' AND s.kind = 'full'
                          AND s.unreadable = 0 AND s.ended_at > a.accepted_at
)
ORDER BY a.accepted_at DESC LIMIT 1

-- name: begin
-- A synchronisation is announced: open, or held with the reason.
-- example: {"organization_id": "", "sync_id": "1", "connector_id": "", "epoch": 1, "kind": "full", "state": "open", "devices": 0, "mailboxes": 0, "digest": "", "unreadable": 0, "missing_devices": 0, "missing_mailboxes": 0, "why": ""}
INSERT INTO syncs (
    organization_id, sync_id, connector_id, epoch, kind, state, announced_devices, announced_mailboxes, digest,
    unreadable, missing_devices, missing_mailboxes, why, started_at, ended_at
) VALUES (
    %(organization_id)s, %(sync_id)s, %(connector_id)s, %(epoch)s, %(kind)s, %(state)s, %(devices)s, %(mailboxes)s,
    %(digest)s, %(unreadable)s, %(missing_devices)s, %(missing_mailboxes)s, %(why)s, clock_timestamp(),
    CASE WHEN %(state)s = 'held' THEN clock_timestamp() END
)

-- name: request_taken
-- What was requested before a synchronisation began is served by its end; a full one serves a quick request too.
-- example: {"organization_id": "", "sync_id": "1"}
UPDATE organizations o SET sync_requested = 'none', sync_requested_at = NULL
FROM syncs s
WHERE o.organization_id = %(organization_id)s AND s.organization_id = o.organization_id AND s.sync_id = %(sync_id)s
  AND (o.sync_requested = s.kind OR (s.kind = 'full' AND o.sync_requested = 'quick'))
  AND o.sync_requested_at <= s.started_at

-- name: part
-- A part is merged: the running counts and digest.
-- example: {"organization_id": "", "sync_id": "1", "devices": 0, "mailboxes": 0, "digest": "", "rejected": 0, "changed": 0, "unreadable": 0, "orphaned": 0}
UPDATE syncs SET
    received_parts = received_parts + 1, received_devices = received_devices + %(devices)s,
    received_mailboxes = received_mailboxes + %(mailboxes)s, received_digest = %(digest)s,
    rejected = rejected + %(rejected)s, changed = changed + %(changed)s, unreadable = unreadable + %(unreadable)s,
    orphaned = %(orphaned)s
WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s

-- name: seen
-- Who was in a part.
-- example: {"organization_id": "", "sync_id": "1", "part": 1, "devices": [], "mailboxes": []}
INSERT INTO sync_parts (organization_id, sync_id, part, devices, mailboxes)
VALUES (%(organization_id)s, %(sync_id)s, %(part)s, %(devices)b::uuid[], %(mailboxes)b::uuid[])

-- name: seen_beside
-- Who was told in between, outside of the parts: a full synchronisation that is open has not missed them.
-- example: {"organization_id": "", "devices": [], "mailboxes": []}
INSERT INTO sync_parts (organization_id, sync_id, part, devices, mailboxes)
SELECT s.organization_id, s.sync_id, least(0, (
    SELECT min(part) FROM sync_parts p WHERE p.organization_id = s.organization_id AND p.sync_id = s.sync_id
)) - 1, %(devices)b::uuid[], %(mailboxes)b::uuid[]
FROM syncs s WHERE s.organization_id = %(organization_id)s AND s.state = 'open' AND s.kind = 'full'

-- name: held
-- How many held synchronisations an administrator may look at: no full one was sealed since.
-- example: {"organization_id": ""}
SELECT count(*) AS held FROM syncs h
WHERE h.organization_id = %(organization_id)s AND h.state = 'held' AND NOT EXISTS (
    SELECT FROM syncs s WHERE s.organization_id = h.organization_id AND s.state = 'sealed' AND s.kind = 'full'
                          AND s.ended_at > h.ended_at
)

-- name: end
-- A synchronisation is over: sealed, held or abandoned.
-- example: {"organization_id": "", "sync_id": "1", "state": "sealed", "gone": 0, "missing_devices": 0, "missing_mailboxes": 0, "orphaned": 0, "why": ""}
UPDATE syncs SET
    state = %(state)s, gone = %(gone)s, missing_devices = %(missing_devices)s,
    missing_mailboxes = %(missing_mailboxes)s, orphaned = %(orphaned)s, why = %(why)s, ended_at = clock_timestamp()
WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s

-- name: forget_parts
-- Who was seen is not needed any more.
-- example: {"organization_id": "", "sync_id": "1"}
DELETE FROM sync_parts WHERE organization_id = %(organization_id)s AND sync_id = %(sync_id)s
