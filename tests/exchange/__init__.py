"""Tests of the client of one Exchange organization, over real ports."""
