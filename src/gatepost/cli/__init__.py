"""The command ``gatepost``: one file per group of commands; a program is imported when its command runs."""

from gatepost.cli.main import main

__all__ = ["main"]
