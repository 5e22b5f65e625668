"""Byte-level tests of the protocol documents."""
