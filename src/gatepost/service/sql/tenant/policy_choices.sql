-- name: groups
-- Every group of the directory by its id, for choosing one by its name.
SELECT group_id::text AS id, name FROM groups ORDER BY name, group_id

-- name: defaults
-- What each organization does with a device of which no list and no rule speaks, as last read.
SELECT o.name, s.default_level
FROM organizations o LEFT JOIN org_settings s ON s.organization_id = o.organization_id
WHERE o.state NOT IN ('removing', 'removed')
ORDER BY o.name, o.organization_id
