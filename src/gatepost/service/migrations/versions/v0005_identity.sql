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
