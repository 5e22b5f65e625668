-- name: settings
-- The tenant's own budgets, and those that are asked for.
SELECT take, give, set_by, set_at, asked_take, asked_give, asked_id, asked_by, asked_at FROM guard_settings

-- name: begin
-- The tenant's settings are there, and locked.
INSERT INTO guard_settings (set_by) VALUES ('') ON CONFLICT (tenant_id) DO UPDATE SET set_by = guard_settings.set_by

-- name: set
-- The budgets are these; what was asked for is over.
-- example: {"take": 5, "give": null, "by": "x"}
UPDATE guard_settings SET take = %(take)s, give = %(give)s, set_by = %(by)s, set_at = now(),
    asked_take = NULL, asked_give = NULL, asked_id = NULL, asked_by = NULL, asked_at = NULL

-- name: ask
-- Somebody asks for larger budgets.
-- example: {"take": 5, "give": null, "by_id": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "by": "x"}
UPDATE guard_settings SET asked_take = %(take)s, asked_give = %(give)s, asked_id = %(by_id)s, asked_by = %(by)s,
    asked_at = now()

-- name: forget
-- What was asked for is over.
UPDATE guard_settings SET asked_take = NULL, asked_give = NULL, asked_id = NULL, asked_by = NULL, asked_at = NULL
WHERE asked_at IS NOT NULL

-- name: sizes
-- How many devices each organization has.
SELECT sum(value)::bigint AS devices FROM counters WHERE name = 'devices' GROUP BY organization_id

-- name: used
-- How many people newly lost and gained access within the window.
-- example: {"organization_id": "", "minutes": 60}
SELECT verb, count(*) AS people FROM budget_uses
WHERE organization_id = %(organization_id)s AND at > now() - make_interval(mins => %(minutes)s)
GROUP BY verb

-- name: counted
-- Which of these people did.
-- example: {"organization_id": "", "verb": "take", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "minutes": 60}
SELECT mailbox_guid FROM budget_uses
WHERE organization_id = %(organization_id)s AND verb = %(verb)s AND mailbox_guid = ANY(%(mailbox_guids)s::uuid[])
  AND at > now() - make_interval(mins => %(minutes)s)

-- name: by_hand
-- How many other people than this one newly lost or gained access by somebody's pins within the window.
-- example: {"organization_id": "", "verb": "take", "pinned_by": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "but": "6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11", "minutes": 60}
SELECT count(*) AS people FROM budget_uses
WHERE organization_id = %(organization_id)s AND verb = %(verb)s AND pinned_by = %(pinned_by)s
  AND mailbox_guid <> %(but)s AND at > now() - make_interval(mins => %(minutes)s)

-- name: use
-- These people newly lose or gain access; who pinned it stays with it for the window, whatever comes after.
-- example: {"organization_id": "", "verb": "take", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "pinned_by": null}
INSERT INTO budget_uses (organization_id, verb, mailbox_guid, pinned_by)
SELECT %(organization_id)s, %(verb)s, guid, %(pinned_by)s::uuid FROM unnest(%(mailbox_guids)s::uuid[]) AS g (guid)
ON CONFLICT (tenant_id, organization_id, verb, mailbox_guid) DO UPDATE SET
    at = now(), pinned_by = coalesce(excluded.pinned_by, budget_uses.pinned_by)

-- name: prune
-- What is long past.
-- example: {"before": "2100-01-01T00:00:00Z"}
DELETE FROM budget_uses WHERE at < %(before)s
