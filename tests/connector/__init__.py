"""The connector, tested."""
