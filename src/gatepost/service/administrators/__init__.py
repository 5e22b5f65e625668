"""Administrators of a tenant: who they are, how they prove it, and their sessions."""

from gatepost.service.administrators.sessions import Session

__all__ = ["Session"]
