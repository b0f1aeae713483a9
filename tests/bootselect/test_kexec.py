"""What the slot's own kernel is told, and what happens when it cannot be loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bootselect.formats import slot_files
from bootselect.initramfs import kexec
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.mount import InitramfsError

if TYPE_CHECKING:
    from pathlib import Path

UUID = "7130c94a-213a-4e5a-8e26-6cce9662f132"


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    for name in (slot_files.KERNEL, slot_files.INITRAMFS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


HANDED_OVER = f"bootselect.chosen={UUID} bootselect.hand-over=switch_root"


def test_the_slots_kernel_is_told_which_slot_was_chosen(slot: Path) -> None:
    own = "gpt panic=-1 root=/dev/sda1 slot=USR-A bootselect.hand-over=kexec"
    told = f"root=PARTUUID={UUID} slot=USR-B {HANDED_OVER}"
    assert kexec.command_line(str(slot), UUID, "USR-B", own) == f"gpt panic=-1 {told}"
    (slot / slot_files.CMDLINE).write_text("gpt quiet\n")
    assert kexec.command_line(str(slot), UUID, "USR-B", own) == f"gpt quiet {told}"


def test_another_slot_that_is_named_in_any_spelling_gives_way_to_the_chosen_one(slot: Path) -> None:
    own = (
        f"root=PARTUUID=1 usr=PARTUUID=2 verity.usr=PARTUUID=3 mount.usr=/dev/disk/by-partuuid/4 bootselect.chosen=5 "
        f"boot-disk=/dev/sda {HANDED_OVER}"
    )
    told = f"verity.usr=PARTUUID={UUID} mount.usr=PARTUUID={UUID} boot-disk=/dev/sda root=PARTUUID={UUID} slot=USR-B"
    assert kexec.command_line(str(slot), UUID, "USR-B", own) == f"{told} {HANDED_OVER}"
    config = parse_config("", kexec.command_line(str(slot), UUID, "USR-B", own))
    assert (config.handed_over, config.chosen, config.problems) == (UUID, (UUID,), ())
    assert kexec.command_line(str(slot), UUID, "B", "mount.usr=/dev/mapper/usr").startswith(
        "mount.usr=/dev/mapper/usr "
    )


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("USR B", r"USR\x20B"),
        ("x init=/bin/sh\n", r"x\x20init=\x2fbin\x2fsh\x0a"),
        ('"', r"\x22"),
        ("\ud800\u00fc", r"\xed\xa0\x80\xc3\xbc"),
    ],
)
def test_a_label_adds_no_word_to_the_command_line(slot: Path, label: str, word: str) -> None:
    told = kexec.command_line(str(slot), UUID, label, 'gpt foo="a b"')
    assert told == f'gpt "foo=a b" root=PARTUUID={UUID} slot={word} {HANDED_OVER}'
    assert told.isascii()


def test_a_command_line_of_the_slot_that_is_no_text_file_is_the_fault_of_the_slot(slot: Path) -> None:
    (slot / slot_files.CMDLINE).write_bytes(b"gpt \xff")
    assert kexec.command_line(str(slot), UUID, "A", "").startswith("gpt \ufffd")
    (slot / slot_files.CMDLINE).unlink()
    os.mkfifo(slot / slot_files.CMDLINE)
    with pytest.raises(kexec.KexecError, match="cmdline: is not a regular file"):
        kexec.command_line(str(slot), UUID, "A", "")


def test_kernel_initramfs_and_command_line_are_handed_to_the_kernel(slot: Path) -> None:
    calls: list[tuple[object, ...]] = []

    def accept(*arguments: object) -> int:
        calls.append(arguments)
        return 0

    kexec.load(str(slot), "gpt", accept)
    [(_, kernel, initramfs, length, text, flags)] = calls
    assert kernel != initramfs
    assert (length, text, flags) == (4, b"gpt\0", 0)


def test_a_slot_without_a_kernel_is_unusable(slot: Path) -> None:
    (slot / slot_files.INITRAMFS).unlink()
    with pytest.raises(kexec.KexecError, match="initramfs: No such file"):
        kexec.load(str(slot), "gpt", lambda *_: 0)


def test_a_pipe_in_place_of_the_kernel_does_not_hang(slot: Path) -> None:
    (slot / slot_files.KERNEL).unlink()
    os.mkfifo(slot / slot_files.KERNEL)
    with pytest.raises(kexec.KexecError, match="vmlinuz: is not a regular file"):
        kexec.load(str(slot), "gpt", lambda *_: 0)


def test_a_kernel_that_cannot_be_started_is_not_the_fault_of_the_slot() -> None:
    def refuse(*_: object) -> int:
        raise OSError(1, "Operation not permitted")

    with pytest.raises(InitramfsError, match="cannot be started: Operation not permitted"):
        kexec.start(refuse)


def test_a_kernel_that_is_refused_is_said_with_the_reason(slot: Path) -> None:
    def refuse(*_: object) -> int:
        raise OSError(8, "Exec format error")

    with pytest.raises(kexec.KexecError, match="cannot be loaded: Exec format error"):
        kexec.load(str(slot), "gpt", refuse)
