-- Revision 0015: entries that were taken over, and switches of Exchange's default level.

-- One adoption of entries that were somebody else's: all of them, those of a group's people, or those of a file. about
-- names the group or the file. Returned: what of it still was ours by the adoption alone was given back.
CREATE TABLE adoptions (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    adoption_id uuid NOT NULL DEFAULT gen_random_uuid(),
    how text NOT NULL CHECK (how IN ('all', 'group', 'file')),
    about text NOT NULL DEFAULT '',
    entries integer NOT NULL CHECK (entries > 0),
    digest text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT now(),
    adopted_by text NOT NULL,
    returned integer,
    returned_at timestamptz,
    returned_by text,
    PRIMARY KEY (tenant_id, organization_id, adoption_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
    CHECK ((returned_at IS NULL) = (returned_by IS NULL) AND (returned_at IS NULL) = (returned IS NULL))
);

-- adoption_id: what made the entry ours, as long as it is ours by that alone. kept: since then nothing but leave was
-- published for its device id, so it stays as it is, and no connector is told of it.
ALTER TABLE list_entries
    ADD COLUMN adoption_id uuid,
    ADD COLUMN kept boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT list_entries_adoption FOREIGN KEY (tenant_id, organization_id, adoption_id) REFERENCES adoptions
        NOT VALID;  -- nothing is adopted yet, and looking at the rows would need a tenant
CREATE INDEX list_entries_adopted ON list_entries (tenant_id, organization_id, adoption_id)
    WHERE adoption_id IS NOT NULL;
CREATE INDEX list_entries_kept ON list_entries (tenant_id, organization_id, mailbox_guid, device_id) WHERE kept;

-- One switch of an organization's default level, or the way back (was is what it was before). asked: it waits for a
-- second person; the numbers and the digest are of the preview that was seen. wish_id: what was wished of Exchange.
CREATE TABLE default_switches (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    organization_id uuid NOT NULL,
    switch_id uuid NOT NULL DEFAULT gen_random_uuid(),
    level text NOT NULL CHECK (level IN ('allow', 'quarantine', 'block')),
    was text NOT NULL CHECK (was IN ('allow', 'quarantine', 'block')),
    state text NOT NULL CHECK (state IN ('asked', 'wished', 'dropped')),
    digest text NOT NULL,
    gaining integer NOT NULL,
    losing integer NOT NULL,
    asked_id uuid NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    approved_id uuid,
    approved_by text,
    approved_at timestamptz,
    ended_at timestamptz,
    wish_id uuid,
    PRIMARY KEY (tenant_id, organization_id, switch_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
    CHECK ((state = 'asked') = (ended_at IS NULL) AND (state = 'wished') = (wish_id IS NOT NULL)),
    CONSTRAINT default_switches_second_person
        CHECK (approved_id IS NULL OR approved_id <> asked_id OR approved_at > asked_at + interval '23 hours')
);
CREATE UNIQUE INDEX default_switches_one_asked ON default_switches (tenant_id, organization_id) WHERE state = 'asked';

-- How what is decided differs from the state that Exchange reports (service.report.Difference).
CREATE FUNCTION gatepost_difference(level text, state text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN level IS NULL THEN 'undecided'
        WHEN level = 'leave' THEN 'left'
        WHEN (level, lower(state)) IN (('allow', 'allowed'), ('quarantine', 'quarantined'), ('block', 'blocked')) THEN 'same'
        WHEN lower(state) = 'allowed' THEN 'loses'
        WHEN level = 'allow' THEN 'gains'
        ELSE 'other' END
$$;

ALTER TABLE adoptions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON adoptions
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON adoptions TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON adoptions TO gatepost_operator;

ALTER TABLE default_switches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON default_switches
    USING (tenant_id = (SELECT gatepost_tenant())) WITH CHECK (tenant_id = (SELECT gatepost_tenant()));
GRANT SELECT, INSERT, UPDATE ON default_switches TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON default_switches TO gatepost_operator;
