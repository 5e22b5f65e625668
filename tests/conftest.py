"""What all tests share: the fixture plugins, and skipping by name where a real server is missing."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("gatepost", deadline=None)  # a machine that stands still is no failure
hypothesis.settings.load_profile("gatepost")
pytest.register_assert_rewrite("tests.fixtures")  # also those that another one imports
pytest_plugins = [
    f"tests.fixtures.{path.stem}"
    for path in sorted((Path(__file__).parent / "fixtures").glob("*.py"))
    if path.stem != "__init__"
]

UTS = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--uts", "true"]
SERVERS = {
    "chromium": lambda: shutil.which("chromium") is not None,
    "postgresql-15": lambda: Path("/usr/lib/postgresql/15/bin/postgres").exists(),
    "samba": lambda: (
        os.geteuid() == 0
        and Path("/usr/share/samba/setup").is_dir()
        and all(map(shutil.which, ("samba", "samba-tool", "ldbmodify", "kinit", "faketime", "curl")))
        and importlib.util.find_spec("gssapi") is not None
    ),
    "systemd-analyze": lambda: shutil.which("systemd-analyze") is not None,
    "unshare": lambda: shutil.which("unshare") is not None and not subprocess.run(UTS, check=False).returncode,
    "squid": lambda: shutil.which("squid") is not None and shutil.which("openssl") is not None,
}
WORDS = {"samba": "samba, root's rights and Kerberos in Python, not all of which are here"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip a test whose server is not installed, naming the server."""
    for item in items:
        for mark in item.iter_markers("needs"):
            server = mark.args[0]
            if not SERVERS[server]():
                words = WORDS.get(server, f"{server}, which is not installed here")
                item.add_marker(pytest.mark.skip(reason=f"needs {words}"))
