-- Revision 0014: mail to people.

SELECT 1;
