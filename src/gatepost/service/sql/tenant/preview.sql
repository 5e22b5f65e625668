-- name: classes
-- Every class of devices: how many are in it, and the guids of their mailboxes, 16 bytes each.
-- example: {"organization_id": null, "now": "2026-01-01T00:00:00Z", "buckets": 10000, "with_previous": true, "reasons": [], "first_cuts": [], "sync_cuts": [], "since_cuts": [], "ids": [], "id_classes": [], "users": [], "user_classes": [], "superseded": []}
SELECT organization_id::text, facts_id::text, audience_id::text, state, reason, id_class, user_class, bits,
       count(*) AS devices, string_agg(uuid_send(r.mailbox_guid), '') AS mailboxes
FROM gatepost_preview_rows(
    %(organization_id)s::uuid, %(now)s::timestamptz, %(buckets)s::integer, %(with_previous)s::boolean,
    %(reasons)s::text[], %(first_cuts)s::timestamptz[], %(sync_cuts)s::timestamptz[], %(since_cuts)s::timestamptz[],
    %(ids)s::text[], %(id_classes)s::integer[], %(users)s::text[], %(user_classes)s::integer[],
    %(superseded)s::uuid[]) r
GROUP BY r.organization_id, r.facts_id, r.audience_id, state, reason, id_class, user_class, bits

-- name: room
-- Room for sets of this size: they are joined and grouped by hashing, whatever the planner believes of tables just filled.
SELECT set_config('work_mem', '256MB', true), set_config('hash_mem_multiplier', '8', true),
       set_config('enable_nestloop', 'off', true), set_config('enable_sort', 'off', true)

-- name: device_ids
-- Every device id there is, for patterns to look at.
SELECT DISTINCT device_id AS text FROM devices WHERE gone_at IS NULL AND device_id IS NOT NULL

-- name: users
-- Every address there is, for patterns to look at.
SELECT DISTINCT coalesce(primary_smtp, '') AS text FROM mailboxes

-- name: facts
-- What rules can see of devices, once for all that say the same.
-- example: {"facts_ids": []}
SELECT facts_id::text, family, device_type, model, os, os_version, user_agent, client_type FROM device_facts
WHERE facts_id = ANY(%(facts_ids)s::uuid[])

-- name: audiences
-- The groups of each audience, by the names that policies use.
SELECT audience_id::text, group_ids::text[] FROM audiences

-- name: group_names
-- Names of groups for people.
-- example: {"names": []}
SELECT group_id::text, name FROM groups WHERE group_id::text = ANY(%(names)s)

-- name: who
-- The devices of some classes, in order, from a key on; with what people know them by, and what becomes of them. LIMIT 1:
-- names are looked up for the devices of the page only, whatever kinds of joins are switched off. Later ones are
-- asked for in words that no index is of use for, by which every device would be fetched from its own place.
-- example: {"organization_id": null, "now": "2026-01-01T00:00:00Z", "buckets": 10000, "with_previous": true, "reasons": [], "first_cuts": [], "sync_cuts": [], "since_cuts": [], "ids": [], "id_classes": [], "users": [], "user_classes": [], "superseded": [], "of_organizations": [], "of_facts": [], "of_audiences": [], "of_states": [], "of_reasons": [], "of_ids": [], "of_users": [], "of_bits": [], "fates": [], "after_organization": null, "after_guid": null, "limit": 10}
SELECT k.organization_id, k.guid, k.mailbox_guid, v.device_id, v.friendly_name, v.family, v.model, v.os, m.mailbox, k.fate
FROM (
    SELECT r.organization_id, r.guid, r.mailbox_guid, c.fate
    FROM gatepost_preview_rows(
        %(organization_id)s::uuid, %(now)s::timestamptz, %(buckets)s::integer, %(with_previous)s::boolean,
        %(reasons)s::text[], %(first_cuts)s::timestamptz[], %(sync_cuts)s::timestamptz[], %(since_cuts)s::timestamptz[],
        %(ids)s::text[], %(id_classes)s::integer[], %(users)s::text[], %(user_classes)s::integer[],
        %(superseded)s::uuid[]) r
    JOIN unnest(%(of_organizations)s::uuid[], %(of_facts)s::uuid[], %(of_audiences)s::uuid[], %(of_states)s::text[],
                %(of_reasons)s::text[], %(of_ids)s::integer[], %(of_users)s::integer[], %(of_bits)s::bigint[],
                %(fates)s::integer[])
         AS c (organization_id, facts_id, audience_id, state, reason, id_class, user_class, bits, fate)
      USING (organization_id, facts_id, audience_id, state, reason, id_class, user_class, bits)
    WHERE %(after_guid)s::uuid IS NULL
       OR nullif((r.organization_id, r.guid) > (%(after_organization)s::uuid, %(after_guid)s::uuid), false) IS NOT NULL
    ORDER BY r.organization_id, r.guid LIMIT %(limit)s
) k
JOIN LATERAL (
    SELECT device_id, friendly_name, family, model, os FROM devices
    WHERE organization_id = k.organization_id AND guid = k.guid LIMIT 1
) v ON true
JOIN LATERAL (
    SELECT coalesce(primary_smtp, display_name, guid::text) AS mailbox FROM mailboxes
    WHERE organization_id = k.organization_id AND guid = k.mailbox_guid LIMIT 1
) m ON true
ORDER BY k.organization_id, k.guid

-- name: doubled
-- Partnerships of an id that another in the same mailbox stands for: the one that synchronised last. Ids that occur twice
-- are found by walking along an index first, for that is nearly never; materialized, or every parallel worker would look
-- for itself.
WITH k AS MATERIALIZED (
    SELECT mailbox_guid, device_id FROM (
        SELECT mailbox_guid, device_id, row_number() OVER (PARTITION BY mailbox_guid, device_id) AS nth FROM devices
    ) every WHERE nth = 2
)
SELECT guid FROM (
    SELECT v.guid, row_number() OVER (
        PARTITION BY v.organization_id, v.mailbox_guid, v.device_id
        ORDER BY v.last_success_sync_at DESC NULLS LAST, v.guid) AS place
    FROM devices v
    JOIN k ON k.mailbox_guid = v.mailbox_guid AND k.device_id = v.device_id
    WHERE v.gone_at IS NULL
) w WHERE place > 1
