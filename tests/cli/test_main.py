"""The root of the command line: what becomes of an error."""

import subprocess
import sys

BESIDE_EXCHANGE = """
import sys
sys.modules["uvicorn"] = None
sys.argv = ["gatepost", "service", "run"]
from gatepost.cli.main import main
main()
"""


def test_a_command_whose_program_is_not_installed_says_so() -> None:
    """The connector's package has no web stack: its `service run` names what is missing, and shows no trace."""
    done = subprocess.run([sys.executable, "-c", BESIDE_EXCHANGE], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: This command needs uvicorn, which is not installed here.\n"
        "A connector's machine has the commands connector and exchange. Run this one where the service is installed.\n"
    )
