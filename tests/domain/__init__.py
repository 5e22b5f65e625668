"""Tests of pure values and functions."""
