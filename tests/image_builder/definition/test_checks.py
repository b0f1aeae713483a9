"""What the parts of a definition must be to each other: what would build and not boot is refused, with both keys."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.content.empty import Empty
from image_builder.definition.load import load_definition
from tests.image_builder.definition.mistakes import GOOD, refusal, refused

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.definition.model import Definition

TINY = 'kind = "tiny"'
UKI = 'kind = "uki"'
SECOND = '[[partition]]\nlabel = "USR-B"\ntype = "coreos-usr"\nsize = "48M"\n'
BIOS = '[[partition]]\nlabel = "BIOS-BOOT"\ntype = "bios"\nsize = "1M"\n'
STATE = '[[partition]]\nlabel = "STATE"\ntype = "linux-data"\nsize = "32M"\ncontent = "state"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with things that definitions can name: tree, root.tar, file, slot.img (an erofs) and hook."""
    (tmp_path / "tree").mkdir()
    for name in ("root.tar", "file", "vmlinuz", "hook"):
        (tmp_path / name).write_bytes(b"x" * 5000)
    subprocess.run(["mkfs.erofs", "--quiet", tmp_path / "slot.img", tmp_path / "tree"], check=True, capture_output=True)
    return tmp_path


def good(folder: Path, text: str) -> Definition:
    (folder / "good.toml").write_text(text)
    return load_definition(folder / "good.toml")


def changed(*changes: tuple[str, str]) -> str:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # Nothing that would boot
        (
            [(UKI, f'{UKI}\nverity = "required"')],
            (
                "slot.base.verity: is false, and boot.verity is 'required': it would never boot; expected slot.base.verity = true, "
                "or boot.verity = 'auto'"
            ),
        ),
        (
            [(UKI, f'{UKI}\nhand-over = "kexec"')],
            (
                "slot.base.kernel: is false, and boot.hand-over is 'kexec': there would be nothing to start; expected "
                "slot.base.kernel = true, or boot.hand-over = 'switch_root'"
            ),
        ),
        (
            [(f"[boot]\n{UKI}", ""), ('content = "esp"', ""), (TINY, f"{TINY}\nkernel = true")],
            "slot.base.kernel: is true, and there is no section [boot]",
        ),
        (
            [(SECOND, SECOND + BIOS)],
            "partition[4].type: is bios, and boot.kind = 'uki' puts no loader there; expected content = 'empty'",
        ),
        (
            [(UKI, f'{UKI}\nkernel = "slot.base"')],
            "boot.kernel: is 'slot.base', and slot.base.kind is 'tiny', which has no kernel to take; expected the name of a tree",
        ),
        (
            [(UKI, f'{UKI}\nkernel = "slot.base"'), (TINY, 'kind = "image"\nsource = "slot.img"')],
            "boot.kernel: is 'slot.base', and slot.base.kind is 'image', which has no kernel to take; expected the name of a tree",
        ),
        (
            [(UKI, f'{UKI}\nkernel = "slot.bsae"')],
            "boot.kernel: is 'slot.bsae'; expected the path of a file, and ",
        ),
        (
            [(UKI, f'{UKI}\nkernel = "vmlinuz"')],
            "boot.modules: is missing; expected the folder lib/modules/RELEASE of the file that boot.kernel names",
        ),
        (
            [(UKI, f'{UKI}\nkernel = "vmlinuz"\nmodules = "file"')],
            "boot.modules: is 'file'; expected the path of a folder, and ",
        ),
        (
            [(UKI, f'{UKI}\nmodules = "tree"')],
            "boot.modules: belongs to a kernel that is a file; expected the path of one in boot.kernel",
        ),
        (
            [(UKI, f'{UKI}\nkernel = "nothing"\nmodules = "tree"')],
            "boot.kernel: is 'nothing'; expected the path of a file, and ",
        ),
        (
            [('content = "slot.base"', ""), (f"[slot.base]\n{TINY}", "")],
            "boot: has nothing to boot; expected a section [slot",
        ),
        # Slots
        (
            [('content = "slot.base"', 'content = "file"')],
            "partition[2].content: is the file ",
        ),
        (
            [(TINY, f'{TINY}\n[slot.other]\n{TINY}\ntype = "usr-x86-64"')],
            "slot.other.type: is usr-x86-64, and slot.base.type is coreos-usr; the selector looks for one type: expected the same",
        ),
        (
            [
                (TINY, f'{TINY}\n[slot.other]\n{TINY}\ntype = "usr-x86-64"'),
                (SECOND, SECOND.replace("coreos-usr", "usr-x86-64") + 'content = "slot.other"\n'),
            ],
            "slot.other.type: is usr-x86-64, and slot.base.type is coreos-usr; the selector looks for one type: expected the same",
        ),
        (
            [(TINY, f"{TINY}\nverity = true\n[slot.spare]\n{TINY}"), (UKI, f'{UKI}\nverity = "required"')],
            "slot.spare.verity: is false, and boot.verity is 'required'",
        ),
        # Sizes
        (
            [('size = "64M"', 'size = "64M"\nmin = "1M"')],
            'partition[1].min: belongs to size = "auto", and size is 64 MiB; give one of the two',
        ),
        (
            [('size = "64M"', 'size = "64M"\nheadroom = "25%"')],
            'partition[1].headroom: belongs to size = "auto", and size is 64 MiB; give one of the two',
        ),
        (
            [('size = "64M"', 'size = "auto"\nmin = "9M"\nmax = "8M"')],
            "partition[1].max: is 8 MiB; expected at least min, 9 MiB",
        ),
        ([('size = "64M"', 'size = "auto"\nmax = "0M"')], "partition[1].max: is '0M'; expected more than nothing"),
        (
            [('size = "64M"', 'size = "auto"\nheadroom = "1000%"')],
            "partition[1].headroom: is '1000%'; expected a size such as",
        ),
        ([('size = "64M"', 'size = "automatic"')], "partition[1].size: is 'automatic'; expected a size such as"),
        (
            [(SECOND, SECOND + STATE.replace("32M", "auto").replace('content = "state"\n', ""))],
            'partition[4].size: is "auto", and the partition is empty; expected a size',
        ),
        (
            [(SECOND, SECOND + STATE.replace("32M", "auto"))],
            'partition[4].size: is "auto", and the file system is empty; expected a size, or min of 16 MiB and more',
        ),
        # The rest
        (
            [(SECOND, SECOND + BIOS + 'content = "esp"\n')],
            "partition[4].content: is 'esp', as that of 'EFI-SYSTEM'; expected at most one",
        ),
        (
            [("[[partition]]", '[esp.files]\n"/efi/boot/bootx64.efi" = "file"\n[[partition]]')],
            "esp.files./efi/boot/bootx64.efi: is what the loader of boot.kind puts there; expected another path",
        ),
        (
            [("[[partition]]", '[esp.files]\n"/X/a" = "file"\n"/x/A" = "file"\n[[partition]]')],
            "esp.files./x/A: is the same name as '/X/a' on a FAT file system; expected another path",
        ),
        (
            [("[slot.base]", "[slot.Base]"), ("slot.base", "slot.Base")],
            "slot.Base: the name of the section is 'Base'; expected",
        ),
        (
            [(f"[slot.base]\n{TINY}", f'[slot]\n{TINY}\nversion = "2"')],
            "slot: holds 'kind', 'version'; expected tables with names of their own, such as [slot.base]",
        ),
        ([(f"[slot.base]\n{TINY}", "[slot]\nbase = 5")], "slot: holds 'base'; expected tables with names of their own"),
        (
            [("[[partition]]", '[state.data]\nmount = "var"\n[[partition]]')],
            "state.data.mount: is 'var'; expected an absolute",
        ),
        (
            [("[[partition]]", '[state.data]\nsource = "file"\n[[partition]]')],
            "state.data.source: is 'file'; expected the path of a folder, and ",
        ),
        (
            [("[[partition]]", '[state.data]\nmuont = "/x"\n[[partition]]')],
            "state.data.muont: is not a setting; did you mean 'mount'?",
        ),
    ],
)
def test_a_contradiction_is_told_once(folder: Path, changes: list[tuple[str, str]], message: str) -> None:
    assert refusal(folder, changed(*changes)).startswith(message)


@pytest.mark.parametrize(
    "changes",
    [
        [(UKI, f'{UKI}\nverity = "required"'), (TINY, f"{TINY}\nverity = true")],
        [(UKI, f'{UKI}\nverity = "auto"')],
        [(UKI, f'{UKI}\nhand-over = "kexec"'), (TINY, f"{TINY}\nkernel = true")],
        [(SECOND, f'{SECOND}{BIOS}content = "empty"\n')],
        [(SECOND, f'{SECOND}{BIOS}content = "file"\n')],
        [(UKI, f'{UKI}\nkernel = "vmlinuz"\nmodules = "tree"')],
        [(UKI, f'{UKI}\nkernel = "distribution"')],
        [(UKI, f'{UKI}\nkernel = "slot.base"'), (TINY, 'kind = "tree"\nsource = "tree"')],
        [(UKI, f'{UKI}\nkernel = "slot.base"'), (TINY, 'kind = "debian"')],
        [('content = "slot.base"\npriority = 1\nsuccessful = true', "")],  # slots that updates will fill
        [('"48M"', '"auto"'), ('"48M"', '"auto"')],  # the empty slot is as large as the other one
        [(SECOND, SECOND + STATE.replace("32M", "auto") + 'min = "16M"\n')],
        [(SECOND, f'{SECOND}{STATE.replace("state", "state.data")}[state.data]\nsource = "tree"\n')],
    ],
)
def test_what_would_boot_is_taken(folder: Path, changes: list[tuple[str, str]]) -> None:
    assert good(folder, changed(*changes)).boot is not None


def test_a_file_fills_a_partition_of_slots_where_nothing_boots_them(folder: Path) -> None:
    text = changed((f"[boot]\n{UKI}", ""), ('content = "esp"', ""), ('content = "slot.base"', 'content = "file"'))
    assert good(folder, text).partitions[1].content.name.endswith("/file")


def test_empty_is_empty_by_default_and_on_purpose(folder: Path) -> None:
    partitions = good(folder, changed((SECOND, f'{SECOND}{BIOS}content = "empty"\n'))).partitions
    assert [content for _, content in good(folder, GOOD).holding(Empty)] == [Empty(stated=False)]
    assert [partition.content for partition in partitions[2:]] == [Empty(stated=False), Empty(stated=True)]


def test_two_partitions_with_the_same_file_are_told_apart(folder: Path) -> None:
    text = changed(('content = "slot.base"', 'content = "file"'), (SECOND, f'{SECOND}content = "file"\n'))
    assert [line.split(": ")[1] for line in refused(folder / "test.toml", text)] == [
        "partition[2].content",
        "partition[3].content",
    ]


def test_a_partition_that_stands_there_twice_is_told_at_the_second_place(folder: Path) -> None:
    assert (
        refusal(folder, GOOD + SECOND)
        == "partition[4].label: is USR-B, which partition 'USR-B' has already; expected another one"
    )


def test_partitions_after_one_with_a_mistake_keep_their_places(folder: Path) -> None:
    text = changed(('label = "EFI-SYSTEM"', "label = 5")) + SECOND
    assert [line.split(": ")[:2] for line in refused(folder / "test.toml", text)] == [
        ["8", "partition[1].label"],
        ["24", "partition[4].label"],
    ]


def test_sizes_in_sectors_are_no_mistakes_where_that_of_a_sector_is_one(folder: Path) -> None:
    text = changed(('name = "test"', 'name = "test"\nsector-size = "4K"'), ('size = "64M"', 'size = "512s"'))
    assert refusal(folder, text).startswith("image.sector-size: is '4K'; expected 512 or 4096")


@pytest.mark.parametrize("name", ["tree", "root.tar", "slot.img"])
def test_a_slot_whose_kind_is_unknown_is_one_mistake(folder: Path, name: str) -> None:
    text = changed((TINY, f'kind = "docker"\nsource = "{name}"\nsuite = "x"\nmodules = []'))
    assert refusal(folder, text).startswith(
        "slot.base.kind: is 'docker'; expected 'tree' or 'tar' or 'image' or 'debian' or 'tiny'"
    )


TWELVE = """\
[image]
name = "two words"
sector-size = 1024
outputs = ["raw", "iso"]
[boot]
kind = "uki"
hand_over = "kexec"
watchdog = -1
[slot.base]
kind = "tiny"
verity = "yes"
[slot.base.files]
"/etc/motd" = "nothing"
[[partition]]
label = "EFI-SYSTEM"
type = "esp"
size = "64MB"
content = "esp"
[[partition]]
label = "USR-A"
type = "coreos-usr"
content = "slot.base"
priority = 16
[[partition]]
label = "USR-B"
type = "coreos-user"
size = "48M"
xyzzy = 1
"""


def test_twelve_mistakes_are_twelve_lines_in_the_order_of_the_file(folder: Path) -> None:
    lines = refused(folder / "test.toml", TWELVE)
    assert len(lines) == 12
    assert [line.split(": ")[:2] for line in lines] == [
        ["2", "image.name"],
        ["3", "image.sector-size"],
        ["4", "image.outputs"],
        ["7", "boot.hand_over"],
        ["8", "boot.watchdog"],
        ["11", "slot.base.verity"],
        ["13", "slot.base.files./etc/motd"],
        ["17", "partition[1].size"],
        ["19", "partition[2].size"],
        ["23", "partition[2].priority"],
        ["26", "partition[3].type"],
        ["28", "partition[3].xyzzy"],
    ]
    assert lines[3].endswith("is not a setting; did you mean 'hand-over'?")
    known = lines[-1].partition("known are ")[2].split(", ")
    assert len(known) == len(set(known)) > 10


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("lable", "label"),
        ("prority", "priority"),
        ("read_only", "read-only"),
        ("typ", "type"),
        ("xyzzy", ""),
        ("name", ""),
        ("mount", ""),
    ],
)
def test_a_hint_is_given_where_it_is_close(folder: Path, written: str, hint: str) -> None:
    (line,) = refused(folder / "test.toml", f"{GOOD}{written} = 1\n")
    assert line.endswith(f"did you mean {hint!r}?") == bool(hint)
    assert ("known are" in line) == (not hint)
