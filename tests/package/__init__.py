"""Tests of the connector as one file."""
