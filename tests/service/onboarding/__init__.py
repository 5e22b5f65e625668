"""Tests of gatepost.service.onboarding."""
