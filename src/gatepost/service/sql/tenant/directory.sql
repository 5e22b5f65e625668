-- name: lock
-- One report of people or of compliance at a time; synchronisations wait for it, or are waited for.
SELECT pg_advisory_xact_lock(hashtextextended('gatepost directory ' || gatepost_tenant(), 0)) IS NOT NULL AS locked

-- name: lock_shared
-- Synchronisations do not wait for each other.
SELECT pg_advisory_xact_lock_shared(hashtextextended('gatepost directory ' || gatepost_tenant(), 0)) IS NOT NULL AS locked

-- name: filled
-- Whether anybody told of people, and of compliance, and whether something is approved ahead.
SELECT EXISTS (SELECT FROM person_addresses) AS people, EXISTS (SELECT FROM links) AS links,
       EXISTS (SELECT FROM pre_approvals WHERE ended_at IS NULL) AS ahead

-- name: put_groups
-- Keep groups under the names that they have where they come from.
-- example: {"rows": {"rows": [{"external_id": "x", "name": "x"}]}}
INSERT INTO groups AS g (external_id, name)
SELECT r.external_id, r.name FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (external_id text, name text)
ORDER BY r.external_id
ON CONFLICT (tenant_id, external_id) DO UPDATE SET name = excluded.name WHERE g.name <> excluded.name

-- name: missing_groups
-- How many groups there are, how many of them are not among these, and whether one of those is a rollout's pilot or named
-- by a policy.
-- example: {"external_ids": ["x"], "named": []}
SELECT count(*) AS known, count(*) FILTER (WHERE external_id <> ALL(%(external_ids)s)) AS missing,
       (SELECT g.name FROM rollouts r JOIN groups g ON g.group_id = r.pilot
        WHERE g.external_id <> ALL(%(external_ids)s)) AS pilot,
       min(name) FILTER (WHERE external_id <> ALL(%(external_ids)s) AND group_id::text = ANY(%(named)s::text[])) AS named
FROM groups

-- name: remove_groups
-- Forget all groups but these; the people who were in them.
-- example: {"external_ids": ["x"]}
WITH lost AS MATERIALIZED (
    SELECT group_id FROM groups WHERE external_id <> ALL(%(external_ids)s)
), left_over AS (
    DELETE FROM memberships m USING lost l WHERE m.group_id = l.group_id RETURNING m.person_id
), gone AS (
    DELETE FROM groups g USING lost l WHERE g.group_id = l.group_id
)
SELECT DISTINCT person_id FROM left_over

-- name: groups
-- A page of groups, with how many people are in each.
-- example: {"after": "", "limit": 10}
SELECT g.group_id, g.external_id, g.name, (SELECT count(*) FROM memberships m WHERE m.group_id = g.group_id) AS people
FROM groups g WHERE g.external_id > %(after)s ORDER BY g.external_id LIMIT %(limit)s

-- name: unknown_groups
-- Which of these are no groups.
-- example: {"external_ids": ["x"]}
SELECT n.external_id FROM unnest(%(external_ids)s::text[]) AS n (external_id)
WHERE NOT EXISTS (SELECT FROM groups g WHERE g.external_id = n.external_id) ORDER BY 1

-- name: put_people
-- Keep people under the names that they have where they come from.
-- example: {"rows": {"rows": [{"external_id": "x", "smtp": [], "upn": null, "display_name": "x", "language": "nl", "enabled": true}]}}
INSERT INTO people AS p (person_id, external_id, smtp, upn, display_name, language, enabled)
SELECT gen_random_uuid(), r.external_id, r.smtp, r.upn, r.display_name, r.language, r.enabled
FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (
    external_id text, smtp text[], upn text, display_name text, language text, enabled boolean
)
ORDER BY r.external_id
ON CONFLICT (tenant_id, external_id) WHERE external_id IS NOT NULL DO UPDATE SET
    smtp = excluded.smtp, upn = excluded.upn, display_name = excluded.display_name, language = excluded.language,
    enabled = excluded.enabled
WHERE (p.smtp, p.upn, p.display_name, p.language, p.enabled) IS DISTINCT FROM
      (excluded.smtp, excluded.upn, excluded.display_name, excluded.language, excluded.enabled)

-- name: put_memberships
-- Put people into their groups, and out of others; the people of whom something changed, or who are new.
-- example: {"rows": {"rows": [{"external_id": "x", "groups": []}]}}
WITH told AS MATERIALIZED (
    SELECT p.person_id, p.audience_id, g.group_id
    FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (external_id text, groups text[])
    JOIN people p ON p.external_id = r.external_id
    LEFT JOIN LATERAL unnest(r.groups) AS n (external_id) ON true
    LEFT JOIN groups g ON g.external_id = n.external_id
), gone AS (
    DELETE FROM memberships m USING (SELECT DISTINCT person_id FROM told) AS t
    WHERE m.person_id = t.person_id AND (m.person_id, m.group_id) NOT IN (
        SELECT person_id, group_id FROM told WHERE group_id IS NOT NULL)
    RETURNING m.person_id
), made AS (
    INSERT INTO memberships (group_id, person_id)
    SELECT DISTINCT group_id, person_id FROM told WHERE group_id IS NOT NULL ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING person_id
)
SELECT person_id FROM gone UNION SELECT person_id FROM made UNION SELECT person_id FROM told WHERE audience_id IS NULL

-- name: intern_audiences
-- Give people the audience of the groups that they are in; those whose audience is another one now.
-- example: {"person_ids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
WITH wanted AS MATERIALIZED (
    SELECT q.person_id, s.group_ids, md5(array_to_string(s.group_ids, ','))::uuid AS audience_id
    FROM unnest(%(person_ids)s::uuid[]) AS q (person_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(group_id ORDER BY group_id), '{}') AS group_ids FROM memberships
        WHERE person_id = q.person_id OFFSET 0
    ) AS s
), made AS (
    INSERT INTO audiences (audience_id, group_ids) SELECT DISTINCT audience_id, group_ids FROM wanted
    ON CONFLICT DO NOTHING
)
UPDATE people p SET audience_id = w.audience_id FROM wanted w
WHERE p.person_id = w.person_id AND p.audience_id IS DISTINCT FROM w.audience_id
RETURNING p.person_id

-- name: put_addresses
-- What people are found by, as they stand; the addresses that somebody else, or nobody, is found by now.
-- example: {"rows": {"rows": [{"external_id": "x"}]}}
WITH told AS MATERIALIZED (
    SELECT p.person_id, a.address, coalesce(bool_or(a.mail), false) AS mail
    FROM jsonb_to_recordset(%(rows)s::jsonb -> 'rows') AS r (external_id text)
    JOIN people p ON p.external_id = r.external_id
    LEFT JOIN LATERAL (
        SELECT lower(s) AS address, true AS mail FROM unnest(p.smtp) AS s
        UNION ALL SELECT lower(p.upn), false WHERE p.upn IS NOT NULL
    ) AS a ON true
    GROUP BY p.person_id, a.address
), gone AS (
    DELETE FROM person_addresses x USING (SELECT DISTINCT person_id FROM told) AS t
    WHERE x.person_id = t.person_id AND (x.person_id, x.address) NOT IN (
        SELECT person_id, address FROM told WHERE address IS NOT NULL)
    RETURNING x.address
), made AS (
    INSERT INTO person_addresses AS x (address, person_id, mail)
    SELECT address, person_id, mail FROM told WHERE address IS NOT NULL ORDER BY 1, 2
    ON CONFLICT (tenant_id, address, person_id) DO UPDATE SET mail = excluded.mail WHERE x.mail <> excluded.mail
    RETURNING x.address
)
SELECT address FROM gone UNION SELECT address FROM made

-- name: missing_people
-- How many people were told of, and how many of them are not among these.
-- example: {"external_ids": ["x"]}
SELECT count(*) AS known, count(*) FILTER (WHERE external_id <> ALL(%(external_ids)s)) AS missing
FROM people WHERE external_id IS NOT NULL

-- name: remove_people
-- Forget all people but these; the addresses that nobody is found by any more.
-- example: {"external_ids": ["x"]}
WITH lost AS MATERIALIZED (
    SELECT person_id FROM people WHERE external_id <> ALL(%(external_ids)s)
), left_over AS (
    DELETE FROM memberships m USING lost l WHERE m.person_id = l.person_id
), unfound AS (
    DELETE FROM person_addresses x USING lost l WHERE x.person_id = l.person_id RETURNING x.address
), gone AS (
    DELETE FROM people p USING lost l WHERE p.person_id = l.person_id
)
SELECT DISTINCT address FROM unfound

-- name: people
-- A page of people with their groups.
-- example: {"after": "", "limit": 10}
SELECT p.person_id, p.external_id, p.smtp, p.upn, p.display_name, p.language, p.enabled, p.managed, p.managed_since,
       ARRAY(SELECT g.external_id FROM memberships m JOIN groups g ON g.group_id = m.group_id
             WHERE m.person_id = p.person_id ORDER BY 1) AS groups,
       (SELECT count(*) FROM mailboxes b WHERE b.person_id = p.person_id AND b.gone_at IS NULL) AS mailboxes
FROM people p WHERE p.external_id > %(after)s ORDER BY p.external_id LIMIT %(limit)s

-- name: counts
-- How many people and groups there are, and how many mailboxes have a person.
SELECT (SELECT count(*) FROM people) AS people, (SELECT count(*) FROM groups) AS groups,
       (SELECT count(*) FROM mailboxes WHERE gone_at IS NULL AND person_id IS NOT NULL) AS matched,
       (SELECT count(*) FROM mailboxes WHERE gone_at IS NULL) AS mailboxes

-- name: match_mailboxes
-- The people of the mailboxes with these addresses; an address that two people claim is nobody's. Those that changed.
-- example: {"addresses": ["x"]}
WITH claimed AS MATERIALIZED (
    SELECT q.address, c.person_id FROM (SELECT DISTINCT unnest(%(addresses)s::text[]) AS address) AS q
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) = 1 THEN (array_agg(person_id))[1] END AS person_id FROM person_addresses
        WHERE address = q.address AND mail OFFSET 0
    ) AS c
)
UPDATE mailboxes m SET person_id = c.person_id FROM claimed c
WHERE m.address = c.address AND m.person_id IS DISTINCT FROM c.person_id
RETURNING m.organization_id, m.guid

-- name: match_these
-- The people of these mailboxes, by their addresses; those that changed.
-- example: {"organization_id": "", "guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"]}
WITH claimed AS MATERIALIZED (
    SELECT q.guid, c.person_id FROM unnest(%(guids)s::uuid[]) AS q (guid)
    CROSS JOIN LATERAL (
        SELECT address FROM mailboxes WHERE organization_id = %(organization_id)s AND guid = q.guid OFFSET 0
    ) AS b
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) = 1 THEN (array_agg(person_id))[1] END AS person_id FROM person_addresses
        WHERE address = b.address AND mail OFFSET 0
    ) AS c
)
UPDATE mailboxes m SET person_id = c.person_id FROM claimed c
WHERE m.organization_id = %(organization_id)s AND m.guid = c.guid AND m.person_id IS DISTINCT FROM c.person_id
RETURNING m.guid

-- name: match_records
-- The people of compliance records with these user names; what is said by those that changed, and of whom.
-- example: {"addresses": ["x"]}
WITH claimed AS MATERIALIZED (
    SELECT q.address, c.person_id FROM (SELECT DISTINCT unnest(%(addresses)s::text[]) AS address) AS q
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) = 1 THEN (array_agg(person_id))[1] END AS person_id FROM person_addresses
        WHERE address = q.address OFFSET 0
    ) AS c
), changed AS MATERIALIZED (
    SELECT r.source_id, r.managed_id, r.device_ids, r.person_id AS before, c.person_id AS after
    FROM claimed c JOIN compliance_records r ON r.user_name = c.address
    WHERE r.person_id IS DISTINCT FROM c.person_id
), written AS (
    UPDATE compliance_records r SET person_id = c.after FROM changed c
    WHERE r.source_id = c.source_id AND r.managed_id = c.managed_id
)
SELECT device_ids, array_remove(ARRAY[before, after], NULL) AS person_ids FROM changed
