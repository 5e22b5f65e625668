-- Revision 0013: what the guard holds, what its budgets were used for, and how large they are.

-- verb: take (people lose access) or give (people gain it). cause, ref and by_id say what asked for it, as in
-- decisions_due. A hold takes newcomers while it is open, until gathers_until. digest: of the items that were approved.
-- refused: by a person, or because nobody decided by expires_at. over: nothing in it is wanted any more.
CREATE TABLE holds (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    hold_id uuid NOT NULL DEFAULT gen_random_uuid(),
    verb text NOT NULL CHECK (verb IN ('take', 'give')),
    cause text NOT NULL,
    ref text NOT NULL DEFAULT '',
    by_id uuid,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'refused', 'over')),
    opened_at timestamptz NOT NULL DEFAULT now(),
    gathers_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    digest text,
    decided_id uuid,
    decided_by text,
    decided_at timestamptz,
    why text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, hold_id),
    UNIQUE (tenant_id, organization_id, hold_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
    CHECK ((state = 'open') = (decided_at IS NULL)),
    CONSTRAINT holds_approved CHECK (state <> 'approved' OR (digest IS NOT NULL AND decided_id IS NOT NULL)),
    CONSTRAINT holds_second_person CHECK (
        state <> 'approved' OR by_id IS NULL OR decided_id <> by_id OR decided_at > opened_at + interval '23 hours')
);
CREATE INDEX holds_open ON holds (tenant_id, organization_id, cause, ref) WHERE state = 'open';

-- One device id of one mailbox in a hold: the level that is wanted, the one that stays published, and what Exchange's
-- engine makes of each. held: it waits, or was refused and stays; released: let through; dropped: decided otherwise.
CREATE TABLE hold_items (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    level text NOT NULL CHECK (level IN ('leave', 'allow', 'quarantine', 'block')),
    published text CHECK (published IN ('leave', 'allow', 'quarantine', 'block')),
    reason text NOT NULL,
    before_state text NOT NULL,
    after_state text NOT NULL,
    after_step text NOT NULL,
    after_rule text,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'dropped')),
    added_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, hold_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id, hold_id) REFERENCES holds (tenant_id, organization_id, hold_id),
    CHECK ((state = 'held') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX hold_items_held ON hold_items (tenant_id, organization_id, mailbox_guid, device_id)
    WHERE state = 'held';

-- Who newly lost or gained access, and when last: a person counts once within the window.
CREATE TABLE budget_uses (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    verb text NOT NULL CHECK (verb IN ('take', 'give')),
    mailbox_guid uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organization_id, verb, mailbox_guid),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX budget_uses_at ON budget_uses (tenant_id, organization_id, verb, at);

-- People who may newly lose or gain access in an hour; NULL is what domain.guards makes of the number of devices. What is
-- asked for (asked_at) waits for a second person.
CREATE TABLE guard_settings (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    take integer CHECK (take BETWEEN 0 AND 1000000),
    give integer CHECK (give BETWEEN 0 AND 1000000),
    set_by text NOT NULL DEFAULT '',
    set_at timestamptz NOT NULL DEFAULT now(),
    asked_take integer CHECK (asked_take BETWEEN 0 AND 1000000),
    asked_give integer CHECK (asked_give BETWEEN 0 AND 1000000),
    asked_id uuid,
    asked_by text,
    asked_at timestamptz,
    PRIMARY KEY (tenant_id),
    CHECK ((asked_at IS NULL) = (asked_id IS NULL) AND (asked_at IS NULL) = (asked_by IS NULL))
);

ALTER TABLE holds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON holds
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON holds TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON holds TO gatepost_operator;

ALTER TABLE hold_items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON hold_items
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON hold_items TO gatepost_app, gatepost_operator;

ALTER TABLE budget_uses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON budget_uses
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_uses TO gatepost_app, gatepost_operator;

ALTER TABLE guard_settings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON guard_settings
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON guard_settings TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON guard_settings TO gatepost_operator;

-- Also what a first mass decision fills: without a look at it, each of its batches is planned for empty tables.
CREATE OR REPLACE FUNCTION gatepost_analyze_grown() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    grown record;
    done integer := 0;
BEGIN
    FOR grown IN
        SELECT c.relname FROM pg_class c
        WHERE c.oid IN (
                'mailboxes'::regclass, 'devices'::regclass, 'device_words'::regclass, 'device_facts'::regclass,
                'desired'::regclass, 'decisions'::regclass, 'decisions_due'::regclass, 'list_entries'::regclass,
                'hold_items'::regclass)
          AND pg_relation_size(c.oid) / current_setting('block_size')::integer > 2 * greatest(c.relpages, 0) + 16
    LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) %I', grown.relname);
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
