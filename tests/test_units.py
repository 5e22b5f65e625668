"""The units for systemd that are shipped: accepted, and as hardened as the documentation says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = re.compile(r"/opt/\S+")


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("name", ["gatepost-connector.service", "gatepost-service.service"])
def test_the_unit_is_one_that_systemd_accepts_and_as_hardened_as_the_documentation_says(
    name: str, tmp_path: Path
) -> None:
    """``verify`` finds nothing; the exposure is the figure in docs/operations.md."""
    unit = ROOT / "packaging" / name
    copy = tmp_path / name
    copy.write_text(PROGRAM.sub(sys.executable, unit.read_text()))
    done = subprocess.run(["systemd-analyze", "verify", copy], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    figure = re.search(rf"exposure level for {re.escape(name)}: ([\d.]+)", told.stdout)
    assert figure is not None
    assert f"gives `{name}` an exposure of {figure[1]}" in (ROOT / "docs" / "operations.md").read_text()
