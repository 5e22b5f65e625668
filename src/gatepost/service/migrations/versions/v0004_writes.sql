-- Revision 0004: pins, the ledger of list entries, and what the connector says of what is desired.

-- What an administrator says of one device id in one mailbox; until NULL: until it is removed.
CREATE TABLE pins (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    level text NOT NULL CHECK (level IN ('allow', 'block')),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    until timestamptz,
    by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);
CREATE INDEX pins_until ON pins (tenant_id, until) WHERE until IS NOT NULL;

-- Whose an entry of a mailbox's list is (domain.ledger). story holds the readings that say so; ownership, present_before,
-- doubtful and memory are what they come to. intended_revision: since when the entry is wanted, or since when a write of
-- it may be unknown to us, NULL for one that never was; released_revision: what published that it is wanted no more.
CREATE TABLE list_entries (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    mailbox_guid uuid NOT NULL,
    device_id text NOT NULL,
    list text NOT NULL CHECK (list IN ('allow', 'block')),
    ownership text NOT NULL CHECK (ownership IN ('intended', 'ours', 'presumed', 'foreign', 'withdrawn')),
    present_before boolean NOT NULL DEFAULT false,
    doubtful boolean NOT NULL DEFAULT false,
    intended_revision bigint,
    released_revision bigint,
    memory bigint NOT NULL DEFAULT 0,
    story jsonb NOT NULL DEFAULT '{}',
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organization_id, mailbox_guid, device_id, list),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations
);

-- What the connector last said of a row. Outcomes are ordered by memory, revision and time, whenever they arrive.
ALTER TABLE desired
    DROP COLUMN was,
    ADD COLUMN published_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN result text,
    ADD COLUMN result_memory bigint,
    ADD COLUMN result_revision bigint,
    ADD COLUMN result_at timestamptz,
    ADD COLUMN result_before jsonb,
    ADD COLUMN result_after jsonb,
    ADD COLUMN result_controller text,
    ADD COLUMN result_why text NOT NULL DEFAULT '';

-- acknowledged: the highest revision that a connector with mode enforce said it holds, so what may have been written.
-- memories: how many memories (lives of a connector's store) the organization has seen.
ALTER TABLE desired_heads
    ADD COLUMN acknowledged bigint NOT NULL DEFAULT 0,
    ADD COLUMN memories bigint NOT NULL DEFAULT 0;

-- memory: the one that speaks, 0 before the first document; held: the revision in its last document; doubted: what was
-- acknowledged when it began, so what an earlier one may have written without a report.
ALTER TABLE checkins
    ADD COLUMN memory bigint NOT NULL DEFAULT 0,
    ADD COLUMN held bigint NOT NULL DEFAULT 0,
    ADD COLUMN doubted bigint NOT NULL DEFAULT 0;

-- took_away: it added a block or removed an allow entry.
ALTER TABLE outcomes ADD COLUMN took_away boolean NOT NULL DEFAULT false;
CREATE INDEX outcomes_took_away ON outcomes (tenant_id, organization_id, received_at) WHERE took_away;

ALTER TABLE pins ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE list_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON pins
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
CREATE POLICY tenant ON list_entries
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));

GRANT SELECT, INSERT, UPDATE, DELETE ON pins TO gatepost_app, gatepost_operator;
GRANT SELECT, INSERT, UPDATE ON list_entries TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON list_entries TO gatepost_operator;

-- A list that Exchange does not show is NULL, which is not the same as an empty one.
ALTER TABLE mailboxes
    ALTER COLUMN allowed_ids DROP NOT NULL, ALTER COLUMN allowed_ids DROP DEFAULT,
    ALTER COLUMN blocked_ids DROP NOT NULL, ALTER COLUMN blocked_ids DROP DEFAULT;
