"""Tests of the service, on a real PostgreSQL."""
