-- Revision 0009: alerts and where they go.

SELECT 1;
