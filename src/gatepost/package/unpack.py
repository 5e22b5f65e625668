"""Unpack the connector once into a private folder, see at each start that it is as it was, and run it from there.

A tree is unpacked beside its place and renamed into it: a start that is killed leaves nothing that counts, and the next
begins anew. A lock lets one start at a time look and unpack. Each start compares every file with the list that lies in
the connector's own file, not in the folder: a tree that was changed is replaced.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gatepost.package import contents
from gatepost.package.contents import About, Refused

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PROGRAM, HOME = "GATEPOST_PACKAGE", "GATEPOST_HOME"
ABOUT_OPTION, HOME_OPTION = "--package", "--unpack-to"
NEW, OLD, SITE = ".new-", ".old-", "site"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
OTHERS_WRITE = 0o022


def main(program: str, arguments: list[str]) -> int:
    """Run the connector's file with these arguments; the exit code. ``--package`` tells what is in it.

    ``--unpack-to FOLDER``, in front of all else, or the variable GATEPOST_HOME, says where it is unpacked.
    """
    try:
        with contents.open_file(Path(program)) as archive:
            about = contents.about(archive)
            if arguments == [ABOUT_OPTION]:
                print(json.dumps(_told(about), indent=2))  # noqa: T201 - what was asked for
                return 0
            check_platform(about)
            python = check_python(about)
            home, rest = _home(arguments)
            tree = _ready(archive, about, python, home)
    except Refused as refused:
        return _say(str(refused), 2)
    except OSError as error:
        return _say(f"The connector cannot be unpacked: {error}. See to rights and space, or name another folder.", 1)
    return _run(tree, Path(program), rest)


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"gatepost: {text}\n")
    return code


def _told(about: About) -> dict[str, object]:
    """What ``--package`` tells."""
    return {
        "version": about.version,
        "platform": about.platform,
        "python": sorted(about.wheels, key=_number),
        "kerberos": about.kerberos,
        "wheels": about.hashes,
    }


def _number(dotted: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", dotted)))


def check_python(about: About) -> str:
    """The running Python, as wheels name it. Raises Refused where the package has none for it."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    known = " or ".join(sorted(about.wheels, key=_number))
    if sys.implementation.name != "cpython" or "t" in getattr(sys, "abiflags", ""):
        raise Refused(f"This is {sys.implementation.name} {python} ({sys.executable}). Start it with CPython {known}.")
    if python not in about.wheels:
        raise Refused(
            f"This is Python {python}, and this file is for {known}. Start it with such a Python, or have the file "
            f"built for this one too (make package PYTHONS={python})."
        )
    return python


def check_platform(about: About) -> None:
    """See that the package is for this system. Raises Refused."""
    machine = MACHINES.get(platform.machine().lower(), platform.machine().lower())
    if (platform.system(), machine) != (about.system, about.machine) or sys.maxsize < 2**32:
        bits = "" if sys.maxsize > 2**32 else ", with a Python of 32 bits"
        raise Refused(
            f"This is {platform.system()} on {platform.machine()}{bits}, and this file is for {about.system} on "
            f"{about.machine}. Choose the package for this system at the download."
        )
    name, version = platform.libc_ver()
    if about.glibc and (name != "glibc" or _number(version) < _number(about.glibc)):
        found = f"{name} {version}".strip() or "another C library"
        raise Refused(f"This system has {found}, and this file needs glibc {about.glibc} or later.")


def _home(arguments: list[str]) -> tuple[Path, list[str]]:
    """Where to unpack, and the arguments that are the connector's. Raises Refused."""
    if arguments[:1] == [HOME_OPTION]:
        if len(arguments) < 2:
            raise Refused(f"{HOME_OPTION} needs a folder.")
        return Path(arguments[1]).absolute(), arguments[2:]
    return _usual_home().absolute(), arguments


def _usual_home() -> Path:
    """Where the connector is unpacked unless somebody says otherwise."""
    environment = os.environ
    if environment.get(HOME):
        return Path(environment[HOME])
    if environment.get("STATE_DIRECTORY"):  # a service of systemd: the one place where it may write
        return Path(environment["STATE_DIRECTORY"].split(":")[0]) / "package"
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home()) / "Gatepost"
    if os.geteuid() == 0:
        return Path("/var/lib/gatepost-package")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "gatepost"


def _ready(archive: zipfile.ZipFile, about: About, python: str, home: Path) -> Path:
    """The unpacked tree, whole and unchanged. Raises Refused, OSError."""
    _private(home)
    wanted = contents.files(archive, python)
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    tree = home / f"connector-{about.version}-{digest}"
    with _locked(home):
        changed = _first_difference(tree, wanted) if tree.exists() else None
        if changed:
            _say(f"{tree / SITE / changed} was changed since it was unpacked; the connector is unpacked anew.", 0)
        if changed or not tree.exists():
            _unpack(archive, about, python, tree, wanted)
    return tree


def _private(folder: Path) -> None:
    """Make a folder that only this user may enter. Raises Refused where others may write in one that is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if sys.platform == "win32":  # it has the rights of its parent, the user's own
        return
    found = folder.lstat()
    if folder.is_symlink() or not folder.is_dir() or found.st_uid != os.geteuid() or found.st_mode & OTHERS_WRITE:
        raise Refused(
            f"{folder} is not a folder of this user alone: another could change what runs. "
            f"Name another with {HOME_OPTION} or {HOME}, or see to owner and rights (chmod 700)."
        )


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One start at a time looks and unpacks; who was killed holds nothing."""
    with (home / "lock").open("a+b") as file:
        if sys.platform == "win32":
            file.seek(0)
            while True:
                with contextlib.suppress(OSError):
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _first_difference(tree: Path, wanted: dict[str, str]) -> str | None:
    """The first file of a tree that is not as it was unpacked: changed, missing or too many; None for none."""
    site = tree / SITE
    found: set[str] = set()
    for folder, folders, names in os.walk(site):
        below = Path(folder).relative_to(site)
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*names, *links):
            path = (below / name).as_posix()
            if not _is(Path(folder) / name, wanted.get(path)):
                return path
            found.add(path)
    missing = wanted.keys() - found
    return min(missing) if missing else None


def _is(path: Path, sha256: str | None) -> bool:
    """Whether this is a plain file with this content."""
    if sha256 is None or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _unpack(archive: zipfile.ZipFile, about: About, python: str, tree: Path, wanted: dict[str, str]) -> None:
    """Unpack beside the place, then rename; what earlier starts left unfinished goes. Raises Refused, OSError."""
    for left in (*tree.parent.glob(f"{NEW}*"), *tree.parent.glob(f"{OLD}*")):
        shutil.rmtree(left, ignore_errors=True)
    _say(f"unpacking the connector {about.version} into {tree}; {about.kerberos[python]}", 0)
    wheels = [contents.wheel(archive, name, about.hashes[name]) for name in about.wheels[python]]
    new = tree.with_name(f"{NEW}{secrets.token_hex(4)}")
    new.mkdir(mode=0o700)
    for body in wheels:
        for path, content in contents.unpacked(body):
            target = new / SITE / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    if _first_difference(new, wanted):
        raise Refused("What was unpacked is not what this file says that it holds. Copy or download it anew.")
    shutil.rmtree(_compiled(tree), ignore_errors=True)
    old = tree.with_name(f"{OLD}{secrets.token_hex(4)}")
    if tree.exists():
        tree.rename(old)
    new.rename(tree)
    shutil.rmtree(old, ignore_errors=True)


def _run(tree: Path, program: Path, arguments: list[str]) -> int:
    """Become the connector, or on Windows start it and wait; the exit code."""
    python = sys.executable or str(Path("/proc/self/exe").resolve())  # it is empty where there is no PATH
    run = tree / SITE / "gatepost" / "package" / "run.py"
    command = [python, "-I", "-S", "-X", f"pycache_prefix={_compiled(tree)}", str(run), *arguments]
    os.environ[PROGRAM] = str(program)
    if sys.platform != "win32":
        os.execv(python, command)  # noqa: S606 - there is no shell to want
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.run(command, check=False).returncode
    return 130


def _compiled(tree: Path) -> Path:
    """Where Python keeps what it compiles of a tree: apart, for it may be written at any time."""
    return tree.with_name(f"{tree.name}-compiled")
