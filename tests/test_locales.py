"""Labels are UTF-8 whatever the locale, as in cgpt; what is not UTF-8 is one line, and paths are whatever bytes they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from tests.gptlib.slots import disk_of, slot

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "Größe €"
PROGRAMS = {
    "gptctl": "gptlib.cli.main",
    "bootselect": "bootselect.cli.main",
    "updatectl": "update_agent.cli.main",
    "image-builder": "image_builder.cli.main",
}
BARE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN_1 = "en_US.ISO-8859-1"


@pytest.fixture(scope="session")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A locale whose letters are single bytes; no system has one any more, but the C library can make it."""
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / LATIN_1)]
    if shutil.which("localedef") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this system has no localedef, or no description of ISO 8859-1 (Debian's package locales)")
    return {"LC_ALL": LATIN_1, "LOCPATH": str(folder), "PYTHONUTF8": "0"}


@pytest.fixture(params=["C", "latin-1", "UTF-8", "UTF-8 mode"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "latin-1":
        return {**os.environ, **request.getfixturevalue("latin_1")}
    settings = {"C": BARE, "UTF-8": {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"}, "UTF-8 mode": {"LC_ALL": "C"}}
    return {**os.environ, **settings[request.param]}


def run(environment: dict[str, str], program: str, *words: str | bytes) -> subprocess.CompletedProcess[bytes]:
    argv = [word.encode() if isinstance(word, str) else word for word in (sys.executable, "-c", "", *words)]
    argv[2] = f"import sys; from {PROGRAMS[program]} import main; sys.exit(main())".encode()
    return subprocess.run(argv, capture_output=True, env=environment)


def succeed(environment: dict[str, str], program: str, *words: str | bytes) -> str:
    done = run(environment, program, *words)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return disk_of(tmp_path / "disk.img", {3: slot(100, 2, 0, True, LABEL), 4: slot(200, 1, 0, True, "B")})


@pytest.mark.slow
def test_a_label_is_written_as_cgpt_writes_it(environment: dict[str, str], disk: Path) -> None:
    copy = disk.with_name("copy.img")
    shutil.copy(disk, copy)
    succeed(environment, "gptctl", "add", "-i", "4", "-l", LABEL[::-1], str(disk))
    subprocess.run(["cgpt", "add", "-i", "4", "-l", LABEL[::-1], copy], check=True, env=environment)
    assert disk.read_bytes() == copy.read_bytes()
    assert succeed(environment, "gptctl", "show", "-i", "4", "-l", str(disk)) == f"{LABEL[::-1]}\n"
    assert succeed(environment, "gptctl", "find", "-l", LABEL[::-1], str(disk)) == f"{disk}4\n"


@pytest.mark.slow
def test_a_label_is_shown_by_everything_that_shows_labels(environment: dict[str, str], disk: Path) -> None:
    for program, words in {
        "gptctl": ["show", str(disk)],
        "bootselect": ["status", str(disk)],
    }.items():
        assert LABEL in succeed(environment, program, *words), program
    # It is drawn with what the terminal can show.
    drawn = run(environment, "image-builder", "show", str(disk))
    assert (drawn.returncode, drawn.stderr, b"3 Gr" in drawn.stdout) == (0, b"", True)
    assert LABEL in succeed(environment, "bootselect", "simulate", "--state", f"{LABEL}=1/2/0", str(disk))
    assert LABEL in succeed(environment, "gptctl", "dump", str(disk))


@pytest.mark.slow
def test_a_slot_is_named_by_its_label(environment: dict[str, str], disk: Path) -> None:
    succeed(environment, "bootselect", "mark-bad", "--slot", LABEL, str(disk))
    with Disk.open(disk) as opened:
        assert str(opened.table().partition(3).attributes) == "priority=2 tries=0 successful=0"
    medium = disk.with_name("no medium")
    medium.write_bytes(bytes(4096))
    done = run(environment, "updatectl", "install", "--target", str(disk), "--slot", LABEL, str(medium))
    assert done.returncode == 1
    assert b"no usable update" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("label", [b"\xff", b"x\xc3", b"\xed\xa0\x80", b"\xe4"], ids=repr)
def test_a_label_that_is_not_utf_8_is_refused_as_by_cgpt(environment: dict[str, str], disk: Path, label: bytes) -> None:
    before = disk.read_bytes()
    theirs = subprocess.run(["cgpt", "add", "-i", "4", "-l", label, disk], capture_output=True, env=environment)
    commands: dict[str, list[str | bytes]] = {
        "gptctl": ["add", "-i", "4", "-l", label, str(disk)],
        "bootselect": ["mark-bad", "--slot", label, str(disk)],
    }
    for program, words in commands.items():
        done = run(environment, program, *words)
        assert (done.returncode, done.stderr.count(b"\n")) == (theirs.returncode, 1), done.stderr
    assert run(environment, "gptctl", "find", "-l", label, str(disk)).returncode == 1
    assert disk.read_bytes() == before


@pytest.mark.slow
def test_a_path_is_whatever_bytes_it_is(environment: dict[str, str], disk: Path) -> None:
    path = os.fsencode(disk.with_name("disk")) + b"\xff\xe4\xc3\xa4.img"
    disk.rename(os.fsdecode(path))
    assert run(environment, "gptctl", "find", "-l", "B", path).stdout == path + b"4\n"
    for program, words in {
        "gptctl": ["verify", "show", "dump", "repair", "boot"],
        "bootselect": ["status", "verify", "next"],
        "image-builder": ["show"],
    }.items():
        for word in words:
            done = run(environment, program, word, path)
            assert (done.returncode, done.stderr) == (0, b""), (program, word)
    done = run(environment, "gptctl", "diff", path, path + b"x")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
