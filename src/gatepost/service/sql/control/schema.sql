-- name: revision
-- Which revision the schema has.
SELECT version_num FROM alembic_version

-- name: incarnation
-- The random id of this database's history.
SELECT incarnation FROM incarnation
