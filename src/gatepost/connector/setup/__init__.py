"""Set-up: what it asks, what the answers mean, its steps, and the settings as a file.

``steps`` is what a command goes through; ``configure`` and ``set_mode`` serve settings that people write by hand.
"""

from gatepost.connector.setup.by_hand import configure, set_mode

__all__ = ["configure", "set_mode"]
