-- Revision 0014: mail to people.

-- speaks: who tells people of their devices. portal and contact are what the page with help shows of the tenant; hosts are
-- those that a link in a notice may lead to. A row is there once something was chosen.
CREATE TABLE notice_settings (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    speaks text NOT NULL DEFAULT 'gatepost' CHECK (speaks IN ('exchange', 'gatepost', 'both')),
    language text NOT NULL DEFAULT 'en',
    zone text NOT NULL DEFAULT 'UTC',
    hosts text[] NOT NULL DEFAULT '{}',
    portal text NOT NULL DEFAULT '',
    contact text NOT NULL DEFAULT '',
    a_person integer NOT NULL DEFAULT 5 CHECK (a_person BETWEEN 1 AND 100),
    a_tenant integer NOT NULL DEFAULT 1000 CHECK (a_tenant BETWEEN 1 AND 1000000),
    PRIMARY KEY (tenant_id)
);

-- A tenant's own words in the place of ours.
CREATE TABLE notice_templates (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    kind text NOT NULL,
    language text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kind, language)
);

-- One mail to one mailbox. waiting: nobody has it; claimed: a connector was given it, under this permit, and nobody said
-- yet what came of it; uncertain: it says that it cannot tell; dropped: there was nothing left to tell. told_at: when an
-- answer first told of it. recipient, subject, html and text are what was given to be sent. The mail carries notice_id as
-- the mark by which it is found again.
CREATE TABLE notices (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    notice_id uuid NOT NULL DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    about text NOT NULL CHECK (about IN ('devices', 'test')),
    kind text,
    language text,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'claimed', 'uncertain', 'sent', 'failed', 'dropped')),
    made_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    permit uuid,
    claimed_by uuid,
    claimed_at timestamptz,
    ended_at timestamptz,
    recipient text,
    subject text,
    html text,
    text text,
    why text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, notice_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX notices_open ON notices (tenant_id, organization_id, due_at)
    WHERE state IN ('waiting', 'claimed', 'uncertain');
CREATE INDEX notices_mailbox ON notices (tenant_id, organization_id, mailbox_guid, made_at);
CREATE INDEX notices_made ON notices (tenant_id, made_at);

-- What a notice tells: of one device, of one decision (since), each kind once.
CREATE TABLE notice_items (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    since timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('blocked', 'quarantined', 'allowed', 'warning')),
    notice_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id, since, kind),
    FOREIGN KEY (tenant_id, notice_id) REFERENCES notices ON DELETE CASCADE
);
CREATE INDEX notice_items_notice ON notice_items (tenant_id, notice_id);

-- A connector that waits is woken by a mail that is new.
CREATE TRIGGER wake AFTER INSERT ON notices FOR EACH ROW EXECUTE FUNCTION gatepost_wake();

ALTER TABLE notice_settings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notice_settings
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON notice_settings TO gatepost_app, gatepost_operator;

ALTER TABLE notice_templates ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notice_templates
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON notice_templates TO gatepost_app, gatepost_operator;

ALTER TABLE notices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notices
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON notices TO gatepost_app, gatepost_operator;

ALTER TABLE notice_items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notice_items
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON notice_items TO gatepost_app, gatepost_operator;
