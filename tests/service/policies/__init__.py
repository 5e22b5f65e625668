"""Tests of versions, rollouts and previews."""
