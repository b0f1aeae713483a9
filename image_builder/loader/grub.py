"""The configuration of a GRUB that starts the kernel and the selector, or that chooses the slot itself with ``gptprio``.

``gptprio.next`` is a command of the GRUB of CoreOS and Flatcar; the selector honours its choice and does not count the try again.
Debian's GRUB has no such command and leaves the choice to the selector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_builder.boot.cmdline import kernel_command_line
from image_builder.content.esp import Esp
from image_builder.errors import DefinitionError, Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.table.guid import Guid
    from image_builder.definition.model import Definition

_FOLDER = "/slotboot"
_HEAD = """\
# Written by image-builder.
set timeout=1
set default=0
insmod part_gpt
insmod fat
search --no-floppy --set=root --label {esp_label}
"""
_PLAIN = """
menuentry "{title}" {{
    linux {kernel} {cmdline}
    initrd {initramfs}
}}
"""
_GPTPRIO_HEAD = """
insmod gptprio
gptprio.next -d usr_device -u usr_uuid
if [ -z "$usr_uuid" ]; then
    echo "No slot is bootable."
    sleep 10
    reboot
fi
"""
_GPTPRIO_SLOT = """if [ "$usr_uuid" = "{partuuid}" ]; then set slot_kernel={kernel}; set slot_initramfs={initramfs}; fi
"""
_GPTPRIO_TAIL = """
menuentry "{title}" {{
    linux $slot_kernel {cmdline} usr=PARTUUID=$usr_uuid
    initrd $slot_initramfs
}}
"""


def grub_cfg_for(definition: Definition, *, gptprio: bool) -> str:
    """The ``grub.cfg`` of a definition: kernel and initramfs in ``/slotboot`` of its EFI system partition.

    With ``gptprio`` each slot has its own: ``vmlinuz-LABEL`` and ``initramfs-LABEL`` in lower case. Raises DefinitionError
    for a definition that boots nothing or has no EFI system partition.
    """
    boot, esp = definition.boot, [partition for partition, _ in definition.holding(Esp)]
    if boot is None or not definition.slots or not esp:
        problem = "GRUB needs sections boot and slot.NAME, and a partition with the content esp"
        raise DefinitionError(Mistake(definition.path, "boot", problem))
    title, cmdline = definition.name, kernel_command_line(boot)
    if not gptprio:
        kernel, initramfs = f"{_FOLDER}/vmlinuz", f"{_FOLDER}/initramfs"
        return grub_cfg(
            title=title, esp_label=esp[0].label[:11].upper(), kernel=kernel, initramfs=initramfs, cmdline=cmdline
        )
    slots = [
        GrubSlot(p.unique_guid, f"{_FOLDER}/vmlinuz-{p.label.lower()}", f"{_FOLDER}/initramfs-{p.label.lower()}")
        for p in definition.slot_partitions()
    ]
    return grub_cfg_gptprio(title=title, esp_label=esp[0].label[:11].upper(), slots=slots, cmdline=cmdline)


@dataclass(frozen=True)
class GrubSlot:
    """The kernel and initramfs, paths on the EFI system partition, that belong to a slot."""

    partuuid: Guid
    kernel: str
    initramfs: str


def grub_cfg(*, title: str, esp_label: str, kernel: str, initramfs: str, cmdline: str) -> str:
    """A ``grub.cfg`` with one kernel for all slots: the selector in its initramfs chooses."""
    return _HEAD.format(esp_label=esp_label) + _PLAIN.format(
        title=title, kernel=kernel, initramfs=initramfs, cmdline=cmdline
    )


def grub_cfg_gptprio(*, title: str, esp_label: str, slots: Sequence[GrubSlot], cmdline: str) -> str:
    """A ``grub.cfg`` whose GRUB chooses the slot and counts the try; each slot has a kernel of its own."""
    chosen = "".join(
        _GPTPRIO_SLOT.format(partuuid=slot.partuuid.text, kernel=slot.kernel, initramfs=slot.initramfs)
        for slot in slots
    )
    tail = _GPTPRIO_TAIL.format(title=title, cmdline=cmdline)
    return _HEAD.format(esp_label=esp_label) + _GPTPRIO_HEAD + chosen + tail
