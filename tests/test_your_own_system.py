"""docs/your-own-system.md: its definitions are right, and what it says of errors is what they say.

Its commands are run by qemu_tests/suites/test_docs.py, which boots what they make.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bootselect.slots import slot_type
from image_builder.cli.main import main as image_builder
from image_builder.definition.load import load_definition
from image_builder.errors import MissingToolError, NoPackageListsError
from image_builder.filesystem.errors import UnreadableError
from qemu_tests.suites.test_own_system import DEFINITION
from tests.documentation import ROOT, blocks, table
from update_agent.boot_chain import BootChain
from update_agent.errors import KernelMismatchError
from update_agent.transport.medium import Update

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = ROOT / "docs/your-own-system.md"
WHOLE, *PIECES = blocks(PAGE, "toml")
ROWS = [row[0].strip("`") for row in table(PAGE, "## What goes wrong")]
SLOT = """[image]
name = "own"

[slot.debian]
kind = "tree"
source = "root"
"""
PARTITION = """
[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "auto"
content = "slot.debian"
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a system in ``root``, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLOTBOOT_CACHE", str(tmp_path / "cache"))
    for name, mode in (("root/etc/os-release", 0o644), ("root/sbin/init", 0o755), ("root.tar", 0o644)):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("ID=own\n")
        Path(name).chmod(mode)


def test_the_definition_is_the_one_that_the_suite_boots() -> None:
    assert WHOLE.strip() == DEFINITION.format(boot='verity = "required"', slot="verity = true").strip()
    Path("own.toml").write_text(WHOLE)
    (slot,) = load_definition(Path("own.toml")).slots
    assert (slot.name, slot.verity) == ("slot.debian", True)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: re.findall(r'kind = "(\w+)"', piece)[0])
def test_the_short_forms_stand_in_the_place_of_its_slot(piece: str) -> None:
    subprocess.run(["mkfs.erofs", "--quiet", "root.erofs", "root"], check=True)
    before, _, rest = WHOLE.partition("[slot.debian]")
    partitions = rest.partition("\n\n")[2]
    Path("own.toml").write_text(f"{before}{piece}\n{partitions}")
    (slot,) = load_definition(Path("own.toml")).slots
    assert f'kind = "{slot.system.kind}"' in piece


def said(command: str, definition: str, *options: str) -> str:
    """What the builder says to a definition that it refuses."""
    Path("own.toml").write_text(definition)
    result = CliRunner().invoke(image_builder, [command, "own.toml", "-o", "out", *options])
    assert result.exit_code == 1, result.output
    return result.output


def without(name: str) -> str:
    Path(name).unlink()
    return said("build", SLOT + PARTITION)


def with_an_acl() -> str:
    # Version 2, and user::r-- user:1000:r-- group::r-- mask::r-- other::r-- (linux/posix_acl_xattr.h).
    entries = [(0x01, 0xFFFFFFFF), (0x02, 1000), (0x04, 0xFFFFFFFF), (0x10, 0xFFFFFFFF), (0x20, 0xFFFFFFFF)]
    packed = b"".join(tag.to_bytes(2, "little") + b"\4\0" + who.to_bytes(4, "little") for tag, who in entries)
    os.setxattr("root/etc/os-release", "system.posix_acl_access", b"\2\0\0\0" + packed)
    return said("build", SLOT + 'filesystem = "squashfs"\n' + PARTITION)


def with_boot(boot: str, slot: str = "", content: str = "slot.debian") -> str:
    esp = '\n[[partition]]\nlabel = "EFI"\ntype = "esp"\nsize = "64M"\ncontent = "esp"\n'
    partition = PARTITION.replace("slot.debian", content)
    return said("build", f'{SLOT}{slot}\n[boot]\nkind = "uki"\n{boot}\n{partition}{esp}')


def grown() -> str:
    Path("root/more").write_bytes(os.urandom(2 << 20))
    return said("artifacts", SLOT + PARTITION.replace('"auto"', '"1M"'))


def newer_kernel() -> str:
    update = Update("own", "2", slot_type("coreos-usr"), 1, "", Path("slot.img"), "/dev/vdb", ("6.12.9-amd64",))
    with pytest.raises(KernelMismatchError) as caught:
        BootChain("6.1.0-56-cloud-amd64", hands_over=False).require(update)
    return str(caught.value)


SAID: list[Callable[[], str]] = [
    lambda: without("root/etc/os-release"),
    lambda: without("root/sbin/init"),
    lambda: str(UnreadableError(Path("root"), [(b"etc/shadow", "Permission denied")])),
    with_an_acl,
    lambda: with_boot('verity = "required"'),
    lambda: with_boot('hand-over = "kexec"'),
    lambda: with_boot("", content="root.tar"),
    lambda: said("build", SLOT.replace('"tree"', '"image"').replace('"root"', '"root.tar"') + PARTITION),
    grown,
    lambda: said("artifacts", SLOT + PARTITION, "--version", "1_2"),
    lambda: str(MissingToolError("mkfs.erofs", "erofs-utils")),
    lambda: str(NoPackageListsError(["linux-image-cloud-amd64"])),
    newer_kernel,
]
"""For each row of the table what leads to it."""


@pytest.mark.parametrize("row", range(len(SAID)))
def test_an_error_says_what_the_page_shows(row: int) -> None:
    text = SAID[row]()
    parts = ROWS[row].split("…")
    assert re.search(".*".join(re.escape(part) for part in parts), text), (ROWS[row], text)


def test_each_error_of_the_page_is_tried() -> None:
    assert len(ROWS) == len(SAID)
