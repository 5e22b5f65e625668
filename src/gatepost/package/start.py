"""The first lines of the connector's file, its ``__main__``: any Python, however old, can read them."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is where the others are told
    sys.stderr.write(
        "gatepost: This is Python %d.%d, and Gatepost needs 3.11 or later.\n"  # noqa: UP031 - an old Python reads it
        "Install one (on Debian 12 or later: apt-get install python3), and start this file with it:\n"
        "  python3.11 %s\n" % (sys.version_info[0], sys.version_info[1], sys.argv[0])
    )
    sys.exit(2)

from gatepost.package.unpack import main

if __name__ == "__main__":
    sys.exit(main(os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]))
