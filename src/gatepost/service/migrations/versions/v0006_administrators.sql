-- Revision 0006: passkeys, step-up, and administrators without a password.

SELECT 1;
