-- Revision 0008: the ends of a connection, and what stops all writing.

-- removed: nobody works for the organization any more; what is known of it stays, and it can be set up again.
-- writing_stopped_at: since when nobody may write, by whose word and why; no lease is given until it is NULL again.
ALTER TABLE organizations
    DROP CONSTRAINT organizations_state_check,
    ADD CONSTRAINT organizations_state_check
        CHECK (state IN ('pending', 'connected', 'replaced', 'removing', 'removed')),
    ADD COLUMN writing_stopped_at timestamptz,
    ADD COLUMN writing_stopped_by text,
    ADD COLUMN writing_stopped_why text,
    ADD COLUMN removed_at timestamptz,
    ADD CONSTRAINT organizations_writing_stopped
        CHECK ((writing_stopped_at IS NULL) = (writing_stopped_by IS NULL)
               AND (writing_stopped_at IS NULL) = (writing_stopped_why IS NULL));

-- A connector that waits hears of a stop, of its release, and of the end.
CREATE TRIGGER wake_writing AFTER UPDATE OF writing_stopped_at ON organizations
    FOR EACH ROW WHEN (NEW.writing_stopped_at IS DISTINCT FROM OLD.writing_stopped_at)
    EXECUTE FUNCTION gatepost_wake();
CREATE TRIGGER wake_removed AFTER UPDATE OF state ON organizations
    FOR EACH ROW WHEN (NEW.state = 'removed' AND OLD.state <> 'removed') EXECUTE FUNCTION gatepost_wake();

-- One removal of a connection. ending: leave the entries, hand out a file, undo them, or by force (a file as well).
-- digest: of the preview that was seen when it was asked for; what was approved is what has that digest. gaining and
-- losing: people, by that preview; entries: what is ours then. asked_id is who asked, for nobody approves alone, but after
-- a day where nobody else can (administrators/approving.py counts it; clocks may differ by less than an hour).
CREATE TABLE removals (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    removal_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ending text NOT NULL CHECK (ending IN ('leave', 'file', 'undo', 'force')),
    state text NOT NULL CHECK (state IN ('asked', 'undoing', 'done', 'cancelled')),
    digest text NOT NULL,
    gaining integer NOT NULL,
    losing integer NOT NULL,
    entries integer NOT NULL,
    asked_id uuid NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    approved_id uuid,
    approved_by text,
    approved_at timestamptz,
    ended_at timestamptz,
    ended_by text,
    why text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, organization_id, removal_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
    CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'cancelled'))),
    CONSTRAINT removals_second_person
        CHECK (approved_id IS NULL OR approved_id <> asked_id OR approved_at > asked_at + interval '23 hours')
);
CREATE UNIQUE INDEX removals_one_open ON removals (tenant_id, organization_id) WHERE ended_at IS NULL;

ALTER TABLE removals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON removals
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON removals TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON removals TO gatepost_operator;

-- At the end of a connection nothing is desired any more, while the ledger goes on to know whose the entries are.
GRANT DELETE ON desired TO gatepost_app;
