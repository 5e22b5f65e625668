-- Revision 0005: keys of tenants, and certificates of connectors.

-- public and certificate are for everybody to see; the rest is sealed by the installation's key (service/vault.py).
CREATE TABLE tenant_keys (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    public bytea NOT NULL,
    certificate bytea NOT NULL,
    sealed_by text NOT NULL,
    signing_sealed bytea NOT NULL,
    authority_sealed bytea NOT NULL,
    data_sealed bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);
-- Which installation's key seals what is here; a service with another one does not start.
CREATE TABLE vault (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    key_id text NOT NULL
);
GRANT SELECT, INSERT ON vault TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON vault TO gatepost_operator;

ALTER TABLE tenant_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant_keys
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT ON tenant_keys TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_keys TO gatepost_operator;

-- What a tenant has chosen for all its organizations: who says which devices comply.
CREATE TABLE tenant_settings (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    authority text NOT NULL CHECK (authority IN ('exchange', 'source')),
    chosen_by text NOT NULL,
    chosen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);
ALTER TABLE tenant_settings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant_settings
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON tenant_settings TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_settings TO gatepost_operator;

-- Certificates of connectors (service/certificates.py); serial is what a request names. A new one is in use from the
-- first request that it signs on (first_used_at), which retires the one before. revoked_at: refused at once.
CREATE TABLE connector_certificates (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    connector_id uuid NOT NULL,
    serial text NOT NULL,
    public_key bytea NOT NULL,
    certificate text NOT NULL,
    not_after timestamptz NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    first_used_at timestamptz,
    retired_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, connector_id, serial),
    FOREIGN KEY (tenant_id, connector_id) REFERENCES connectors
);
ALTER TABLE connector_certificates ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connector_certificates
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON connector_certificates TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON connector_certificates TO gatepost_operator;

-- late_renewal_until: until when an administrator lets an expired certificate be renewed. A ticket remembers the key
-- that paid with it as its SHA-256. spoken_at: the time that the newest request of the instance gave itself.
ALTER TABLE connectors DROP COLUMN public_key, DROP COLUMN certificate_serial,
    ADD COLUMN late_renewal_until timestamptz;
ALTER TABLE tickets DROP COLUMN public_key, ADD COLUMN key_hash bytea;
ALTER TABLE checkins ADD COLUMN spoken_at timestamptz;

-- A connector that waits hears at once that another took its place, or that it was revoked.
CREATE TRIGGER wake_epoch AFTER UPDATE OF epoch ON organizations
    FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION gatepost_wake();
CREATE TRIGGER wake_revoked AFTER UPDATE OF revoked_at ON connectors
    FOR EACH ROW WHEN (NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) EXECUTE FUNCTION gatepost_wake();
