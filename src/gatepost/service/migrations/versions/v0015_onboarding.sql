-- Revision 0015: entries that were taken over.

SELECT 1;
