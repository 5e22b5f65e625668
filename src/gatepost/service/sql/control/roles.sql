-- name: signed_in
-- Who signed in, and what the role may: pass row-level security by, own our tables, act as gatepost_app, make tenants.
WITH ours AS (
    SELECT c.oid, c.relname, c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
)
SELECT r.rolname AS role, r.rolsuper OR r.rolbypassrls AS bypasses,
       EXISTS (SELECT FROM ours WHERE pg_has_role(r.oid, relowner, 'MEMBER')) AS owns,
       EXISTS (SELECT FROM pg_roles a WHERE a.rolname = 'gatepost_app' AND pg_has_role(r.oid, a.oid, 'MEMBER')) AS serves,
       NOT EXISTS (SELECT FROM ours WHERE relname = 'tenants' AND NOT has_table_privilege(r.oid, oid, 'INSERT'))
           AS makes_tenants
FROM pg_roles r
WHERE r.rolname = current_user
