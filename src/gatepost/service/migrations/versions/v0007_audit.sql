-- Revision 0007: the chain of the audit trail.

-- Where who acted came from: an address, or empty for the service itself.
ALTER TABLE events ADD COLUMN address text NOT NULL DEFAULT '';
