"""Tests of the doctor: against the real lab, each reads the message that a person would see."""
