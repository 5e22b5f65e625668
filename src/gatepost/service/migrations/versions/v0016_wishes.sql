-- Revision 0016: settings of Exchange that are wanted.

SELECT 1;
