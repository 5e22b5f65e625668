-- name: set
-- Pin a device id in a mailbox, in place of what was pinned of it.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x", "level": "allow", "reason": "x", "until": null, "by": "x"}
INSERT INTO pins (organization_id, mailbox_guid, device_id, level, reason, until, by)
VALUES (%(organization_id)s, %(mailbox_guid)s, %(device_id)s, %(level)s, %(reason)s, %(until)s, %(by)s)
ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET
    level = excluded.level, reason = excluded.reason, until = excluded.until, by = excluded.by, at = now()

-- name: remove
-- Remove a pin: whichever, or only one whose time is over at a moment.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x", "over_at": null}
DELETE FROM pins
WHERE organization_id = %(organization_id)s AND mailbox_guid = %(mailbox_guid)s AND device_id = %(device_id)s
  AND (%(over_at)s::timestamptz IS NULL OR until <= %(over_at)s)
RETURNING level, reason, until, by, at

-- name: find
-- What is pinned of a device id in a mailbox.
-- example: {"organization_id": "", "mailbox_guid": "", "device_id": "x"}
SELECT level, reason, until, by, at FROM pins
WHERE organization_id = %(organization_id)s AND mailbox_guid = %(mailbox_guid)s AND device_id = %(device_id)s

-- name: expired
-- Pins whose time is over, and those of mailboxes that have been gone for long.
-- example: {"at": "2100-01-01T00:00:00Z", "gone_before": "2026-01-01T00:00:00Z", "limit": 10}
SELECT p.organization_id, p.mailbox_guid, p.device_id, coalesce(p.until <= %(at)s, false) AS over
FROM pins p JOIN mailboxes m ON m.organization_id = p.organization_id AND m.guid = p.mailbox_guid
WHERE p.until <= %(at)s OR m.gone_at <= %(gone_before)s
ORDER BY p.organization_id, p.mailbox_guid, p.device_id LIMIT %(limit)s
