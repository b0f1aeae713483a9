"""``image-builder build``, ``artifacts`` and ``show`` on the examples, judged by everybody else's tools."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.image_builder.erofs import extract
from tests.support import run_tool
from update_agent.transport.medium import read_update

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[3] / "examples"
MIB = 1 << 20
ARTICLE = """\
      270336     2097152       3  Label: "USR-A"
                                  Type: Alias for coreos-rootfs
                                  UUID: 7130C94A-213A-4E5A-8E26-6CCE9662F132
                                  Attr: priority=1 tries=0 successful=1
     2367488     2097152       4  Label: "USR-B"
                                  Type: Alias for coreos-rootfs
                                  UUID: E03DD35C-7C2D-4A47-B3FE-27F15780A57C
                                  Attr: priority=0 tries=0 successful=0
"""
"""What the article on CoreOS's updates shows, before the first one."""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def program(name: str) -> Path:
    """A command of ours, as it was installed."""
    return Path(sys.executable).with_name(name)


def image_builder(*argv: str | Path) -> Done:
    done = subprocess.run([program("image-builder"), *argv], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    done = image_builder("build", EXAMPLES / "minimal.toml", "-o", folder)
    assert (done.code, done.out) == (0, f"{folder}/minimal.raw\n"), done.err
    assert [path.name for path in folder.iterdir()] == ["minimal.raw"]
    return folder / "minimal.raw"


@pytest.fixture(scope="session")
def update(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("update")
    done = image_builder("artifacts", EXAMPLES / "minimal.toml", "-o", folder, "--version", "2")
    assert done.code == 0, done.err
    assert {"minimal_2_base.slot", "minimal_2_base.update"} <= {path.name for path in folder.iterdir()}
    return folder


@pytest.fixture(scope="session")
def partition(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The bytes of a partition as a file, cut out where sfdisk says that it is."""
    table = json.loads(run_tool("sfdisk", "-J", built))["partitiontable"]
    folder = tmp_path_factory.mktemp("partitions")

    def cut(number: int) -> Path:
        entry = table["partitions"][number - 1]
        with built.open("rb") as image:
            image.seek(entry["start"] * table["sectorsize"])
            (folder / str(number)).write_bytes(image.read(entry["size"] * table["sectorsize"]))
        return folder / str(number)

    return cut


@pytest.mark.slow
def test_everybody_reads_the_table_of_a_fresh_image(built: Path) -> None:
    assert "No problems found" in run_tool("sgdisk", "--verify", built)
    table = json.loads(run_tool("sfdisk", "-J", built))["partitiontable"]
    assert [(entry["name"], entry["start"], entry["size"]) for entry in table["partitions"]] == [
        ("EFI-SYSTEM", 2048, 131072),
        ("USR-A", 133120, 98304),
        ("USR-B", 231424, 98304),
        ("STATE", 329728, 65536),
    ]
    for number, expected in [("2", "1 0 1"), ("3", "0 0 0")]:
        fields = [run_tool("cgpt", "show", "-i", number, option, built).strip() for option in ("-P", "-T", "-S")]
        assert " ".join(fields) == expected


def test_the_firmware_finds_a_program_on_the_esp(partition: Callable[[int], Path], tmp_path: Path) -> None:
    esp = partition(1)
    run_tool("fsck.fat", "-n", esp)
    assert "BOOTX64  EFI" in run_tool("mdir", "-i", esp, "::/EFI/BOOT")
    run_tool("mcopy", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "uki.efi")
    sections = run_tool("objdump", "-h", tmp_path / "uki.efi")
    assert all(name in sections for name in (".osrel", ".cmdline", ".linux", ".initrd"))
    run_tool("objcopy", "-O", "binary", "--only-section=.cmdline", tmp_path / "uki.efi", tmp_path / "cmdline")
    words = (tmp_path / "cmdline").read_text().strip("\0\n").split()
    assert {"gpt", "panic=-1", "oops=panic", "console=ttyS0", "quiet"} <= set(words)


def test_the_first_slot_holds_a_system_and_the_second_nothing(partition: Callable[[int], Path], tmp_path: Path) -> None:
    assert "TYPE=erofs\n" in run_tool("blkid", "-p", "-o", "export", partition(2))
    run_tool("fsck.erofs", partition(2))
    assert not any(partition(3).read_bytes())
    root = extract(partition(2), tmp_path / "root")
    assert run_tool("sh", "-c", f". {root}/etc/os-release; echo $VERSION") == "1\n"


def test_the_state_is_a_whole_ext4(partition: Callable[[int], Path]) -> None:
    run_tool("e2fsck", "-f", "-n", partition(4))


def test_the_image_takes_only_the_room_of_what_is_in_it(built: Path) -> None:
    info = built.stat()
    assert info.st_size == 194 * MIB
    assert info.st_blocks * 512 < 64 * MIB


@pytest.mark.slow
def test_the_image_is_the_same_whenever_it_is_built(built: Path, tmp_path: Path) -> None:
    done = image_builder("build", EXAMPLES / "minimal.toml", "-o", tmp_path, "--json")
    assert json.loads(done.out) == {
        "path": f"{tmp_path}/minimal.raw",
        "name": "minimal",
        "version": "1",
        "size": 194 * MIB,
        "outputs": {"raw": f"{tmp_path}/minimal.raw"},
        "sha256": hashlib.sha256(built.read_bytes()).hexdigest(),
    }
    run_tool("cmp", built, tmp_path / "minimal.raw")


def test_an_update_holds_its_slot_and_says_what_it_is(update: Path, tmp_path: Path) -> None:
    folder = extract(update / "minimal_2_base.update", tmp_path / "medium")
    assert sorted(path.name for path in folder.iterdir()) == ["slot.img", "update.json"]
    run_tool("cmp", folder / "slot.img", update / "minimal_2_base.slot")
    described = json.loads((folder / "update.json").read_text())
    assert {key: described[key] for key in ("format", "name", "version", "slot-type", "size", "sha256")} == {
        "format": 1,
        "name": "minimal",
        "version": "2",
        "slot-type": "coreos-usr",
        "size": (folder / "slot.img").stat().st_size,
        "sha256": run_tool("sha256sum", folder / "slot.img").split()[0],
    }
    assert read_update(folder).version == "2"


def test_the_slot_of_an_update_is_of_its_version_and_else_that_of_the_image(
    update: Path, partition: Callable[[int], Path], tmp_path: Path
) -> None:
    new = extract(update / "minimal_2_base.slot", tmp_path / "new")
    old = extract(partition(2), tmp_path / "old")
    argv = ["diff", "-r", "--brief", "--no-dereference", str(old), str(new)]
    lines = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[3] for line in lines] == [f"{new}/etc/os-release"]
    assert 'VERSION="2"\nVERSION_ID="2"\n' in (new / "etc/os-release").read_text()


def test_an_update_is_the_same_whenever_it_is_built(update: Path, tmp_path: Path) -> None:
    done = image_builder("artifacts", EXAMPLES / "minimal.toml", "-o", tmp_path, "--version", "2", "--json")
    answer = json.loads(done.out)
    assert answer["sha256"] == hashlib.sha256((update / "minimal_2_base.slot").read_bytes()).hexdigest()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in update.iterdir()}
    for path in update.iterdir():
        run_tool("cmp", path, tmp_path / path.name)


@pytest.mark.slow
def test_files_of_the_definition_and_of_the_command_line_are_in_the_slot(tmp_path: Path) -> None:
    text = (EXAMPLES / "minimal.toml").read_text()
    files = '[slot.base.files]\n"/etc/motd" = "motd"\n"/etc/issue" = "motd"\n\n[slot.base.os-release]'
    (tmp_path / "own.toml").write_text(text.replace("[slot.base.os-release]", files))
    (tmp_path / "motd").write_text("of the definition\n")
    (tmp_path / "other").write_text("of the command line\n")
    option = f"--file=/etc/issue={tmp_path}/other"
    done = image_builder("artifacts", tmp_path / "own.toml", "-o", tmp_path / "out", option)
    assert done.code == 0, done.err
    root = extract(tmp_path / "out/minimal_1_base.slot", tmp_path / "root")
    assert (root / "etc/motd").read_text() == "of the definition\n"
    assert (root / "etc/issue").read_text() == "of the command line\n"


def test_the_disk_of_coreos_is_as_its_article_shows_it(tmp_path: Path) -> None:
    assert image_builder("build", EXAMPLES / "coreos.toml", "-o", tmp_path).code == 0
    image = tmp_path / "coreos.raw"
    assert "No problems found" in run_tool("sgdisk", "--verify", image)
    shown = run_tool(program("gptctl"), "show", image)
    assert ARTICLE in shown


def test_show_draws_the_disk(built: Path) -> None:
    done = image_builder("show", built)
    assert done.code == 0
    assert "│" in done.out
    assert all(
        label in done.out for label in ("1 EFI-SYSTEM", "2 USR-A", "3 USR-B", "4 STATE", "1/0/1", "0/0/0", "48 MiB")
    )


def test_show_reports_to_scripts_what_others_read(built: Path) -> None:
    shown = json.loads(image_builder("show", "--json", built).out)
    table = json.loads(run_tool("sfdisk", "-J", built))["partitiontable"]
    assert (shown["uuid"], shown["sector_size"], shown["problems"]) == (table["id"], table["sectorsize"], [])
    assert [
        (part["label"], part["uuid"], part["start"] // 512, part["size"] // 512) for part in shown["partitions"]
    ] == [(entry["name"], entry["uuid"], entry["start"], entry["size"]) for entry in table["partitions"]]
    assert [(part["priority"], part["tries"], part["successful"]) for part in shown["partitions"]] == [
        (None, None, None),
        (1, 0, 1),
        (0, 0, 0),
        (None, None, None),
    ]
