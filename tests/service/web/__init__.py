"""Tests of the console and the API."""
