-- Revision 0001: tenants, people, connectors, synchronisations and what Exchange says. Run by the role gatepost_owner.
-- Every key begins with tenant_id and every table that has one is under row-level security, forced: see the end.

-- The tenant of the running transaction. Raises where none is set: no scope is an error, never an empty result.
CREATE FUNCTION gatepost_tenant() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    scope text := current_setting('app.tenant', true);
BEGIN
    IF scope IS NULL OR scope = '' THEN
        RAISE EXCEPTION 'no tenant scope is set' USING ERRCODE = 'GP001';
    END IF;
    RETURN scope::uuid;
END
$$;

-- How a field changed, as [before, after]; NULL where it did not. Inlined into the statement that uses it.
CREATE FUNCTION gatepost_change(before anyelement, after anyelement) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN before IS DISTINCT FROM after THEN jsonb_build_array(before, after) END
$$;

CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    made_at timestamptz NOT NULL DEFAULT now()
);

-- The random id of this database's history; a restore changes it.
CREATE TABLE incarnation (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    incarnation uuid NOT NULL DEFAULT gen_random_uuid(),
    since timestamptz NOT NULL DEFAULT now()
);
INSERT INTO incarnation DEFAULT VALUES;

-- People who administer a tenant -----------------------------------------------------------------------------------

CREATE TABLE administrators (
    tenant_id uuid NOT NULL REFERENCES tenants,
    administrator_id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    password_hash text NOT NULL,
    roles text[] NOT NULL DEFAULT '{}',
    language text,
    made_at timestamptz NOT NULL DEFAULT now(),
    promoted_at timestamptz,
    disabled_at timestamptz,
    last_sign_in_at timestamptz,
    PRIMARY KEY (tenant_id, administrator_id)
);
CREATE UNIQUE INDEX administrators_name ON administrators (tenant_id, lower(name));

-- Only the SHA-256 of a session's secret is kept; how long a session lives is in service/administrators.py.
CREATE TABLE sessions (
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL DEFAULT gen_random_uuid(),
    secret_hash bytea NOT NULL,
    administrator_id uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    step_up_at timestamptz,
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, administrator_id) REFERENCES administrators ON DELETE CASCADE
);
CREATE INDEX sessions_age ON sessions (tenant_id, seen_at);

-- Outside of tenants, so that trying a tenant that does not exist counts like trying one that does, and nothing tells
-- them apart. What was typed is kept as a digest only: of the tenant's short name, and of the name of a person there.
CREATE TABLE sign_in_attempts (
    attempt_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    address text NOT NULL,
    slug_hash bytea NOT NULL,
    name_hash bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    succeeded boolean NOT NULL DEFAULT false
);
CREATE INDEX sign_in_attempts_address ON sign_in_attempts (address, at);
CREATE INDEX sign_in_attempts_age ON sign_in_attempts (at);

-- Organizations and their connectors --------------------------------------------------------------------------------

CREATE TABLE organizations (
    tenant_id uuid NOT NULL REFERENCES tenants,
    organization_id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'connected', 'replaced', 'removing')),
    epoch integer NOT NULL DEFAULT 0,
    sync_requested text NOT NULL DEFAULT 'none' CHECK (sync_requested IN ('none', 'quick', 'full')),
    sync_requested_at timestamptz,
    made_at timestamptz NOT NULL DEFAULT now(),
    connected_at timestamptz,
    PRIMARY KEY (tenant_id, organization_id),
    UNIQUE (tenant_id, name)
);

-- A ticket pays for one enrolment; it remembers which, so that a lost answer can be given again.
CREATE TABLE tickets (
    tenant_id uuid NOT NULL,
    ticket_hash bytea NOT NULL,
    organization_id uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL DEFAULT 'operator',
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    public_key text,
    connector_id uuid,
    PRIMARY KEY (tenant_id, ticket_hash),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

CREATE TABLE connectors (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    epoch integer NOT NULL,
    public_key text NOT NULL,
    certificate_serial text,
    host text NOT NULL DEFAULT '',
    version text NOT NULL DEFAULT '',
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    superseded_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, connector_id),
    UNIQUE (tenant_id, organization_id, epoch),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

-- What the last document of a connector was (its row lock puts them in order), and its lease. told_at is the
-- sync_requested_at of the last request for a synchronisation that the connector was told.
CREATE TABLE checkins (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    sequence bigint NOT NULL DEFAULT 0,
    digest text NOT NULL DEFAULT '',
    result jsonb,
    instance uuid,
    lease_until timestamptz,
    status jsonb NOT NULL DEFAULT '{}',
    told_at timestamptz,
    last_at timestamptz,
    PRIMARY KEY (tenant_id, connector_id),
    FOREIGN KEY (tenant_id, connector_id) REFERENCES connectors,
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

CREATE TABLE syncs (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    sync_id text NOT NULL CHECK (length(sync_id) BETWEEN 1 AND 100),
    connector_id uuid NOT NULL,
    epoch integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('full', 'quick')),
    state text NOT NULL CHECK (state IN ('open', 'held', 'accepted', 'sealed', 'abandoned')),
    announced_devices integer NOT NULL,
    announced_mailboxes integer NOT NULL,
    digest text NOT NULL,
    unreadable integer NOT NULL DEFAULT 0,
    received_devices integer NOT NULL DEFAULT 0,
    received_mailboxes integer NOT NULL DEFAULT 0,
    received_digest text NOT NULL DEFAULT '',
    received_parts integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    changed integer NOT NULL DEFAULT 0,
    gone integer NOT NULL DEFAULT 0,
    missing_devices integer NOT NULL DEFAULT 0,
    missing_mailboxes integer NOT NULL DEFAULT 0,
    orphaned integer NOT NULL DEFAULT 0,
    why text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    accepted_at timestamptz,
    accepted_by text,
    PRIMARY KEY (tenant_id, organization_id, sync_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
    FOREIGN KEY (tenant_id, connector_id) REFERENCES connectors
);
CREATE UNIQUE INDEX syncs_one_open ON syncs (tenant_id, organization_id) WHERE state = 'open';
CREATE INDEX syncs_newest ON syncs (tenant_id, organization_id, started_at DESC);

-- Who was seen in a part of a full synchronisation: one row a part instead of one write a device.
CREATE TABLE sync_parts (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    sync_id text NOT NULL,
    part integer NOT NULL,
    devices uuid[] NOT NULL,
    mailboxes uuid[] NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, sync_id, part),
    FOREIGN KEY (tenant_id, organization_id, sync_id) REFERENCES syncs
);

CREATE TABLE outcomes (
    tenant_id uuid NOT NULL,
    outcome_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    about text NOT NULL,
    result text NOT NULL,
    body jsonb NOT NULL,
    at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, outcome_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX outcomes_age ON outcomes (tenant_id, received_at);

-- What Exchange says ------------------------------------------------------------------------------------------------

CREATE TABLE org_settings (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    default_level text,
    settings jsonb NOT NULL,
    read_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organization_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

-- Groups of groups, and people: a synchronisation of the directory fills them; empty until there is one.
CREATE TABLE audiences (
    tenant_id uuid NOT NULL REFERENCES tenants,
    audience_id uuid NOT NULL,
    group_ids uuid[] NOT NULL,
    PRIMARY KEY (tenant_id, audience_id)
);

CREATE TABLE people (
    tenant_id uuid NOT NULL REFERENCES tenants,
    person_id uuid NOT NULL,
    smtp text[] NOT NULL DEFAULT '{}',
    upn text,
    display_name text,
    language text,
    enabled boolean,
    audience_id uuid,
    PRIMARY KEY (tenant_id, person_id),
    FOREIGN KEY (tenant_id, audience_id) REFERENCES audiences
);

-- Between guid and changed_at: domain.contract.MAILBOX_COLUMNS.
CREATE TABLE mailboxes (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    guid uuid NOT NULL,
    dn text,
    identity text,
    primary_smtp text,
    display_name text,
    kind text NOT NULL,
    eas_enabled boolean,
    allowed_ids text[] NOT NULL DEFAULT '{}',
    blocked_ids text[] NOT NULL DEFAULT '{}',
    mailbox_policy text,
    changed_at timestamptz,
    person_id uuid,
    row_hash bigint NOT NULL,
    lists_read_at timestamptz NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    changed_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    PRIMARY KEY (tenant_id, organization_id, guid),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX mailboxes_gone ON mailboxes (tenant_id, gone_at) WHERE gone_at IS NOT NULL;

-- What rules can see of a device, once for all devices that say the same; facts_id is a digest of the content.
CREATE TABLE device_facts (
    tenant_id uuid NOT NULL REFERENCES tenants,
    facts_id uuid NOT NULL,
    family text NOT NULL,
    device_type text,
    model text,
    os text,
    os_version integer[] NOT NULL,
    user_agent text,
    client_type text,
    PRIMARY KEY (tenant_id, facts_id)
);

-- Between guid and folders_synced: domain.contract.DEVICE_COLUMNS. mailbox_guid is NULL where the mailbox is gone; it is
-- no foreign key, for a device may arrive before its mailbox. Nor are organization_id and facts_id: only the merge writes
-- here, in a transaction that holds the organization and wrote the facts, and checking took more than half of its time.
-- last_seen is when a row was last written by a merge: an unchanged device is not written, so the newest sealed full
-- synchronisation saw every device whose gone_at is NULL.
CREATE TABLE devices (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    guid uuid NOT NULL,
    device_id text,
    mailbox_guid uuid,
    identity text,
    friendly_name text,
    device_type text,
    model text,
    os text,
    os_language text,
    user_agent text,
    imei text,
    phone_number text,
    mobile_operator text,
    client_type text,
    client_version text,
    access_state text,
    access_state_reason text,
    access_control_rule text,
    first_sync_at timestamptz,
    changed_at timestamptz,
    last_sync_attempt_at timestamptz,
    last_success_sync_at timestamptz,
    last_policy_update_at timestamptz,
    policy_applied text,
    policy_status text,
    status text,
    wipe_requested_at timestamptz,
    wipe_sent_at timestamptz,
    wipe_acknowledged_at timestamptz,
    last_wipe_requestor text,
    folders_synced integer,
    family text NOT NULL,
    facts_id uuid NOT NULL,
    words text[] COLLATE "C" NOT NULL DEFAULT '{}',
    row_hash bigint NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    changed_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    PRIMARY KEY (tenant_id, organization_id, guid)
);
-- No index but the key begins with tenant_id, organization_id: for an organization that the statistics do not know yet,
-- the planner would take such an index for as good as the key and read the whole organization for each device.
CREATE INDEX devices_mailbox ON devices (tenant_id, mailbox_guid);
CREATE INDEX devices_gone ON devices (tenant_id, gone_at) WHERE gone_at IS NOT NULL;

-- Normalised words for prefix search (domain.search): word >= 'iph' AND word < 'iph' || U+10FFFF. No foreign key: they
-- are written by the merge with the device, which keeps the same words in devices.words to know what to take away.
CREATE TABLE device_words (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    device_guid uuid NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, word, device_guid)
);

-- What changed: {"field": [before, after]}; what is changed, gone or returned. One partition a month.
CREATE TABLE device_history (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    device_guid uuid NOT NULL,
    at timestamptz NOT NULL,
    n bigint NOT NULL,
    what text NOT NULL CHECK (what IN ('changed', 'gone', 'returned')),
    changes jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, organization_id, device_guid, at, n)
) PARTITION BY RANGE (at);
CREATE TABLE device_history_rest PARTITION OF device_history DEFAULT;
ALTER TABLE device_history_rest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE SEQUENCE device_history_n;

-- Makes the partitions of this month and the months ahead; runs as the owner, called daily by a job. Nobody may read a
-- partition directly: row-level security without a policy.
CREATE FUNCTION gatepost_history_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month timestamptz;
    partition text;
    made integer := 0;
BEGIN
    FOR step IN 0 .. ahead LOOP
        month := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step)) AT TIME ZONE 'UTC';
        partition := 'device_history_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM');
        IF to_regclass('public.' || partition) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF device_history FOR VALUES FROM (%L) TO (%L)', partition, month,
                           (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION gatepost_history_partitions FROM PUBLIC;
SELECT gatepost_history_partitions(2);

-- Tells the planner of tables that more than doubled since it last looked: the first synchronisation of an organization
-- would else be merged by plans for empty tables. Runs as the owner; a table that somebody else looks at is left to
-- them.
CREATE FUNCTION gatepost_analyze_grown() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    grown record;
    done integer := 0;
BEGIN
    FOR grown IN
        SELECT c.relname FROM pg_class c
        WHERE c.oid IN ('mailboxes'::regclass, 'devices'::regclass, 'device_words'::regclass, 'device_facts'::regclass)
          AND pg_relation_size(c.oid) / current_setting('block_size')::integer > 2 * greatest(c.relpages, 0) + 16
    LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) %I', grown.relname);
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
REVOKE ALL ON FUNCTION gatepost_analyze_grown FROM PUBLIC;

-- devices, mailboxes, orphans, state:<access_state>, family:<family>: of what is not gone.
CREATE TABLE counters (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, name),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

-- What we publish ---------------------------------------------------------------------------------------------------

CREATE TABLE desired_heads (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, organization_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

CREATE TABLE desired (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    level text NOT NULL CHECK (level IN ('leave', 'allow', 'quarantine', 'block')),
    reason text NOT NULL DEFAULT '',
    entry text NOT NULL DEFAULT 'none' CHECK (entry IN ('allow', 'block', 'none')),
    was text NOT NULL DEFAULT 'absent' CHECK (was IN ('ours', 'foreign', 'absent')),
    revision bigint NOT NULL,
    hold_id uuid,
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX desired_revision ON desired (tenant_id, organization_id, revision);

-- Wakes the connectors that wait: only where a revision or a request was committed.
CREATE FUNCTION gatepost_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatepost', NEW.tenant_id || '/' || NEW.organization_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER wake AFTER UPDATE OF sync_requested ON organizations
    FOR EACH ROW WHEN (NEW.sync_requested <> 'none') EXECUTE FUNCTION gatepost_wake();
CREATE TRIGGER wake AFTER UPDATE OF revision ON desired_heads
    FOR EACH ROW WHEN (NEW.revision <> OLD.revision) EXECUTE FUNCTION gatepost_wake();

-- What went wrong, and what happened --------------------------------------------------------------------------------

CREATE TABLE findings (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    origin text NOT NULL CHECK (origin IN ('connector', 'sync', 'source', 'service')),
    code text NOT NULL,
    subject text NOT NULL DEFAULT '',
    cause text NOT NULL DEFAULT '',
    remedy text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT now(),
    last timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, organization_id, origin, code, subject),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

-- name is source:subject:action (domain.events); seq and chain_hash are the sealer's.
CREATE TABLE events (
    tenant_id uuid NOT NULL REFERENCES tenants,
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT now(),
    organization_id uuid,
    name text NOT NULL CHECK (name ~ '^[a-z]+:[a-z]+:[a-z-]+$'),
    actor text NOT NULL,
    body jsonb NOT NULL,
    body_hash bytea NOT NULL,
    seq bigint,
    chain_hash bytea,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX events_newest ON events (tenant_id, at DESC);

-- Isolation and rights ----------------------------------------------------------------------------------------------

DO $$
DECLARE
    entry record;
BEGIN
    FOR entry IN
        SELECT c.relname, c.relispartition FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id'
          AND NOT a.attisdropped AND NOT c.relispartition AND c.relname <> 'tenants'
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER tenant_id SET DEFAULT gatepost_tenant()', entry.relname);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', entry.relname);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT gatepost_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT gatepost_tenant()))', entry.relname);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO gatepost_app, gatepost_operator;
GRANT SELECT ON alembic_version TO gatepost_app, gatepost_operator;
GRANT SELECT ON tenants, incarnation TO gatepost_app;
GRANT SELECT, INSERT ON events, device_facts, device_history TO gatepost_app;
GRANT SELECT, INSERT, UPDATE ON
    administrators, sessions, sign_in_attempts, organizations, tickets, connectors, checkins, syncs, sync_parts, outcomes,
    org_settings, audiences, people, mailboxes, devices, device_words, counters, desired_heads, desired, findings
    TO gatepost_app;
GRANT DELETE ON sessions, sign_in_attempts, sync_parts, outcomes, device_words, counters TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    tenants, administrators, sessions, sign_in_attempts, organizations, tickets, connectors, checkins, syncs, sync_parts,
    outcomes, org_settings, audiences, people, mailboxes, device_facts, devices, device_words, device_history, counters,
    desired_heads, desired, findings TO gatepost_operator;
GRANT SELECT, INSERT ON events TO gatepost_operator;
GRANT SELECT, UPDATE ON incarnation TO gatepost_operator;
GRANT USAGE ON SEQUENCE device_history_n TO gatepost_app, gatepost_operator;
GRANT EXECUTE ON FUNCTION gatepost_analyze_grown TO gatepost_app;
GRANT EXECUTE ON FUNCTION gatepost_history_partitions TO gatepost_app, gatepost_operator;
