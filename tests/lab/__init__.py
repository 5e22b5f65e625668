"""Tests of the lab, with clients and readers that it shares no code with."""
