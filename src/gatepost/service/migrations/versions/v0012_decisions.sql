-- Revision 0012: what is decided of each device, and what is to be decided.

-- policy_version is NULL where no policy had a say. since: when level and reason became what they are. announce: what the
-- person is to be told of it, until the notice is made: blocked, quarantined, allowed or warning. beyond: why Exchange
-- cannot express the level (service.access.expressing), NULL where it can.
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
    beyond text,
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX decisions_review ON decisions (tenant_id, review_at) WHERE review_at IS NOT NULL;
CREATE INDEX decisions_announce ON decisions (tenant_id, since) WHERE announce IS NOT NULL;
CREATE INDEX decisions_beyond ON decisions (tenant_id, organization_id, beyond) WHERE beyond IS NOT NULL;

-- cause: what asks for a decision (policy, source, directory, pin, sync, time, hold, rollout); ref says which one, by_id
-- who, where a person is behind it.
-- bulk: it is one of very many and waits until nothing else is due.
CREATE TABLE decisions_due (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    cause text NOT NULL,
    ref text NOT NULL DEFAULT '',
    by_id uuid,
    due_at timestamptz NOT NULL DEFAULT now(),
    bulk boolean NOT NULL GENERATED ALWAYS AS (cause IN ('policy', 'rollout')) STORED,
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX decisions_due_age ON decisions_due (tenant_id, organization_id, bulk, due_at);

-- Whether who asks now is behind what is due already for another cause: the last person who asked for something is; else
-- an approved hold; else who told last of what is so.
CREATE FUNCTION gatepost_is_behind(asks text, standing text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT standing IN ('source', 'directory', 'sync', 'time')
        OR (asks NOT IN ('source', 'directory', 'sync', 'time') AND (asks <> 'hold' OR standing = 'hold'))
$$;

ALTER TABLE decisions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON decisions
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON decisions TO gatepost_app, gatepost_operator;

ALTER TABLE decisions_due ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON decisions_due
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON decisions_due TO gatepost_app, gatepost_operator;

-- Which tenants have something to decide by now: marked, or to be looked at again. One round trip for all of them; it
-- looks into each in that tenant's own scope.
CREATE FUNCTION gatepost_tenants_due() RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE
    found uuid;
BEGIN
    FOR found IN SELECT tenant_id FROM tenants ORDER BY tenant_id LOOP
        PERFORM set_config('app.tenant', found::text, true);
        IF EXISTS (
            SELECT FROM organizations o
            JOIN desired_heads h ON h.organization_id = o.organization_id
            WHERE o.state NOT IN ('removing', 'removed') AND (
                EXISTS (SELECT FROM decisions_due d WHERE d.organization_id = o.organization_id)
                OR EXISTS (SELECT FROM decisions p WHERE p.organization_id = o.organization_id AND p.review_at <= now()))
        ) THEN
            RETURN NEXT found;
        END IF;
    END LOOP;
    PERFORM set_config('app.tenant', '', true);
END
$$;
REVOKE ALL ON FUNCTION gatepost_tenants_due FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gatepost_tenants_due TO gatepost_app, gatepost_operator;
