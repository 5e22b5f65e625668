"""The connector's own file: it unpacks once, is looked at on each start, and runs with nothing but Python.

What it does on the way is tried with a small file of the same make; that the real one runs, with the real one.
"""

import ast
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from gatepost import __version__
from gatepost.package import contents
from gatepost.package import start as first_lines
from tests.fixtures.package import PYTHON, SMALL_FILES, Unpacked, wheel

pytestmark = pytest.mark.xdist_group("package")
INTERPRETER = str(Path(sys.executable).resolve())
START_SECONDS = 60
ENTRY = Path("site") / "gatepost" / "cli.py"


def command(file: Path, *arguments: str) -> list[str]:
    """How the file is run: by a Python without packages of ours."""
    return [INTERPRETER, "-I", str(file), *arguments]


def start(file: Path, home: Path | None, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the file with an empty environment."""
    where = {"GATEPOST_HOME": str(home)} if home else {}
    return subprocess.run(
        command(file, *arguments),
        capture_output=True,
        text=True,
        env=where | environment,
        timeout=START_SECONDS,
        cwd="/",
    )


def tree_in(home: Path) -> Path:
    """The one unpacked connector."""
    [found] = [path for path in home.glob("connector-*") if not path.name.endswith("-compiled")]
    return found


def repacked(file: Path, target: Path, **members: bytes) -> Path:
    """A copy of the file with some members replaced (``__`` stands for a dot), each other byte as it was."""
    changed = {name.replace("__", "."): body for name, body in members.items()}
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, changed.get(entry.filename, old.read(entry)))
    return target


def test_the_real_file_runs_with_nothing_but_python(connector_file: Path, unpacked: Unpacked) -> None:
    """It unpacks into a private folder and is the command line from then on."""
    assert unpacked.first.stdout == f"{__version__}\n", unpacked.first.stderr
    tree = tree_in(unpacked.home)
    assert f"unpacking the connector {__version__} into {tree}; Kerberos is" in unpacked.first.stderr
    assert unpacked.home.stat().st_mode & 0o777 == tree.stat().st_mode & 0o777 == 0o700
    again = start(connector_file, unpacked.home, "connector", "--help")
    assert (again.returncode, again.stderr) == (0, "")
    assert "setup" in again.stdout


def test_the_real_file_tells_what_is_in_it(connector_file: Path) -> None:
    """``--package`` names version, platform, Pythons, wheels with hashes, and whether Kerberos is inside."""
    told = json.loads(start(connector_file, None, "--package").stdout)
    beside = json.loads(connector_file.with_suffix(".json").read_text())
    shared = ("version", "platform", "python", "kerberos")
    assert [told[name] for name in shared] == [beside[name] for name in shared]
    assert (told["version"], told["python"]) == (__version__, [PYTHON])
    assert told["kerberos"][PYTHON].startswith("Kerberos is")
    with zipfile.ZipFile(connector_file) as archive:
        inside = [name.removeprefix("wheels/") for name in archive.namelist() if name.startswith("wheels/")]
    assert sorted(told["wheels"]) == sorted(inside)
    assert any(name.startswith("cryptography-") for name in inside)
    assert not any(name.startswith(("fastapi-", "uvicorn-", "psycopg")) for name in inside)


def test_the_packages_of_system_and_user_are_not_seen(small_file: Path, tmp_path: Path) -> None:
    """A module of the same name on PYTHONPATH is not taken; the program has the name of the file."""
    (tmp_path / "extra.py").write_text("raise SystemExit('the wrong one')")
    ran = subprocess.run(
        [INTERPRETER, small_file, "a", "--b"],
        capture_output=True,
        text=True,
        env={"GATEPOST_HOME": str(tmp_path / "h"), "PYTHONPATH": str(tmp_path)},
        timeout=START_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    site = tree_in(tmp_path / "h") / "site"
    assert told == {
        "arguments": [str(small_file), "a", "--b"],
        "path": str(site),
        "extra": str(site / "extra" / "__init__.py"),
    }


def test_it_starts_where_python_does_not_know_its_own_path(small_file: Path, tmp_path: Path) -> None:
    """Called by its bare name and without PATH, Python cannot tell where it is; the system can."""
    ran = subprocess.run(
        ["python3", *command(small_file, "a")[1:]],
        executable=INTERPRETER,
        capture_output=True,
        text=True,
        env={"GATEPOST_HOME": str(tmp_path / "h")},
        timeout=START_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["arguments"] == [str(small_file), "a"]


@pytest.mark.parametrize("how", ["changed", "missing", "too many", "a link", "a folder that is a link"])
def test_a_changed_file_is_noticed_and_replaced(small_file: Path, tmp_path: Path, how: str) -> None:
    """Whatever is not as it was unpacked is named, and the connector is unpacked anew before it runs."""
    start(small_file, tmp_path / "h")
    spoilt = tree_in(tmp_path / "h") / (ENTRY.with_name("more.py") if how == "too many" else ENTRY)
    if how == "changed":
        spoilt.write_text(spoilt.read_text().replace("import extra", "import extr"))
    elif how == "missing":
        spoilt.unlink()
    elif how == "too many":
        spoilt.write_text("")
    else:
        spoilt = spoilt.parent if how == "a folder that is a link" else spoilt
        spoilt.rename(tmp_path / "elsewhere")
        spoilt.symlink_to(tmp_path / "elsewhere")
    ran = start(small_file, tmp_path / "h")
    assert ran.returncode == 0
    assert f"{spoilt} was changed since it was unpacked; the connector is unpacked anew." in ran.stderr
    assert start(small_file, tmp_path / "h").stderr == ""
    assert not list((tmp_path / "h").glob(".*"))


def test_starts_at_once_do_each_other_no_harm(small_file: Path, tmp_path: Path) -> None:
    """Several starts on an empty folder all run, and one of them unpacked."""
    environment = {"GATEPOST_HOME": str(tmp_path / "h")}
    running = [
        subprocess.Popen(
            command(small_file), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(4)
    ]
    ended = [process.communicate(timeout=START_SECONDS) for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert sum("unpacking" in told for _, told in ended) == 1
    assert len(list((tmp_path / "h").glob("connector-*-compiled"))) == 1


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_start_that_is_killed_leaves_nothing_that_counts(small_file: Path, tmp_path: Path, share: float) -> None:
    """Killed when so much was unpacked, the next start begins anew, runs, and clears what was left."""
    home = tmp_path / "h"
    process = subprocess.Popen(
        command(small_file), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"GATEPOST_HOME": str(home)}
    )
    until = time.monotonic() + START_SECONDS
    while sum(len(names) for _, _, names in os.walk(home)) <= share * SMALL_FILES and time.monotonic() < until:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=START_SECONDS)
    ran = start(small_file, home)
    assert ran.returncode == 0, ran.stderr
    assert not list(home.glob(".*"))
    assert start(small_file, home).stderr == ""


def test_a_damaged_wheel_is_named_and_nothing_is_unpacked(small_file: Path, tmp_path: Path) -> None:
    """A wheel that is not the one that was packed is found by its hash."""
    name = "wheels/extra-1-py3-none-any.whl"
    file = repacked(small_file, tmp_path / "x.pyz", **{name: b"another"})
    ran = start(file, tmp_path / "h")
    assert ran.returncode == 2
    assert f"This file is damaged: {name} in it was changed or is missing. Copy or download it anew." in ran.stderr
    assert not list((tmp_path / "h").glob("*connector-*"))


@pytest.mark.parametrize("member", ["package.json", f"files-{PYTHON}.json"])
@pytest.mark.parametrize("body", [b"", b"[1]", b'{"version": 1}', b"{"])
def test_a_damaged_list_is_named(small_file: Path, tmp_path: Path, member: str, body: bytes) -> None:
    """Whatever stands in place of the lists, the message names them and nothing else is said."""
    file = repacked(small_file, tmp_path / "x.pyz", **{member: body})
    ran = start(file, tmp_path / "h")
    assert ran.returncode == 2
    assert "Copy or download it anew." in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"wheels": {"3.99": []}}, f"This is Python {PYTHON}, and this file is for 3.99. Start it with such a Python"),
        ({"system": "Windows"}, "and this file is for Windows on "),
        ({"machine": "riscv64"}, " on riscv64. Choose the package for this system at the download."),
        ({"glibc": "2.999"}, "and this file needs glibc 2.999 or later."),
    ],
)
def test_another_python_or_platform_is_told_in_words(
    small_file: Path, tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    """The message says what this is, what the file is for, and what to do; nothing is unpacked."""
    with contents.open_file(small_file) as archive:
        about = json.loads(archive.read("package.json"))
    ran = start(
        repacked(small_file, tmp_path / "x.pyz", package__json=json.dumps(about | changed).encode()), tmp_path / "h"
    )
    assert ran.returncode == 2
    assert told in ran.stderr
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize("version", [(2, 7), (3, 8), (3, 10)])
def test_an_old_python_is_told_which_it_needs(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first lines are of a kind that Pythons understand for which nothing else here is written."""
    source = Path(first_lines.__file__)
    ast.parse(source.read_text(encoding="ascii"), feature_version=(3, 5))
    assert 'f"' not in source.read_text()
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(source), run_name="__main__")
    assert ended.value.code == 2
    told = f"gatepost: This is Python {version[0]}.{version[1]}, and Gatepost needs 3.11 or later.\nInstall one"
    assert capsys.readouterr().err.startswith(told)


def test_a_folder_where_others_may_write_is_refused(small_file: Path, tmp_path: Path) -> None:
    """Nothing runs from a folder that another user could change."""
    (home := tmp_path / "h").mkdir()
    home.chmod(0o777)
    ran = start(small_file, home)
    assert ran.returncode == 2
    assert f"{home} is not a folder of this user alone: another could change what runs." in ran.stderr
    assert "chmod 700" in ran.stderr
    (link := tmp_path / "link").symlink_to(tmp_path)
    assert "is not a folder of this user alone" in start(small_file, link).stderr


def test_where_it_is_unpacked_can_be_said(small_file: Path, tmp_path: Path) -> None:
    """The option goes before the variable, the variable before systemd's folder, and that before the user's own."""
    places = {name: str(tmp_path / name) for name in ("GATEPOST_HOME", "STATE_DIRECTORY", "XDG_DATA_HOME")}
    ran = start(small_file, None, "--unpack-to", str(tmp_path / "option"), "more", **places)
    assert json.loads(ran.stdout)["arguments"][1:] == ["more"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["option"]
    start(small_file, None, **places)
    assert tree_in(tmp_path / "GATEPOST_HOME").is_dir()
    start(small_file, None, **(places | {"GATEPOST_HOME": ""}))
    assert tree_in(tmp_path / "STATE_DIRECTORY" / "package").is_dir()
    refused = start(small_file, None, "--unpack-to")
    assert (refused.returncode, refused.stderr) == (2, "gatepost: --unpack-to needs a folder.\n")


def test_a_place_that_cannot_be_written_is_told(small_file: Path) -> None:
    """Where there is no place for it, the message says so and what to do."""
    ran = start(small_file, Path("/proc/gatepost"))
    assert ran.returncode == 1
    assert "The connector cannot be unpacked" in ran.stderr
    assert "name another folder" in ran.stderr


@pytest.mark.parametrize("name", ["../x.py", "/x.py", "a/../../x.py", "C:/x.py", "a\\x.py"])
def test_a_wheel_that_leads_out_of_its_folder_is_refused(name: str) -> None:
    """No path of a wheel is followed out of the folder."""
    with pytest.raises(contents.Refused, match="leads out of its folder"):
        list(contents.unpacked(wheel({name: b""})))


def test_scripts_of_a_wheel_are_left_out_and_its_modules_kept() -> None:
    """What a wheel keeps apart for one kind of platform belongs to the modules; programs do not."""
    body = wheel(dict.fromkeys(("a.py", "a-1.data/platlib/b.so", "a-1.data/scripts/run", "a-1.data/headers/a.h"), b""))
    assert [path for path, _ in contents.unpacked(body)] == ["a.py", "b.so"]


def test_two_builds_are_the_same_bytes(tool: ModuleType, small_wheels: dict[str, bytes], small_file: Path) -> None:
    """The same wheels give the same file, and the same sources the same wheel."""
    again = tool.assembled(tool.TARGETS[tool.NATIVE], {PYTHON: small_wheels}, {PYTHON: "Kerberos is inside."})
    assert again == small_file.read_bytes()
    assert tool.our_wheel() == tool.our_wheel()


def test_wheels_that_overwrite_each_other_are_refused(tool: ModuleType) -> None:
    """Two wheels with different files of one name make no package."""
    assert tool.listing({"a.whl": wheel({"x": b"1"}), "b.whl": wheel({"x": b"1"})}).keys() == {"x"}
    with pytest.raises(SystemExit, match="overwrites x of another wheel"):
        tool.listing({"a.whl": wheel({"x": b"1"}), "b.whl": wheel({"x": b"2"})})


def test_a_lock_is_read_for_the_platform_that_is_meant(tool: ModuleType) -> None:
    """Windows gets what only Windows needs, with the hashes, whatever system builds."""
    windows = tool.locked(tool.LOCK, tool.TARGETS["win_amd64"], "3.13")
    linux = tool.locked(tool.LOCK, tool.TARGETS["linux_x86_64"], "3.11")
    assert set(windows) - set(linux) == {"colorama", "sspilib"}
    assert all("--hash=sha256:" in line for line in windows.values())
