-- Revision 0012: what is decided of each device, and what is to be decided.

-- policy_version is NULL where no policy had a say. since: when level and reason became what they are. announce: what the
-- person is to be told of it, until the notice is made: blocked, quarantined, allowed or warning.
CREATE TABLE decisions (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    level text NOT NULL CHECK (level IN ('leave', 'allow', 'quarantine', 'block')),
    reason text NOT NULL,
    rule text,
    inputs jsonb NOT NULL DEFAULT '{}',
    until timestamptz,
    warns boolean NOT NULL DEFAULT false,
    policy_version integer,
    decided_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz NOT NULL DEFAULT now(),
    review_at timestamptz,
    announce text CHECK (announce IN ('blocked', 'quarantined', 'allowed', 'warning')),
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX decisions_review ON decisions (tenant_id, review_at) WHERE review_at IS NOT NULL;
CREATE INDEX decisions_announce ON decisions (tenant_id, since) WHERE announce IS NOT NULL;

-- cause: what asks for a decision (policy, source, directory, pin, sync, time, hold, rollout); ref says which one, by_id
-- who, where a person is behind it. A device that is due for two causes keeps the one that waits for a second person.
CREATE TABLE decisions_due (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    cause text NOT NULL,
    ref text NOT NULL DEFAULT '',
    by_id uuid,
    due_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX decisions_due_age ON decisions_due (tenant_id, organization_id, due_at);

ALTER TABLE decisions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON decisions
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON decisions TO gatepost_app, gatepost_operator;

ALTER TABLE decisions_due ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON decisions_due
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON decisions_due TO gatepost_app, gatepost_operator;
