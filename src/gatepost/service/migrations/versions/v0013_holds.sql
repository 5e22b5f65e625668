-- Revision 0013: holds and budgets.

SELECT 1;
