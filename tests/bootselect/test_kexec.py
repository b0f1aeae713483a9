"""What the slot's own kernel is told, and what happens when it cannot be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.initramfs import kexec

if TYPE_CHECKING:
    from pathlib import Path

UUID = "7130c94a-213a-4e5a-8e26-6cce9662f132"


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    for name in (kexec.KERNEL, kexec.INITRAMFS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_the_slots_kernel_is_told_which_slot_was_chosen(slot: Path) -> None:
    own = "gpt panic=-1 root=/dev/sda1 slot=USR-A bootselect.hand-over=kexec"
    told = f"root=PARTUUID={UUID} slot=USR-B bootselect.hand-over=switch_root"
    assert kexec.command_line(str(slot), UUID, "USR-B", own) == f"gpt panic=-1 {told}"
    (slot / kexec.CMDLINE).write_text("gpt quiet\n")
    assert kexec.command_line(str(slot), UUID, "USR-B", own) == f"gpt quiet {told}"


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
    (slot / kexec.INITRAMFS).unlink()
    with pytest.raises(kexec.KexecError, match="initramfs: No such file"):
        kexec.load(str(slot), "gpt", lambda *_: 0)


def test_a_kernel_that_is_refused_is_said_with_the_reason(slot: Path) -> None:
    def refuse(*_: object) -> int:
        raise OSError(8, "Exec format error")

    with pytest.raises(kexec.KexecError, match="cannot be loaded: Exec format error"):
        kexec.load(str(slot), "gpt", refuse)
