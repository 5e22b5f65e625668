"""Tests of gatepost.service.access."""
