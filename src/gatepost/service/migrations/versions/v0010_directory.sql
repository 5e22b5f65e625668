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
CREATE INDEX mailboxes_person ON mailboxes (tenant_id, person_id) WHERE person_id IS NOT NULL;

-- managed, managed_since: what the sources say of the device, linked by its ActiveSync id. known: it was there when
-- grandfathering was switched on.
ALTER TABLE devices
    ADD COLUMN managed text NOT NULL DEFAULT 'unmanaged',
    ADD COLUMN managed_since timestamptz,
    ADD COLUMN known boolean NOT NULL DEFAULT false;
CREATE INDEX devices_by_id ON devices (tenant_id, lower(device_id));

-- fresh_for: seconds after fresh_at in which its word counts.
CREATE TABLE sources (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    source_id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL DEFAULT 'api',
    enabled boolean NOT NULL DEFAULT true,
    fresh_for integer NOT NULL DEFAULT 86400 CHECK (fresh_for BETWEEN 60 AND 2592000),
    fresh_at timestamptz,
    held jsonb,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source_id),
    UNIQUE (tenant_id, name)
);

-- device_ids are folded as the two lists are compared (lower case); since: when the state became what it is.
CREATE TABLE compliance_records (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    source_id uuid NOT NULL,
    managed_id text NOT NULL CHECK (length(managed_id) BETWEEN 1 AND 200),
    state text NOT NULL CHECK (state IN ('compliant', 'noncompliant', 'unknown')),
    since timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    person_id uuid,
    name text NOT NULL DEFAULT '',
    device_ids text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, source_id, managed_id),
    FOREIGN KEY (tenant_id, source_id) REFERENCES sources
);
CREATE INDEX compliance_records_person ON compliance_records (tenant_id, person_id) WHERE person_id IS NOT NULL;

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
