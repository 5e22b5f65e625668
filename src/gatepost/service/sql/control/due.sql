-- name: tenants
-- The tenants that have something to decide by now.
SELECT tenant_id FROM gatepost_tenants_due() AS tenant_id
