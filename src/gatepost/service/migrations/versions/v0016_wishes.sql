-- Revision 0016: settings of Exchange that are wanted.

-- One a setting: the last that was wished. known_as: what Exchange may say before it is changed; only from there the
-- connector changes it. result, why, told_at: what the connector last said. ended_at: it needs nothing more. sent_at:
-- when a connector was first told of it.
CREATE TABLE wishes (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    name text NOT NULL CHECK (name IN ('default-level', 'user-mail-insert', 'ota-notification-insert')),
    wish_id uuid NOT NULL DEFAULT gen_random_uuid(),
    value text NOT NULL CHECK (length(value) <= 256),
    known_as text[] NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    result text,
    why text NOT NULL DEFAULT '',
    told_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, organization_id, name),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

CREATE TRIGGER wake AFTER INSERT OR UPDATE OF wish_id ON wishes FOR EACH ROW EXECUTE FUNCTION gatepost_wake();

ALTER TABLE wishes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON wishes
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON wishes TO gatepost_app, gatepost_operator;
