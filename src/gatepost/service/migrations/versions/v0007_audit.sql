-- Revision 0007: the chain of the audit trail.

-- Where who acted came from: an address, or empty for the service itself.
ALTER TABLE events ADD COLUMN address text NOT NULL DEFAULT '';

-- A sealed event has a number and the chain's hash up to it (domain/chain.py). Sealing is the one change there is: the
-- application may set the two where they are NULL, and change or delete nothing else.
ALTER TABLE events ADD CONSTRAINT events_sealed CHECK ((seq IS NULL) = (chain_hash IS NULL));
CREATE UNIQUE INDEX events_seq ON events (tenant_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_unsealed ON events (tenant_id, at, event_id) WHERE seq IS NULL;
DROP INDEX events_newest;
CREATE INDEX events_newest ON events (tenant_id, at DESC, event_id DESC);

CREATE FUNCTION gatepost_sealed_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a sealed event is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER sealed_once BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION gatepost_sealed_once();

-- The last number and hash of each tenant; it only grows.
CREATE TABLE audit_heads (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    seq bigint NOT NULL,
    chain_hash bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);
CREATE TRIGGER sealed_once BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (NEW.seq <= OLD.seq) EXECUTE FUNCTION gatepost_sealed_once();

-- The chain's hash as the tenant's key signed it, now and then.
CREATE TABLE audit_checkpoints (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    seq bigint NOT NULL,
    chain_hash bytea NOT NULL,
    at timestamptz NOT NULL,
    public bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);

ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_heads
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
CREATE POLICY tenant ON audit_checkpoints
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));

-- Number, hash, id and time of an event are not for the writer to choose.
REVOKE INSERT ON events FROM gatepost_app, gatepost_operator;
GRANT INSERT (organization_id, name, actor, address, body, body_hash), UPDATE (seq, chain_hash) ON events TO gatepost_app;
GRANT INSERT (tenant_id, organization_id, name, actor, address, body, body_hash) ON events TO gatepost_operator;
GRANT SELECT, INSERT, UPDATE ON audit_heads TO gatepost_app;
GRANT SELECT, INSERT ON audit_checkpoints TO gatepost_app;
GRANT SELECT ON audit_heads, audit_checkpoints TO gatepost_operator;

-- A restore leaves the row of the incarnation out: nothing runs until the new one is made.
GRANT INSERT ON incarnation TO gatepost_operator;

-- A subject may have two words: console:alert-target:added.
ALTER TABLE events DROP CONSTRAINT events_name_check;
ALTER TABLE events ADD CONSTRAINT events_name_check CHECK (name ~ '^[a-z]+:[a-z-]+:[a-z-]+$');

-- Events of one transaction keep their order.
ALTER TABLE events ALTER at SET DEFAULT clock_timestamp();
