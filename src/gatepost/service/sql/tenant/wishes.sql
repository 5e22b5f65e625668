-- name: seen
-- What Exchange last said of its settings, and whether its organization still has a connection.
-- example: {"organization_id": ""}
SELECT o.state, s.default_level, s.settings, s.read_at
FROM organizations o LEFT JOIN org_settings s ON s.organization_id = o.organization_id
WHERE o.organization_id = %(organization_id)s FOR SHARE OF o

-- name: standing
-- The last wish for each setting.
-- example: {"organization_id": ""}
SELECT name, wish_id, value, known_as, made_by, made_at, result, why, told_at, ended_at FROM wishes
WHERE organization_id = %(organization_id)s ORDER BY name

-- name: make
-- A wish, in place of the one before it; what that one may have brought about is known too.
-- example: {"organization_id": "", "name": "default-level", "value": "block", "known_as": ["allow"], "made_by": "x"}
INSERT INTO wishes (organization_id, name, value, known_as, made_by)
VALUES (%(organization_id)s, %(name)s, %(value)s, %(known_as)s, %(made_by)s)
ON CONFLICT (tenant_id, organization_id, name) DO UPDATE SET
    wish_id = excluded.wish_id, value = excluded.value, made_by = excluded.made_by,
    known_as = excluded.known_as
        || CASE WHEN wishes.ended_at IS NULL THEN wishes.known_as || wishes.value ELSE '{}' END,
    made_at = now(), sent_at = NULL, result = NULL, why = '', told_at = NULL, ended_at = NULL
RETURNING wish_id

-- name: withdraw
-- A wish that is not carried out yet is wished no more.
-- example: {"organization_id": "", "name": "default-level"}
DELETE FROM wishes WHERE organization_id = %(organization_id)s AND name = %(name)s AND ended_at IS NULL
RETURNING wish_id, value

-- name: send
-- What a connector is to carry out; from now on it was told.
-- example: {"organization_id": ""}
UPDATE wishes w SET sent_at = coalesce(sent_at, now())
FROM organizations o
WHERE w.organization_id = %(organization_id)s AND w.ended_at IS NULL
  AND o.organization_id = w.organization_id AND o.state NOT IN ('removing', 'removed')
RETURNING w.wish_id::text, w.name, w.value, w.known_as

-- name: tell
-- What became of a wish, if it is still the one that is wished; whether that ends it.
-- example: {"organization_id": "", "wish_id": "", "result": "applied", "why": "", "at": null, "ends": true}
UPDATE wishes SET
    result = %(result)s, why = %(why)s, told_at = %(at)s,
    ended_at = CASE WHEN %(ends)s THEN coalesce(%(at)s::timestamptz, now()) END
WHERE organization_id = %(organization_id)s AND wish_id = %(wish_id)s AND ended_at IS NULL
  AND (told_at IS NULL OR told_at <= coalesce(%(at)s::timestamptz, now()))
RETURNING name, value, made_by

-- name: learn
-- A setting as Exchange just said it, after a write of ours or beside one. Text settings lie within the document.
-- example: {"organization_id": "", "field": "default_level", "value": "Block", "at": "2100-01-01T00:00:00Z"}
UPDATE org_settings SET
    default_level = CASE WHEN %(field)s = 'default_level' THEN %(value)s::text ELSE default_level END,
    settings = jsonb_set(settings, ARRAY[%(field)s::text], coalesce(to_jsonb(%(value)s::text), 'null')),
    read_at = greatest(read_at, %(at)s)
WHERE organization_id = %(organization_id)s AND read_at < %(at)s
