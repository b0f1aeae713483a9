"""The list of installed packages, against dpkg-query's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from image_builder.artifacts.packages import STATUS, PackageListError, packages_in, parse_status, parse_status_folder

STATUS_FILE = Path("/") / STATUS
FORMAT = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${Maintainer}\t${Homepage}\n"
BASH = """\
Package: bash
Status: install ok installed
Maintainer: Matthias Klose <doko@debian.org>
Architecture: amd64
Source: bash (5.2.15-2)
Version: 5.2.15-2+b2
Description: GNU Bourne Again SHell
 Package: not-a-field
 .
 Version: neither
Homepage: http://tiswww.case.edu/php/chet/bash/bashtop.html
"""


def dpkg(admin: Path) -> list[list[str]]:
    """What dpkg-query says is installed there."""
    argv = ["dpkg-query", f"--admindir={admin}", "-W", "-f", f"${{db:Status-Status}}\t{FORMAT}"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    return [row[1:] for row in rows if row[0] not in {"config-files", "not-installed"}]


needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-query") is None or not STATUS_FILE.exists(), reason="not a Debian")


@needs_dpkg
def test_the_packages_of_this_machine_are_those_that_dpkg_says() -> None:
    found = parse_status(STATUS_FILE.read_text(errors="replace"))
    assert sorted(
        [p.name, p.version, p.architecture, p.source, p.source_version, p.maintainer, p.homepage] for p in found
    ) == sorted(dpkg(STATUS_FILE.parent))


@needs_dpkg
def test_of_packages_that_are_removed_or_half_there_only_those_with_files_are_listed(tmp_path: Path) -> None:
    states = (
        "install ok installed",
        "deinstall ok config-files",
        "install ok unpacked",
        "purge ok not-installed",
        "install reinstreq half-installed",
        "hold ok installed",
    )
    stanzas = [
        BASH.replace("install ok installed", state).replace("Package: bash\n", f"Package: b{n}\n", 1)
        for n, state in enumerate(states)
    ]
    (tmp_path / "status").write_text("\n".join(stanzas))
    (tmp_path / "updates").mkdir()
    found = parse_status((tmp_path / "status").read_text())
    assert [package.name for package in found] == sorted(row[0] for row in dpkg(tmp_path))
    assert [package.name for package in found] == ["b0", "b2", "b4", "b5"]


def test_a_description_makes_no_fields() -> None:
    (bash,) = parse_status(BASH)
    assert (bash.name, bash.version, bash.source, bash.source_version) == ("bash", "5.2.15-2+b2", "bash", "5.2.15-2")
    assert bash.homepage == "http://tiswww.case.edu/php/chet/bash/bashtop.html"


def test_without_a_source_the_package_is_its_own() -> None:
    (found,) = parse_status("Package: dash\nVersion: 1\nStatus: install ok installed\n")
    assert (found.source, found.source_version, found.architecture, found.maintainer, found.homepage) == (
        "dash",
        "1",
        "",
        "",
        "",
    )


@pytest.mark.parametrize("gone", ["Package", "Version"])
def test_a_status_file_that_is_damaged_is_refused(gone: str) -> None:
    text = "\n".join(line for line in BASH.splitlines() if not line.startswith(f"{gone}:"))
    with pytest.raises(PackageListError, match=f"var/lib/dpkg/status: package 2: it has no field '{gone}'"):
        parse_status(f"{BASH}\n{text}\n")


def test_the_folder_of_an_image_without_dpkg_is_read_whatever_else_is_in_it() -> None:
    base = "Package: base-files\nVersion: 12.4+deb12u5\nArchitecture: amd64\n"
    files = {
        "base": base,
        "base.md5sums": "d41d8cd98f00b204e9800998ecf8427e  etc/x\n",
        "notes": "nothing: of ours\n",
        "empty": "",
    }
    (found,) = parse_status_folder(files)
    assert (found.name, found.version) == ("base-files", "12.4+deb12u5")


def test_a_tree_says_which_of_both_it_has_or_that_it_has_none() -> None:
    status = {STATUS: BASH.encode()}
    folder = {
        "var/lib/dpkg/status.d/tzdata": b"Package: tzdata\nVersion: 2024a\n",
        "var/lib/dpkg/status.d/odd": b"\xff\xfe",
    }
    assert [package.name for package in packages_in(status) or ()] == ["bash"]
    assert [package.name for package in packages_in(folder) or ()] == ["tzdata"]
    assert [package.name for package in packages_in({**status, **folder}) or ()] == ["bash", "tzdata"]
    assert packages_in({"etc/os-release": b"ID=fedora\n"}) is None
    assert packages_in({STATUS: b""}) == ()
