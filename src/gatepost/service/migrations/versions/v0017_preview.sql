-- Revision 0017: what a policy would do, by classes of devices.

-- Entries of which the ledger says more than that we wrote what is published. mine: it is ours, or was taken off after the
-- lists were read; kept: it was adopted, and stays as long as nothing but leave is published.
CREATE VIEW gatepost_unusual_entries WITH (security_invoker) AS
SELECT l.organization_id, l.mailbox_guid, l.device_id, l.list,
       l.ownership IN ('ours', 'presumed') OR (l.ownership = 'intended' AND NOT l.present_before)
       OR (l.ownership = 'withdrawn' AND l.since > m.lists_read_at) AS mine,
       l.kept
FROM list_entries l
JOIN mailboxes m ON m.organization_id = l.organization_id AND m.guid = l.mailbox_guid
WHERE NOT (l.ownership IN ('ours', 'presumed') AND l.intended_revision IS NOT NULL AND l.released_revision IS NULL
           AND NOT l.kept);
GRANT SELECT ON gatepost_unusual_entries TO gatepost_app, gatepost_operator;

-- Every device of which something is decided, with the class that it is in: devices of one class are decided alike.
-- facts_id and audience_id say what rules can see of the device and of its person; state and reason are Exchange's own
-- words of it; id_class and user_class are its places in what patterns found (0: none); bits holds all the rest, in the
-- order and widths of service/policies/classes.py, lowest first. Times are where they stand between cuts, the moments at
-- which the policies change their mind. superseded: partnerships of an id that another in its mailbox stands for. An
-- entry in a list is ours where it is the published one, unless the ledger has something unusual to say of it, known by
-- its exact spelling. A set-returning SQL function without options: the planner writes it into the statement that uses it.
CREATE FUNCTION gatepost_preview_rows(
    of_organization uuid, moment timestamptz, buckets integer, with_previous boolean, kept_reasons text[],
    first_cuts timestamptz[], sync_cuts timestamptz[], since_cuts timestamptz[],
    ids text[], id_classes integer[], users text[], user_classes integer[], superseded uuid[]
) RETURNS TABLE (
    organization_id uuid, guid uuid, mailbox_guid uuid, device_id text, facts_id uuid, audience_id uuid, state text,
    reason text, id_class integer, user_class integer, bits bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT v.organization_id, v.guid, v.mailbox_guid, v.device_id, v.facts_id, h.audience_id,
        coalesce(v.access_state, ''), coalesce(v.access_state_reason, ''), coalesce(i.class, 0), coalesce(u.class, 0),
        h.bits
        | (v.known::integer << 3)
        | ((CASE v.managed WHEN 'unmanaged' THEN 0 WHEN 'compliant' THEN 1 WHEN 'noncompliant' THEN 2 ELSE 3 END) << 4)
        | (coalesce(width_bucket(v.managed_since, since_cuts) + 1, 0) << 6)
        | (width_bucket(coalesce(v.first_sync_at, v.first_seen), first_cuts) << 14)
        | (coalesce(width_bucket(v.last_success_sync_at, sync_cuts) + 1, 0) << 17)
        | ((CASE WHEN n.level IS NULL OR n.until <= moment THEN 0 WHEN n.level = 'allow' THEN 1 ELSE 2 END) << 27)
        | ((CASE d.level WHEN 'leave' THEN 1 WHEN 'allow' THEN 2 WHEN 'quarantine' THEN 3 WHEN 'block' THEN 4 ELSE 0 END)
           ::bigint << 30)
        | ((CASE p.level WHEN 'leave' THEN 1 WHEN 'allow' THEN 2 WHEN 'quarantine' THEN 3 WHEN 'block' THEN 4 ELSE 0 END)
           ::bigint << 33)
        | (coalesce(array_position(kept_reasons, p.reason), 0)::bigint << 36)
        | ((CASE WHEN h.allowed_ids IS NULL THEN 2
                 WHEN h.allowed_ids = '{}' THEN 0
                 WHEN coalesce(a.mine, d.entry = 'allow', false) AND NOT coalesce(a.kept, false) THEN 0
                 WHEN v.device_id = ANY (h.allowed_ids)
                     OR EXISTS (SELECT FROM unnest(h.allowed_ids) x WHERE lower(x) = lower(v.device_id))
                     THEN CASE WHEN a.mine THEN 3 ELSE 1 END
                 ELSE 0 END)::bigint << 42)
        | ((CASE WHEN h.blocked_ids IS NULL THEN 2
                 WHEN h.blocked_ids = '{}' THEN 0
                 WHEN coalesce(b.mine, d.entry = 'block', false) AND NOT coalesce(b.kept, false) THEN 0
                 WHEN v.device_id = ANY (h.blocked_ids)
                     OR EXISTS (SELECT FROM unnest(h.blocked_ids) x WHERE lower(x) = lower(v.device_id))
                     THEN CASE WHEN b.mine THEN 3 ELSE 1 END
                 ELSE 0 END)::bigint << 44)
    FROM devices v
    JOIN (
        SELECT m.organization_id, m.guid, m.primary_smtp, m.allowed_ids, m.blocked_ids,
            coalesce(q.audience_id, '00000000-0000-0000-0000-000000000000'::uuid) AS audience_id,
            (CASE WHEN m.gone_at IS NOT NULL THEN 1 WHEN m.kind IN ('remote', 'disabled') THEN 2 ELSE 0 END)::bigint
            | ((q.person_id IS NOT NULL)::integer << 2)
            | ((CASE q.managed WHEN 'unmanaged' THEN 0 WHEN 'compliant' THEN 1 WHEN 'noncompliant' THEN 2 ELSE 3 END) << 9)
            | (coalesce(width_bucket(q.managed_since, since_cuts) + 1, 0) << 11)
            | ((CASE WHEN buckets >= 10000 THEN 1
                     WHEN buckets = 0 THEN 0
                     WHEN ('x' || left(md5(m.guid::text), 8))::bit(32)::bigint % 10000 < buckets THEN 1
                     ELSE 0 END) << 29)
            | ((CASE WHEN m.eas_enabled THEN 1 WHEN NOT m.eas_enabled THEN 2 ELSE 0 END)::bigint << 46) AS bits
        FROM mailboxes m
        JOIN organizations o ON o.organization_id = m.organization_id AND o.state NOT IN ('removing', 'removed')
        LEFT JOIN people q ON q.person_id = m.person_id
        WHERE of_organization IS NULL OR m.organization_id = of_organization
    ) h ON h.organization_id = v.organization_id AND h.guid = v.mailbox_guid
    LEFT JOIN pins n ON n.organization_id = v.organization_id AND n.mailbox_guid = v.mailbox_guid
                    AND n.device_id = v.device_id
    LEFT JOIN desired d ON d.organization_id = v.organization_id AND d.mailbox_guid = v.mailbox_guid
                       AND d.device_id = v.device_id
    LEFT JOIN decisions p ON with_previous AND p.organization_id = v.organization_id
                         AND p.mailbox_guid = v.mailbox_guid AND p.device_id = v.device_id
    LEFT JOIN gatepost_unusual_entries a ON a.organization_id = v.organization_id AND a.mailbox_guid = v.mailbox_guid
                                        AND a.device_id = v.device_id AND a.list = 'allow'
    LEFT JOIN gatepost_unusual_entries b ON b.organization_id = v.organization_id AND b.mailbox_guid = v.mailbox_guid
                                        AND b.device_id = v.device_id AND b.list = 'block'
    LEFT JOIN unnest(ids, id_classes) AS i (text, class) ON i.text = v.device_id
    LEFT JOIN unnest(users, user_classes) AS u (text, class) ON u.text = coalesce(h.primary_smtp, '')
    WHERE v.gone_at IS NULL AND v.device_id <> '' AND octet_length(v.device_id) <= 1000
      AND (of_organization IS NULL OR v.organization_id = of_organization)
      AND NOT v.guid = ANY (superseded)
$$;
