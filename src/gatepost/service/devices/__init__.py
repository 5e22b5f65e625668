"""Devices and mailboxes as Exchange has them: checked, merged and read."""
