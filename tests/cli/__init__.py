"""Tests of the command line as a person runs it: a process, its output, its exit code."""
