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

-- name: doubtful
-- Whether the compliance sources have no verdict of some device or person, so that what was decided before counts.
-- Nobody knows what a person that nobody knows has, by whom Outlook with an id of its own is judged.
SELECT EXISTS (SELECT FROM devices WHERE managed = 'unknown' AND gone_at IS NULL)
    OR EXISTS (SELECT FROM people WHERE managed = 'unknown')
    OR EXISTS (SELECT FROM devices v JOIN mailboxes m ON m.organization_id = v.organization_id AND m.guid = v.mailbox_guid
               WHERE v.family = 'outlook' AND v.gone_at IS NULL AND m.person_id IS NULL) AS doubtful

-- name: who
-- The devices of some classes, in order, from a key on; with what people know them by, and what becomes of them. OFFSET 0:
-- rows are made whole before classes are looked up, never joined with them by a part of the key.
-- example: {"organization_id": null, "now": "2026-01-01T00:00:00Z", "buckets": 10000, "with_previous": true, "reasons": [], "first_cuts": [], "sync_cuts": [], "since_cuts": [], "ids": [], "id_classes": [], "users": [], "user_classes": [], "superseded": [], "of_organizations": [], "of_facts": [], "of_audiences": [], "of_states": [], "of_reasons": [], "of_ids": [], "of_users": [], "of_bits": [], "fates": [], "after_organization": null, "after_guid": null, "limit": 10}
SELECT v.organization_id, v.guid, v.mailbox_guid, v.device_id, v.friendly_name, v.family, v.model, v.os,
       coalesce(m.primary_smtp, m.display_name, m.guid::text) AS mailbox, k.fate
FROM (
    SELECT r.organization_id, r.guid, r.mailbox_guid, c.fate
    FROM unnest(%(of_organizations)s::uuid[], %(of_facts)s::uuid[], %(of_audiences)s::uuid[], %(of_states)s::text[],
                %(of_reasons)s::text[], %(of_ids)s::integer[], %(of_users)s::integer[], %(of_bits)s::bigint[],
                %(fates)s::integer[])
         AS c (organization_id, facts_id, audience_id, state, reason, id_class, user_class, bits, fate)
    JOIN (SELECT * FROM gatepost_preview_rows(
        %(organization_id)s::uuid, %(now)s::timestamptz, %(buckets)s::integer, %(with_previous)s::boolean,
        %(reasons)s::text[], %(first_cuts)s::timestamptz[], %(sync_cuts)s::timestamptz[], %(since_cuts)s::timestamptz[],
        %(ids)s::text[], %(id_classes)s::integer[], %(users)s::text[], %(user_classes)s::integer[],
    %(superseded)s::uuid[]) OFFSET 0) r
      USING (organization_id, facts_id, audience_id, state, reason, id_class, user_class, bits)
    WHERE %(after_guid)s::uuid IS NULL
       OR (r.organization_id, r.guid) > (%(after_organization)s::uuid, %(after_guid)s::uuid)
    ORDER BY r.organization_id, r.guid LIMIT %(limit)s
) k
JOIN devices v ON v.organization_id = k.organization_id AND v.guid = k.guid
JOIN mailboxes m ON m.organization_id = k.organization_id AND m.guid = k.mailbox_guid
ORDER BY v.organization_id, v.guid

-- name: doubled
-- Partnerships of an id that another in the same mailbox stands for: the one that synchronised last. Ids that occur twice
-- are found by a hash first, for that is nearly never.
SELECT guid FROM (
    SELECT v.guid, row_number() OVER (
        PARTITION BY v.organization_id, v.mailbox_guid, v.device_id
        ORDER BY v.last_success_sync_at DESC NULLS LAST, v.guid) AS place
    FROM devices v
    JOIN (
        SELECT uuid_hash_extended(mailbox_guid, 0) # hashtextextended(device_id, 0) AS hash FROM devices
        WHERE gone_at IS NULL GROUP BY 1 HAVING count(*) > 1
    ) k ON k.hash = uuid_hash_extended(v.mailbox_guid, 0) # hashtextextended(v.device_id, 0)
    WHERE v.gone_at IS NULL
) w WHERE place > 1
