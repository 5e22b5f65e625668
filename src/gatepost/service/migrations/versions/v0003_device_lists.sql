-- Revision 0003: the two orders in which devices are listed, tenant-wide.

CREATE INDEX devices_newest ON devices (tenant_id, first_seen DESC, guid DESC, organization_id DESC) WHERE gone_at IS NULL;
CREATE INDEX devices_changed ON devices (tenant_id, changed_seen_at DESC, guid DESC, organization_id DESC)
    WHERE gone_at IS NULL;
