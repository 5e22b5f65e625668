"""Packages that a service offers, and the archive that it makes of one without holding it."""

import io
import json
import os
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost.errors import Problem, ServiceError
from gatepost.service import packages, prerequisites, zips
from gatepost.service.packages import Packages
from gatepost.service.prerequisites import Authority
from gatepost.service.zips import Entry
from tests.fixtures.packages import CONTENT, put

MOMENT = datetime(2026, 11, 23, 17, 42, 31, tzinfo=UTC)
CHOSEN = Authority("exchange", "anna", MOMENT)


def entry(name: str, *pieces: bytes, mode: int = 0o644) -> Entry:
    """A file of an archive."""
    body = b"".join(pieces)
    return Entry(name, len(body), zlib.crc32(body), mode, lambda: iter(pieces))


def test_an_archive_is_read_by_others(tmp_path: Path) -> None:
    """Python's own reader and unzip find every file with its content, time and rights; its length was known before."""
    entries = [entry("program", b"abc" * 1000, b"end", mode=0o755), entry("ticket", b"x", mode=0o600), entry("none")]
    body = b"".join(zips.stream(entries, MOMENT))
    assert len(body) == zips.length(entries)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "program": b"abc" * 1000 + b"end",
            "ticket": b"x",
            "none": b"",
        }
        assert {each.external_attr >> 16 for each in archive.infolist()} == {0o100755, 0o100600, 0o100644}
        assert archive.infolist()[0].date_time == (2026, 11, 23, 17, 42, 30)
        assert all(each.compress_type == zipfile.ZIP_STORED and not each.flag_bits & 8 for each in archive.infolist())
    if shutil.which("unzip"):
        (tmp_path / "a.zip").write_bytes(body)
        subprocess.run(["unzip", "-q", "a.zip"], cwd=tmp_path, check=True)
        assert (tmp_path / "program").stat().st_mode & 0o777 == 0o755
        assert (tmp_path / "ticket").stat().st_mode & 0o777 == 0o600


def test_an_archive_is_made_as_it_is_read() -> None:
    """Nothing of a file is read before it is its turn, so that no request holds one."""
    asked: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(4):
            asked.append(number)
            yield b"x"

    stream = zips.stream([Entry("a", 4, zlib.crc32(b"xxxx"), 0o644, pieces)], MOMENT)
    next(stream)
    assert asked == []
    next(stream)
    assert asked == [0]


def test_an_archive_past_its_format_is_refused() -> None:
    """Four gigabytes need another format, which is not written."""
    with pytest.raises(ValueError, match="more than 4 GB"):
        next(zips.stream([Entry("a", 2**32, 0, 0o644, lambda: iter([]))], MOMENT))


def test_the_newest_package_of_each_platform_is_offered(tmp_path: Path) -> None:
    """Of two versions the one that was put there last; other files are not looked at."""
    old, new = put(tmp_path, version="1.2.3"), put(tmp_path, version="1.3.0")
    os.utime(old, (1, 1))
    put(tmp_path, "win_amd64")
    (tmp_path / "notes.txt").write_text("")
    found = Packages(tmp_path).offered()
    assert [(package.platform, package.about.version) for package in found] == [
        ("linux_x86_64", "1.3.0"),
        ("win_amd64", "1.2.3"),
    ]
    assert found[0].path == new
    assert found[0].crc == zlib.crc32(CONTENT)
    assert Packages(tmp_path).of("win_amd64").about.python == ("3.11", "3.12")


@pytest.mark.parametrize("how", ["changed", "cut", "no JSON", "half a JSON", "another JSON"])
def test_a_package_that_was_spoilt_is_not_offered(tmp_path: Path, how: str) -> None:
    """A file that is not what was built is named to the operator, and nobody gets it."""
    path = put(tmp_path)
    packages = Packages(tmp_path)
    assert packages.spoilt() == []
    beside = path.with_suffix(".json")
    if how in {"changed", "cut"}:
        path.write_bytes(CONTENT[:-1] + (b"" if how == "cut" else b"!"))
        os.utime(path, (5, 5))
    elif how == "no JSON":
        beside.unlink()
    else:
        beside.write_text(beside.read_text()[:40] if how == "half a JSON" else json.dumps({"platform": 1}))
    assert packages.offered() == []
    assert packages.spoilt() == [path.name]
    with pytest.raises(Problem, match="no package for this platform"):
        packages.of("linux_x86_64")


def test_no_folder_offers_nothing(tmp_path: Path) -> None:
    """A service without packages says so and does not fail."""
    assert Packages(tmp_path / "none").offered() == []


def test_a_package_that_is_replaced_while_it_is_handed_out_breaks_off(tmp_path: Path) -> None:
    """The manifest was signed for another file, so the download fails rather than hand out what does not fit."""
    package_file = put(tmp_path)
    [package] = Packages(tmp_path).offered()
    package_file.unlink()
    put(tmp_path, content=CONTENT[::-1])
    with pytest.raises(ServiceError, match="was replaced while it was handed out"):
        list(packages._pieces(package))


@pytest.mark.parametrize("name", ["", "  ", "a" * 201, "a\nb", "a\x00b", "a\u2028b", "a\ud800"])
def test_a_name_that_cannot_stand_in_a_file_is_refused(name: str) -> None:
    """An organization's name goes into files and onto pages, so it has visible characters only."""
    with pytest.raises(Problem, match="1 to 200 visible characters") as refused:
        packages.checked_name(name)
    assert refused.value.type == "organization-name"


@pytest.mark.parametrize(
    ("address", "standing"),
    [
        ("https://gatepost.example", "met"),
        ("https://gatepost.example:8443", "met"),
        ("http://127.0.0.1:8443", "partly"),
        ("http://[::1]:8443", "partly"),
        ("http://localhost", "partly"),
        ("http://gatepost.example", "unmet"),
        ("http://10.0.0.1:8443", "unmet"),
    ],
)
def test_what_must_be_so_before(tmp_path: Path, address: str, standing: str) -> None:
    """An address that is neither encrypted nor of this machine stands in the way, and so does what else is unmet."""
    put(tmp_path)
    offered = Packages(tmp_path).offered()
    found = prerequisites.examine(CHOSEN, permitted=True, address=address, packages=offered)
    assert {each.name: each.standing.value for each in found} == {
        "permission": "met",
        "authority": "met",
        "directory": "absent",
        "address": standing,
        "package": "met",
    }
    assert prerequisites.ready(found) == (standing != "unmet")
    for lacking in (
        prerequisites.examine(None, permitted=True, address="https://a", packages=offered),
        prerequisites.examine(CHOSEN, permitted=False, address="https://a", packages=offered),
        prerequisites.examine(CHOSEN, permitted=True, address="https://a", packages=[]),
    ):
        assert not prerequisites.ready(lacking)
