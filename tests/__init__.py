"""The tests of Gatepost; they mirror ``src/gatepost``."""
