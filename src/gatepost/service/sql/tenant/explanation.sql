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
