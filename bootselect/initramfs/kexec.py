"""Hands over to the slot's own kernel and initramfs, so that the kernel is updated with the slot.

Imported only where ``hand-over=kexec`` is set: ctypes costs more than everything else on the boot path.
"""

from __future__ import annotations

import ctypes
import os

from bootselect.initramfs.mount import UnusableSlotError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Syscall = Callable[..., int]

KERNEL, INITRAMFS, CMDLINE = "usr/lib/slotboot/vmlinuz", "usr/lib/slotboot/initramfs", "usr/lib/slotboot/cmdline"
"""Where a slot keeps them."""
_KEXEC_FILE_LOAD = {"x86_64": 320, "aarch64": 294}
_REBOOT = {"x86_64": 169, "aarch64": 142}
_MAGIC1, _MAGIC2, _CMD_KEXEC = 0xFEE1DEAD, 672274793, 0x45584543
"""linux/reboot.h."""


class KexecError(UnusableSlotError):
    """The slot's kernel cannot be loaded or started."""


def command_line(root: str, partuuid: str, label: str, own: str) -> str:
    """The command line of the slot's kernel: the slot's own, and which slot it is and that it has been chosen already.

    ``own`` is the command line of the running kernel, which counts where the slot has none.
    """
    try:
        with open(f"{root}/{CMDLINE}", encoding="utf-8") as file:
            given = file.read()
    except FileNotFoundError:
        given = own
    words = [word for word in given.split() if not word.startswith(("root=", "usr=", "slot=", "bootselect.hand-over="))]
    return " ".join([*words, f"root=PARTUUID={partuuid}", f"slot={label}", "bootselect.hand-over=switch_root"])


def load(root: str, cmdline: str, syscall: Syscall | None = None) -> None:
    """Load the kernel and initramfs of the slot mounted on ``root``. Raises KexecError."""
    call = syscall or _libc_syscall
    try:
        kernel = os.open(f"{root}/{KERNEL}", os.O_RDONLY | os.O_CLOEXEC)
        initramfs = os.open(f"{root}/{INITRAMFS}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KexecError(f"the slot has no kernel of its own: {error.filename}: {error.strerror}") from error
    text = cmdline.encode() + b"\0"
    try:
        call(_KEXEC_FILE_LOAD[os.uname().machine], kernel, initramfs, len(text), text, 0)
    except OSError as error:
        raise KexecError(f"the slot's kernel cannot be loaded: {error.strerror}") from error
    finally:
        os.close(kernel)
        os.close(initramfs)


def start(syscall: Syscall | None = None) -> None:
    """Start the loaded kernel; returns only with KexecError."""
    os.sync()
    try:
        (syscall or _libc_syscall)(_REBOOT[os.uname().machine], _MAGIC1, _MAGIC2, _CMD_KEXEC, 0)
    except OSError as error:
        raise KexecError(f"the slot's kernel cannot be started: {error.strerror}") from error


def _libc_syscall(number: int, *arguments: int | bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    # Every argument is a machine word: variadic C functions take ints as 32 bits otherwise.
    words = [ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value) for value in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
