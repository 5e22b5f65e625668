-- Revision 0007: the chain of the audit trail.

SELECT 1;
