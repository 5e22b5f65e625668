-- name: decided
-- What is decided of device ids besides the decision itself: since when, by which version, what keeps Exchange from it,
-- whether it is to be decided anew, and the hold that it waits in.
-- example: {"organization_id": "", "mailbox_guids": ["6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"], "device_ids": ["x"]}
SELECT k.mailbox_guid, k.device_id, p.since, p.decided_at, p.policy_version, p.beyond, h.hold_id, h.state AS hold_state,
       EXISTS (SELECT FROM decisions_due u WHERE u.organization_id = %(organization_id)s
               AND u.mailbox_guid = k.mailbox_guid AND u.device_id = k.device_id) AS due
FROM unnest(%(mailbox_guids)s::uuid[], %(device_ids)s::text[]) AS k (mailbox_guid, device_id)
JOIN decisions p ON p.organization_id = %(organization_id)s AND p.mailbox_guid = k.mailbox_guid
                AND p.device_id = k.device_id
LEFT JOIN hold_items i ON i.organization_id = %(organization_id)s AND i.mailbox_guid = k.mailbox_guid
                      AND i.device_id = k.device_id AND i.state = 'held'
LEFT JOIN holds h ON h.hold_id = i.hold_id

-- name: compared
-- How many devices there are by what is decided, what Exchange reports, and how the two differ.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"]}
SELECT coalesce(p.level, 'none') AS level, lower(coalesce(d.access_state, 'unknown')) AS state,
       gatepost_difference(p.level, d.access_state) AS difference,
       count(*) AS devices
FROM devices d
LEFT JOIN decisions p ON p.organization_id = d.organization_id AND p.mailbox_guid = d.mailbox_guid
                     AND p.device_id = d.device_id
WHERE d.organization_id = ANY(%(organizations)s::uuid[]) AND d.gone_at IS NULL
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: side_by_side
-- A page of devices after a key with what is decided and what Exchange reports; a filter that is NULL is not set.
-- example: {"organizations": ["1b4e28ba-2fa1-4d2b-883f-0016d3cca427"], "difference": null, "level": null, "state": null, "reason": null, "after_organization": null, "after_guid": null, "limit": 10}
SELECT d.organization_id, d.guid, d.mailbox_guid, d.device_id, d.friendly_name, d.model, d.device_type, d.access_state,
       d.access_state_reason, p.level, p.reason,
       gatepost_difference(p.level, d.access_state) AS difference,
       coalesce(m.primary_smtp, m.display_name) AS mailbox
FROM devices d
LEFT JOIN mailboxes m ON m.organization_id = d.organization_id AND m.guid = d.mailbox_guid
LEFT JOIN decisions p ON p.organization_id = d.organization_id AND p.mailbox_guid = d.mailbox_guid
                     AND p.device_id = d.device_id
WHERE d.organization_id = ANY(%(organizations)s::uuid[]) AND d.gone_at IS NULL
  AND (%(difference)s::text IS NULL OR gatepost_difference(p.level, d.access_state) = %(difference)s)
  AND (%(level)s::text IS NULL OR coalesce(p.level, 'none') = %(level)s)
  AND (%(state)s::text IS NULL OR lower(coalesce(d.access_state, 'unknown')) = %(state)s)
  AND (%(reason)s::text IS NULL OR p.reason = %(reason)s)
  AND (%(after_guid)s::uuid IS NULL
       OR (d.organization_id, d.guid) > (%(after_organization)s::uuid, %(after_guid)s::uuid))
ORDER BY d.organization_id, d.guid
LIMIT %(limit)s
