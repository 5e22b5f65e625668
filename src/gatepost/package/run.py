"""The unpacked connector: the command line ``gatepost``, with nothing on its path but itself and Python's own.

A Python of its own runs this file, isolated (``-I -S``): the packages of the system and of the user are not seen.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.argv[0] = os.environ["GATEPOST_PACKAGE"]

    from gatepost.cli import main

    main()
