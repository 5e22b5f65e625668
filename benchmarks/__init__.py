"""What is measured, and against what: runnable comparisons that print a table."""
