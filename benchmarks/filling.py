"""A tenant of any size, filled by the database itself: devices, mailboxes, people, decisions, what is published.

Every mailbox has two devices; there are about 2,000 kinds of devices and 500 sets of groups. Of ten devices six comply
and are allowed, two do not and are blocked, two are not managed and quarantined by the default. The rows are those that
the service would have written; how they came is not what is measured.
"""

from uuid import UUID

import psycopg

FILL = """
INSERT INTO groups (tenant_id, group_id, external_id, name)
SELECT %(t)s, md5('group ' || n)::uuid, 'g' || n, 'Group ' || n FROM generate_series(0, 199) n;

INSERT INTO audiences (tenant_id, audience_id, group_ids)
SELECT %(t)s, md5('audience ' || n)::uuid,
       ARRAY(SELECT DISTINCT md5('group ' || (n * k * 7 + k) %% 200)::uuid FROM generate_series(1, 2 + n %% 8) k
             ORDER BY 1)
FROM generate_series(0, 499) n;

INSERT INTO device_facts (tenant_id, facts_id, family, device_type, model, os, os_version, user_agent, client_type)
SELECT %(t)s, md5('facts ' || n)::uuid, CASE WHEN n %% 3 = 0 THEN 'android' ELSE 'ios' END,
       CASE WHEN n %% 3 = 0 THEN 'SamsungDevice' ELSE 'iPhone' END, 'Model ' || n %% 97,
       CASE WHEN n %% 3 = 0 THEN 'Android ' ELSE 'iOS ' END || 10 + n %% 17 || '.' || n %% 7,
       ARRAY[10 + n %% 17, n %% 7], 'Agent ' || n %% 50, 'EAS'
FROM generate_series(0, 1999) n;

INSERT INTO people (tenant_id, person_id, smtp, upn, display_name, enabled, audience_id, managed)
SELECT %(t)s, md5('person ' || n)::uuid, ARRAY['user' || n || '@example.com'], 'user' || n, 'User ' || n, true,
       md5('audience ' || n * 31 %% 500)::uuid, 'compliant'
FROM generate_series(0, %(mailboxes)s - 1) n;

INSERT INTO mailboxes (tenant_id, organization_id, guid, dn, identity, primary_smtp, display_name, kind, eas_enabled,
                       allowed_ids, blocked_ids, person_id, row_hash, lists_read_at, first_seen, last_seen,
                       changed_seen_at)
SELECT %(t)s, %(o)s, md5('mailbox ' || n)::uuid, 'CN=User ' || n, 'User ' || n, 'user' || n || '@example.com',
       'User ' || n, 'user', true,
       ARRAY(SELECT 'DEV' || k FROM generate_series(2 * n, 2 * n + 1) k WHERE k %% 10 < 6),
       ARRAY(SELECT 'DEV' || k FROM generate_series(2 * n, 2 * n + 1) k WHERE k %% 10 IN (6, 7)),
       md5('person ' || n)::uuid, n, now(), now(), now(), now()
FROM generate_series(0, %(mailboxes)s - 1) n;

INSERT INTO devices (tenant_id, organization_id, guid, device_id, mailbox_guid, friendly_name, device_type, model, os,
                     user_agent, client_type, access_state, access_state_reason, first_sync_at, last_success_sync_at,
                     family, facts_id, row_hash, first_seen, last_seen, changed_seen_at, managed, managed_since)
SELECT %(t)s, %(o)s, md5('device ' || n)::uuid, 'DEV' || n, md5('mailbox ' || n / 2)::uuid, 'Phone ' || n,
       f.device_type, f.model, f.os, f.user_agent, f.client_type,
       CASE WHEN n %% 10 < 6 THEN 'Allowed' WHEN n %% 10 < 8 THEN 'Blocked' ELSE 'Quarantined' END,
       CASE WHEN n %% 10 < 8 THEN 'Individual' ELSE 'Global' END,
       now() - n %% 900 * interval '1 day', now() - n %% 120 * interval '1 day', f.family, f.facts_id,
       n, now(), now(), now(),
       CASE WHEN n %% 10 < 6 THEN 'compliant' WHEN n %% 10 < 8 THEN 'noncompliant' ELSE 'unmanaged' END,
       CASE WHEN n %% 10 IN (6, 7) THEN now() - n %% 60 * interval '1 day' END
FROM generate_series(0, 2 * %(mailboxes)s - 1) n
JOIN device_facts f ON f.tenant_id = %(t)s AND f.facts_id = md5('facts ' || n * 7919::bigint %% 2000)::uuid;

INSERT INTO decisions (tenant_id, organization_id, mailbox_guid, device_id, level, reason, policy_version)
SELECT %(t)s, %(o)s, mailbox_guid, device_id,
       CASE managed WHEN 'compliant' THEN 'allow' WHEN 'noncompliant' THEN 'block' ELSE 'quarantine' END, managed, 1
FROM devices WHERE tenant_id = %(t)s;

INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, reason, entry, revision)
SELECT %(t)s, %(o)s, mailbox_guid, device_id, level, reason, CASE level WHEN 'quarantine' THEN 'none' ELSE level END, 1
FROM decisions WHERE tenant_id = %(t)s;

INSERT INTO list_entries (tenant_id, organization_id, mailbox_guid, device_id, list, ownership, intended_revision)
SELECT %(t)s, %(o)s, mailbox_guid, device_id, level, 'ours', 1
FROM decisions WHERE tenant_id = %(t)s AND level <> 'quarantine';

INSERT INTO sources (tenant_id, name, fresh_at) VALUES (%(t)s, 'Management', now());

INSERT INTO org_settings (tenant_id, organization_id, default_level, settings)
VALUES (%(t)s, %(o)s, 'Quarantine', '{"rules": []}')
ON CONFLICT (tenant_id, organization_id) DO UPDATE SET
    default_level = excluded.default_level, settings = excluded.settings;
"""


def fill(superuser_url: str, tenant_id: UUID, organization_id: UUID, devices: int) -> None:
    """Fill an empty tenant, and tell the planner."""
    with psycopg.connect(superuser_url, autocommit=True, options="-c timezone=UTC -c jit=off") as connection:
        values = {"t": tenant_id, "o": organization_id, "mailboxes": devices // 2}
        for statement in FILL.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode(), values)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")  # what was filled is written now, and not while something is measured
