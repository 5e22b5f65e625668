-- Revision 0009: alerts and where they go.

-- Where a tenant's alerts go. address: a mail address, the https address of a webhook, or udp://, tcp:// or tls:// with
-- host and port. secret_sealed signs what is sent to a webhook (service/keys.py). last_ok_at, last_error: how the newest
-- sending went.
CREATE TABLE alert_targets (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    target_id uuid NOT NULL DEFAULT gen_random_uuid(),
    kind text NOT NULL CHECK (kind IN ('mail', 'webhook', 'syslog')),
    address text NOT NULL CHECK (length(address) BETWEEN 1 AND 500),
    language text NOT NULL,
    secret_sealed bytea,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    last_ok_at timestamptz,
    last_error text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, target_id),
    UNIQUE (tenant_id, kind, address)
);

-- What is wrong. seen_at: since when; clear_at: since when it seems over, NULL while it is not; begun_at: when it had
-- lasted long enough to be told; told_at: when it was last told; ended_at: when it was over for long enough.
-- organization_id is NULL for what is the whole service's.
CREATE TABLE alerts (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    alert_id uuid NOT NULL DEFAULT gen_random_uuid(),
    organization_id uuid,
    condition text NOT NULL,
    subject text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    seen_at timestamptz NOT NULL,
    clear_at timestamptz,
    begun_at timestamptz,
    told_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, alert_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE UNIQUE INDEX alerts_open ON alerts (tenant_id, condition, organization_id, subject) NULLS NOT DISTINCT
    WHERE ended_at IS NULL;

-- What is to be told to whom; alert_id is NULL for a test. A row is claimed (sending) in a transaction of its own before
-- a byte leaves: what is found so later may have arrived or not.
CREATE TABLE alert_deliveries (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    delivery_id uuid NOT NULL DEFAULT gen_random_uuid(),
    target_id uuid NOT NULL,
    alert_id uuid,
    what text NOT NULL CHECK (what IN ('begin', 'end', 'reminder', 'test')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'uncertain')),
    made_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    claimed_at timestamptz,
    ended_at timestamptz,
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, target_id) REFERENCES alert_targets ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, alert_id) REFERENCES alerts
);
CREATE INDEX alert_deliveries_due ON alert_deliveries (tenant_id, target_id) WHERE state IN ('waiting', 'sending');

ALTER TABLE alert_targets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alert_deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alert_targets
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
CREATE POLICY tenant ON alerts
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
CREATE POLICY tenant ON alert_deliveries
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_targets, alerts, alert_deliveries TO gatepost_app, gatepost_operator;
