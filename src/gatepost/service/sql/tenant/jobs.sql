-- name: organizations
-- The organizations of a tenant, for its jobs.
SELECT organization_id FROM organizations ORDER BY organization_id

-- name: lock_organization
-- Keeps ingest out while the counters are counted anew.
-- example: {"organization_id": ""}
SELECT 1 FROM organizations WHERE organization_id = %(organization_id)s FOR UPDATE

-- name: prune_outcomes
-- Outcomes are kept for 30 days.
-- example: {"before": "2026-01-01T00:00:00Z"}
DELETE FROM outcomes WHERE received_at < %(before)s

-- name: prune_sessions
-- Sessions that are too old to be used.
-- example: {"made_before": "2026-01-01T00:00:00Z", "seen_before": "2026-01-01T00:00:00Z"}
DELETE FROM sessions WHERE made_at < %(made_before)s OR seen_at < %(seen_before)s

-- name: stale_syncs
-- Synchronisations that were begun and never finished.
-- example: {"before": "2026-01-01T00:00:00Z"}
UPDATE syncs SET state = 'abandoned', ended_at = now(), why = 'It was not finished in time.'
WHERE state = 'open' AND started_at < %(before)s
RETURNING organization_id, sync_id

-- name: bury
-- Devices gone for two days become tombstones: no words to be found by, no personal data but in their history.
-- example: {"before": "2026-01-01T00:00:00Z", "limit": 10}
WITH old AS (
    SELECT organization_id, guid, words FROM devices
    WHERE gone_at < %(before)s AND words <> '{}'
    ORDER BY organization_id, guid LIMIT %(limit)s FOR UPDATE
), forgotten AS (
    DELETE FROM device_words w USING (SELECT organization_id, guid, unnest(words) AS word FROM old) AS o
    WHERE w.organization_id = o.organization_id AND w.word = o.word AND w.device_guid = o.guid
)
UPDATE devices d SET words = '{}', friendly_name = NULL, imei = NULL, phone_number = NULL, mobile_operator = NULL
FROM old WHERE d.organization_id = old.organization_id AND d.guid = old.guid
