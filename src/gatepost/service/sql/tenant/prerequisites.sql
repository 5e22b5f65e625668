-- name: authority
-- What the tenant has chosen, who did and when; no row until somebody has.
SELECT authority, chosen_by, chosen_at FROM tenant_settings

-- name: choose
-- Choose an authority, or another; nothing where it is this one already.
-- example: {"authority": "source", "chosen_by": "Anna"}
INSERT INTO tenant_settings AS t (authority, chosen_by) VALUES (%(authority)s, %(chosen_by)s)
ON CONFLICT (tenant_id) DO UPDATE
SET authority = excluded.authority, chosen_by = excluded.chosen_by, chosen_at = clock_timestamp()
WHERE t.authority <> excluded.authority
RETURNING authority
