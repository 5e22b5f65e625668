"""An emulated Exchange organization on a real port; it shares no protocol code with the client it tests."""
