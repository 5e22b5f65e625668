-- Revision 0017: what a policy would do, by classes of devices.

-- Entries of which the ledger says more than that we wrote what is published. mine: it is ours; withdrawn_at: since when
-- it is wanted no more, so that it is off the list where that was read before; kept: it was adopted, and stays as long as
-- nothing but leave is published.
CREATE VIEW gatepost_unusual_entries WITH (security_invoker) AS
SELECT l.organization_id, l.mailbox_guid, l.device_id, l.list,
       l.ownership IN ('ours', 'presumed') OR (l.ownership = 'intended' AND NOT l.present_before) AS mine,
       CASE l.ownership WHEN 'withdrawn' THEN l.since END AS withdrawn_at,
       l.kept
FROM list_entries l
WHERE NOT (l.ownership IN ('ours', 'presumed') AND l.intended_revision IS NOT NULL AND l.released_revision IS NULL
           AND NOT l.kept);
GRANT SELECT ON gatepost_unusual_entries TO gatepost_app, gatepost_operator;
CREATE INDEX list_entries_unusual ON list_entries (tenant_id, organization_id, mailbox_guid, device_id)
    WHERE NOT (ownership IN ('ours', 'presumed') AND intended_revision IS NOT NULL AND released_revision IS NULL
               AND NOT kept);

-- With the id, so that ids which occur twice in a mailbox are found in the index alone.
DROP INDEX devices_mailbox;
CREATE INDEX devices_mailbox ON devices (tenant_id, mailbox_guid, device_id);

-- What only few devices have: a pin that counts (1: allow, 2: block), and entries of which the ledger has more to say. One
-- row an id, so that all of it is one join.
CREATE FUNCTION gatepost_exceptions(moment timestamptz) RETURNS TABLE (
    organization_id uuid, mailbox_guid uuid, device_id text, pin integer,
    allow_mine boolean, allow_withdrawn_at timestamptz, allow_kept boolean,
    block_mine boolean, block_withdrawn_at timestamptz, block_kept boolean
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT e.organization_id, e.mailbox_guid, e.device_id, max(e.pin),
        bool_or(e.mine) FILTER (WHERE e.list = 'allow'), max(e.withdrawn_at) FILTER (WHERE e.list = 'allow'),
        bool_or(e.kept) FILTER (WHERE e.list = 'allow'), bool_or(e.mine) FILTER (WHERE e.list = 'block'),
        max(e.withdrawn_at) FILTER (WHERE e.list = 'block'), bool_or(e.kept) FILTER (WHERE e.list = 'block')
    FROM (
        SELECT n.organization_id, n.mailbox_guid, n.device_id, CASE n.level WHEN 'allow' THEN 1 ELSE 2 END AS pin,
            NULL AS list, NULL::boolean AS mine, NULL::timestamptz AS withdrawn_at, NULL::boolean AS kept
        FROM pins n WHERE n.until IS NULL OR n.until > moment
        UNION ALL
        SELECT l.organization_id, l.mailbox_guid, l.device_id, 0, l.list, l.mine, l.withdrawn_at, l.kept
        FROM gatepost_unusual_entries l
    ) e
    GROUP BY e.organization_id, e.mailbox_guid, e.device_id
$$;

-- The same value. Called volatile, so that the planner works out rows with it as they are and then looks at the whole: it
-- takes them for few groups, and groups in every parallel worker instead of once for all of them.
CREATE FUNCTION gatepost_as_it_is(value bigint) RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE AS 'SELECT value';

-- Every device of which something is decided, with the class that it is in: devices of one class are decided alike.
-- facts_id and audience_id say what rules can see of the device and of its person; state and reason are Exchange's own
-- words of it; id_class and user_class are its places in what patterns found (0: none); bits holds all the rest, in the
-- order and widths of service/policies/classes.py, lowest first. Times are where they stand between cuts, the moments at
-- which the policies change their mind. superseded: partnerships of an id that another in its mailbox stands for. An
-- entry in a list is ours where it is the published one, unless the ledger has something unusual to say of it, known by
-- its exact spelling. A set-returning SQL function without options: the planner writes it into the statement that uses
-- it. Nothing in it may be kept from parallel workers, as subqueries with parameters of the row are; and what ids are too
-- long is asked in words that the planner believes to be true of nearly every row, for of a comparison it believes a third.
CREATE FUNCTION gatepost_preview_rows(
    of_organization uuid, moment timestamptz, buckets integer, with_previous boolean, kept_reasons text[],
    first_cuts timestamptz[], sync_cuts timestamptz[], since_cuts timestamptz[],
    ids text[], id_classes integer[], users text[], user_classes integer[], superseded uuid[]
) RETURNS TABLE (
    organization_id uuid, guid uuid, mailbox_guid uuid, device_id text, facts_id uuid, audience_id uuid, state text,
    reason text, id_class integer, user_class integer, bits bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT v.organization_id, v.guid, v.mailbox_guid, v.device_id, v.facts_id,
        coalesce(q.audience_id, '00000000-0000-0000-0000-000000000000'::uuid),
        coalesce(v.access_state, ''), coalesce(v.access_state_reason, ''), coalesce(i.class, 0), coalesce(u.class, 0),
        gatepost_as_it_is(
        (CASE WHEN m.gone_at IS NOT NULL THEN 1 WHEN m.kind IN ('remote', 'disabled') THEN 2 ELSE 0 END)::bigint
        | (CASE WHEN q.person_id IS NULL THEN 0 ELSE 1 << 2 END)
        | (CASE WHEN v.known THEN 1 << 3 ELSE 0 END)
        | ((CASE v.managed WHEN 'unmanaged' THEN 0 WHEN 'compliant' THEN 1 WHEN 'noncompliant' THEN 2 ELSE 3 END) << 4)
        | (coalesce(width_bucket(v.managed_since, since_cuts) + 1, 0) << 6)
        | ((CASE q.managed WHEN 'unmanaged' THEN 0 WHEN 'compliant' THEN 1 WHEN 'noncompliant' THEN 2 ELSE 3 END) << 9)
        | (coalesce(width_bucket(q.managed_since, since_cuts) + 1, 0) << 11)
        | (width_bucket(coalesce(v.first_sync_at, v.first_seen), first_cuts) << 14)
        | (coalesce(width_bucket(v.last_success_sync_at, sync_cuts) + 1, 0) << 17)
        | (coalesce(x.pin, 0) << 27)
        | ((CASE WHEN buckets >= 10000 THEN 1
                 WHEN buckets = 0 THEN 0
                 WHEN ('x' || left(md5(m.guid::text), 8))::bit(32)::bigint % 10000 < buckets THEN 1
                 ELSE 0 END) << 29)
        | ((CASE d.level WHEN 'leave' THEN 1 WHEN 'allow' THEN 2 WHEN 'quarantine' THEN 3 WHEN 'block' THEN 4 ELSE 0 END)
           ::bigint << 30)
        | ((CASE p.level WHEN 'leave' THEN 1 WHEN 'allow' THEN 2 WHEN 'quarantine' THEN 3 WHEN 'block' THEN 4 ELSE 0 END)
           ::bigint << 33)
        | (coalesce(array_position(kept_reasons, p.reason), 0)::bigint << 36)
        | ((CASE WHEN m.allowed_ids IS NULL THEN 2
                 WHEN m.allowed_ids = '{}' THEN 0
                 WHEN coalesce(x.allow_withdrawn_at > m.lists_read_at, x.allow_mine, d.entry = 'allow', false)
                     AND NOT coalesce(x.allow_kept, false) THEN 0
                 WHEN v.device_id = ANY (m.allowed_ids) OR v.folded_id = ANY (lower(m.allowed_ids::text)::text[])
                     THEN CASE WHEN coalesce(x.allow_withdrawn_at > m.lists_read_at, x.allow_mine) THEN 3 ELSE 1 END
                 ELSE 0 END)::bigint << 42)
        | ((CASE WHEN m.blocked_ids IS NULL THEN 2
                 WHEN m.blocked_ids = '{}' THEN 0
                 WHEN coalesce(x.block_withdrawn_at > m.lists_read_at, x.block_mine, d.entry = 'block', false)
                     AND NOT coalesce(x.block_kept, false) THEN 0
                 WHEN v.device_id = ANY (m.blocked_ids) OR v.folded_id = ANY (lower(m.blocked_ids::text)::text[])
                     THEN CASE WHEN coalesce(x.block_withdrawn_at > m.lists_read_at, x.block_mine) THEN 3 ELSE 1 END
                 ELSE 0 END)::bigint << 44)
        | ((CASE WHEN m.eas_enabled THEN 1 WHEN NOT m.eas_enabled THEN 2 ELSE 0 END)::bigint << 46))
    FROM devices v
    JOIN mailboxes m ON m.organization_id = v.organization_id AND m.guid = v.mailbox_guid
    JOIN organizations o ON o.organization_id = m.organization_id AND o.state NOT IN ('removing', 'removed')
    LEFT JOIN people q ON q.person_id = m.person_id
    LEFT JOIN desired d ON d.organization_id = v.organization_id AND d.mailbox_guid = v.mailbox_guid
                       AND d.device_id = v.device_id
    LEFT JOIN decisions p ON with_previous AND p.organization_id = v.organization_id
                         AND p.mailbox_guid = v.mailbox_guid AND p.device_id = v.device_id
    LEFT JOIN gatepost_exceptions(moment) x ON x.organization_id = v.organization_id
                                           AND x.mailbox_guid = v.mailbox_guid AND x.device_id = v.device_id
    LEFT JOIN unnest(ids, id_classes) AS i (text, class) ON cardinality(ids) > 0 AND i.text = v.device_id
    LEFT JOIN unnest(users, user_classes) AS u (text, class)
        ON cardinality(users) > 0 AND u.text = coalesce(m.primary_smtp, '')
    WHERE v.gone_at IS NULL AND nullif(octet_length(v.device_id) BETWEEN 1 AND 1000, false) IS NOT NULL
      AND (of_organization IS NULL OR v.organization_id = of_organization)
      AND NOT v.guid = ANY (superseded)
$$;
