-- Revision 0018: whose pins took or gave access.

-- pinned_by: the administrator whose pin it was, NULL for any other cause. Not indexed: a window holds some thousands.
ALTER TABLE budget_uses ADD COLUMN pinned_by uuid;
