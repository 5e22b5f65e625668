"""Policies of a tenant: their versions, how far the newest is rolled out, and what one would do before it is saved."""

from gatepost.service.policies.rings import OFF, InForce, Ring, Rollout, current, in_force

__all__ = ["OFF", "InForce", "Ring", "Rollout", "current", "in_force"]
