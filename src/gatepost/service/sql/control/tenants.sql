-- name: by_slug
-- The tenant that people name by its slug.
-- example: {"slug": "acme"}
SELECT tenant_id, slug, name, state FROM tenants WHERE slug = %(slug)s

-- name: by_id
-- The tenant that a credential names.
-- example: {"tenant_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427"}
SELECT tenant_id, slug, name, state FROM tenants WHERE tenant_id = %(tenant_id)s

-- name: all
-- Every tenant, for periodic jobs.
SELECT tenant_id, slug, name, state FROM tenants ORDER BY slug

-- name: create
-- A new tenant; only the operator may.
-- example: {"slug": "acme", "name": "Acme"}
INSERT INTO tenants (slug, name) VALUES (%(slug)s, %(name)s) RETURNING tenant_id
