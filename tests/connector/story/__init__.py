"""The pin story with real processes, and what must hold of it whatever happens on the way."""
