-- Revision 0011: versions of the policy, and how far the newest is rolled out.

CREATE TABLE policies (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    version integer NOT NULL CHECK (version > 0),
    document jsonb NOT NULL,
    note text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    made_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

-- version: the one that is in force, or on its way there. base: what holds outside of the ring, NULL for none (nothing is
-- decided there). ring: pilot, 1, 10 or all; pilot is a group. state: rolling, done or stopped (then why says so).
-- expected: how many people the preview said would lose access by this ring.
CREATE TABLE rollouts (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    version integer NOT NULL,
    base integer,
    ring text NOT NULL DEFAULT 'all' CHECK (ring IN ('pilot', '1', '10', 'all')),
    pilot uuid,
    state text NOT NULL DEFAULT 'done' CHECK (state IN ('rolling', 'done', 'stopped')),
    why text NOT NULL DEFAULT '',
    ring_hours integer CHECK (ring_hours BETWEEN 1 AND 720),
    ring_since timestamptz NOT NULL DEFAULT now(),
    expected integer,
    began_by text NOT NULL,
    began_id uuid NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY (tenant_id, version) REFERENCES policies,
    FOREIGN KEY (tenant_id, base) REFERENCES policies (tenant_id, version),
    FOREIGN KEY (tenant_id, pilot) REFERENCES groups (tenant_id, group_id)
);

ALTER TABLE policies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON policies
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON policies TO gatepost_app, gatepost_operator;

ALTER TABLE rollouts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON rollouts
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON rollouts TO gatepost_app, gatepost_operator;
