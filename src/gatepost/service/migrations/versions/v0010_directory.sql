-- Revision 0010: groups, what compliance sources report, and what they come to for each device and person.

-- external_id is the group's or person's name at whoever tells of them; ours never leave the service.
CREATE TABLE groups (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    group_id uuid NOT NULL DEFAULT gen_random_uuid(),
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 200),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    PRIMARY KEY (tenant_id, group_id),
    UNIQUE (tenant_id, external_id)
);

-- Flattened: a person is in a group however deep it is nested.
CREATE TABLE memberships (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    group_id uuid NOT NULL,
    person_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, group_id, person_id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES groups,
    FOREIGN KEY (tenant_id, person_id) REFERENCES people
);
CREATE INDEX memberships_person ON memberships (tenant_id, person_id);

-- managed, managed_since: of all of a person's devices together (domain.facts.Managed).
ALTER TABLE people
    ADD COLUMN external_id text,
    ADD COLUMN managed text NOT NULL DEFAULT 'unmanaged',
    ADD COLUMN managed_since timestamptz;
CREATE UNIQUE INDEX people_external ON people (tenant_id, external_id) WHERE external_id IS NOT NULL;
GRANT DELETE ON people TO gatepost_app;

-- What a person is found by, in lower case: mail addresses (mail), by which mailboxes find them, and the sign-in name.
CREATE TABLE person_addresses (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    address text NOT NULL CHECK (length(address) BETWEEN 1 AND 320),
    person_id uuid NOT NULL,
    mail boolean NOT NULL,
    PRIMARY KEY (tenant_id, address, person_id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX person_addresses_person ON person_addresses (tenant_id, person_id);

-- Columns, for lower() in a condition keeps PostgreSQL from using an index under row-level security.
ALTER TABLE mailboxes ADD COLUMN address text GENERATED ALWAYS AS (lower(primary_smtp)) STORED;
CREATE INDEX mailboxes_person ON mailboxes (tenant_id, person_id) WHERE person_id IS NOT NULL;
CREATE INDEX mailboxes_address ON mailboxes (tenant_id, address);

-- managed, managed_since: what the sources say of the device, linked by its ActiveSync id. known: it was there when
-- grandfathering was switched on.
ALTER TABLE devices
    ADD COLUMN managed text NOT NULL DEFAULT 'unmanaged',
    ADD COLUMN managed_since timestamptz,
    ADD COLUMN known boolean NOT NULL DEFAULT false,
    ADD COLUMN folded_id text GENERATED ALWAYS AS (lower(device_id)) STORED;
CREATE INDEX devices_by_id ON devices (tenant_id, folded_id);

-- fresh_for: seconds after fresh_at in which its word counts; complete_at: when it last told everything it knows. held:
-- why its last list is not believed. accepted: what an administrator lets the next list do.
CREATE TABLE sources (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    source_id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL DEFAULT 'api',
    enabled boolean NOT NULL DEFAULT true,
    fresh_for integer NOT NULL DEFAULT 86400 CHECK (fresh_for BETWEEN 60 AND 2592000),
    fresh_at timestamptz,
    complete_at timestamptz,
    held jsonb,
    accepted jsonb,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source_id),
    UNIQUE (tenant_id, name)
);

-- device_ids and user_name are in lower case. since: when the state became what it is; failing_since: when it stopped
-- complying, kept while nobody knows; recovered_at: when it last complied again.
CREATE TABLE compliance_records (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    source_id uuid NOT NULL,
    managed_id text NOT NULL CHECK (length(managed_id) BETWEEN 1 AND 200),
    state text NOT NULL CHECK (state IN ('compliant', 'noncompliant', 'unknown')),
    since timestamptz NOT NULL,
    failing_since timestamptz,
    recovered_at timestamptz,
    checked_at timestamptz NOT NULL,
    user_name text NOT NULL DEFAULT '',
    person_id uuid,
    name text NOT NULL DEFAULT '',
    device_ids text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, source_id, managed_id),
    FOREIGN KEY (tenant_id, source_id) REFERENCES sources
);
CREATE INDEX compliance_records_person ON compliance_records (tenant_id, person_id) WHERE person_id IS NOT NULL;
CREATE INDEX compliance_records_user ON compliance_records (tenant_id, user_name);

-- Which records speak of a device id.
CREATE TABLE links (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    device_id text NOT NULL,
    source_id uuid NOT NULL,
    managed_id text NOT NULL,
    evidence text NOT NULL DEFAULT 'activesync-id',
    PRIMARY KEY (tenant_id, device_id, source_id, managed_id),
    FOREIGN KEY (tenant_id, source_id, managed_id) REFERENCES compliance_records ON DELETE CASCADE
);
CREATE INDEX links_record ON links (tenant_id, source_id, managed_id);

-- Ids on the list of allowed devices before their first synchronisation: until they come, or until_at.
CREATE TABLE pre_approvals (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    until_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

-- Ids that comply and that no device of their person's mailbox has, and those that are approved ahead (stands).
CREATE VIEW pre_approval_candidates WITH (security_invoker = true) AS
SELECT m.tenant_id, m.organization_id, m.guid AS mailbox_guid, l.device_id, false AS stands
FROM links l
JOIN compliance_records r ON r.tenant_id = l.tenant_id AND r.source_id = l.source_id AND r.managed_id = l.managed_id
JOIN mailboxes m ON m.tenant_id = r.tenant_id AND m.person_id = r.person_id
WHERE r.state = 'compliant' AND m.gone_at IS NULL AND octet_length(l.device_id) <= 1000
  AND NOT EXISTS (SELECT FROM devices d WHERE d.tenant_id = m.tenant_id AND d.organization_id = m.organization_id
                                          AND d.mailbox_guid = m.guid AND d.folded_id = l.device_id)
UNION ALL
SELECT tenant_id, organization_id, mailbox_guid, device_id, true FROM pre_approvals WHERE ended_at IS NULL;
GRANT SELECT ON pre_approval_candidates TO gatepost_app, gatepost_operator;

ALTER TABLE person_addresses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON person_addresses
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON person_addresses TO gatepost_app, gatepost_operator;

ALTER TABLE pre_approvals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON pre_approvals
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON pre_approvals TO gatepost_app, gatepost_operator;

ALTER TABLE groups ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON groups
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON groups TO gatepost_app, gatepost_operator;

ALTER TABLE memberships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON memberships
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON memberships TO gatepost_app, gatepost_operator;

ALTER TABLE sources ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sources
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON sources TO gatepost_app, gatepost_operator;

ALTER TABLE compliance_records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON compliance_records
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON compliance_records TO gatepost_app, gatepost_operator;

ALTER TABLE links ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON links
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON links TO gatepost_app, gatepost_operator;
