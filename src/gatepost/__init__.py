"""Gatepost decides which phones may read mail from an on-premises Exchange server, and makes Exchange obey."""

__version__ = "0.1.0"
