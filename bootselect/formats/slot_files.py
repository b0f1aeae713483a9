"""Files of a slot that others look for, relative to its root."""

from __future__ import annotations

KERNEL, INITRAMFS, CMDLINE = "usr/lib/slotboot/vmlinuz", "usr/lib/slotboot/initramfs", "usr/lib/slotboot/cmdline"
"""The slot's own kernel, its initramfs and its command line, for ``hand-over=kexec``."""
HANDED_OVER = "bootselect.chosen="
"""What the selector appends to the command line of a slot's own kernel, before the UUID of the slot's partition."""
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
"""os-release(5): the first that there is counts."""
VERSION_FIELDS = ("IMAGE_VERSION", "VERSION", "VERSION_ID")
"""Fields of os-release(5), the most specific first. The others stay the same from one image to the next."""
INIT = ("sbin/init", "usr/sbin/init", "usr/lib/systemd/systemd")
"""What may be started as PID 1: one of them has to be there."""
