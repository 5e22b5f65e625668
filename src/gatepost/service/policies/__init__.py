"""Policies of a tenant: their versions, how far the newest is rolled out, and what one would do before it is saved."""
