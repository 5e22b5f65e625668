"""What Gatepost knows and decides: pure values and functions; time is an argument."""
