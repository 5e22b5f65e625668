-- name: groups
-- Every group of the directory by its id, for choosing one by its name.
SELECT group_id::text AS id, name FROM groups ORDER BY name, group_id

-- name: defaults
-- What each organization does with a device of which no list and no rule speaks, as last read.
SELECT o.name, s.default_level
FROM organizations o LEFT JOIN org_settings s ON s.organization_id = o.organization_id
WHERE o.state NOT IN ('removing', 'removed')
ORDER BY o.name, o.organization_id

-- name: versions
-- Versions of the policy without what they say, the newest first.
-- example: {"below": null, "limit": 10}
SELECT version, note, made_at, made_by FROM policies
WHERE %(below)s::integer IS NULL OR version < %(below)s::integer
ORDER BY version DESC LIMIT %(limit)s
