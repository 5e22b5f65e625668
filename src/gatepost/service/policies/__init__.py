"""Policies of a tenant: their versions, and which of them holds for whom while one is rolled out."""

from gatepost.service.policies.force import InForce, in_force

__all__ = ["InForce", "in_force"]
