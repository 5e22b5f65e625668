-- Revision 0008: the ends of a connection, and what stops all writing.

SELECT 1;
