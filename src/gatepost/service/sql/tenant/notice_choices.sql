-- name: settings
-- What the tenant chose about notices; nothing where it never did.
SELECT speaks, language, zone, hosts, portal, contact, a_person, a_tenant FROM notice_settings

-- name: tenant
-- The tenant's short name, by which its page of help is found.
SELECT slug FROM tenants WHERE tenant_id = gatepost_tenant()

-- name: choose
-- Put these settings in the place of those before.
-- example: {"speaks": "both", "language": "en", "zone": "UTC", "hosts": [], "portal": "", "contact": "", "a_person": 1, "a_tenant": 1}
INSERT INTO notice_settings (speaks, language, zone, hosts, portal, contact, a_person, a_tenant)
VALUES (%(speaks)s, %(language)s, %(zone)s, %(hosts)s, %(portal)s, %(contact)s, %(a_person)s, %(a_tenant)s)
ON CONFLICT (tenant_id) DO UPDATE SET
    speaks = excluded.speaks, language = excluded.language, zone = excluded.zone, hosts = excluded.hosts,
    portal = excluded.portal, contact = excluded.contact, a_person = excluded.a_person, a_tenant = excluded.a_tenant

-- name: templates
-- The tenant's own words.
SELECT kind, language, subject, body, changed_by, changed_at FROM notice_templates ORDER BY kind, language

-- name: own
-- Words of the tenant in the place of ours.
-- example: {"kind": "blocked", "language": "en", "subject": "x", "body": "x", "by": "x"}
INSERT INTO notice_templates (kind, language, subject, body, changed_by)
VALUES (%(kind)s, %(language)s, %(subject)s, %(body)s, %(by)s)
ON CONFLICT (tenant_id, kind, language) DO UPDATE SET
    subject = excluded.subject, body = excluded.body, changed_by = excluded.changed_by, changed_at = now()

-- name: ours
-- Back to our words.
-- example: {"kind": "blocked", "language": "en"}
DELETE FROM notice_templates WHERE kind = %(kind)s AND language = %(language)s
