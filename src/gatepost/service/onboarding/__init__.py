"""Coming to Gatepost with lists that others filled: taking stock, adopting, trying what would be, switching last."""
