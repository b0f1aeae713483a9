"""Hands over to the slot's own kernel and initramfs, so that the kernel is updated with the slot.

Imported only where ``hand-over=kexec`` is set: ctypes costs more than everything else on the boot path.
"""

from __future__ import annotations

import os

from bootselect.formats.slot_files import CMDLINE, HANDED_OVER, INITRAMFS, KERNEL
from bootselect.initramfs.cmdline import NODE, SLOT_PARAMETERS, name_of, split
from bootselect.initramfs.files import open_in_slot, read_from_slot
from bootselect.initramfs.mount import InitramfsError, UnusableSlotError
from gptlib.linux.syscall import syscall as _syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Syscall = Callable[..., int]

_KEXEC_FILE_LOAD = {"x86_64": 320, "aarch64": 294}
_REBOOT = {"x86_64": 169, "aarch64": 142}
_MAGIC1, _MAGIC2, _CMD_KEXEC = 0xFEE1DEAD, 672274793, 0x45584543
"""linux/reboot.h."""


class KexecError(UnusableSlotError):
    """The slot's kernel cannot be loaded."""


class KexecStartError(InitramfsError):
    """A kernel that was loaded cannot be started: the running kernel refuses, whatever the slot is."""


def command_line(root: str, partuuid: str, label: str, own: str) -> str:
    """The command line of the slot's kernel: the slot's own, and which slot it is and that it has been chosen already.

    ``own`` is the command line of the running kernel, which counts where the slot has none. Whatever in it names a slot gives
    way to this one. Raises KexecError.
    """
    try:
        given = read_from_slot(f"{root}/{CMDLINE}")
    except FileNotFoundError:
        given = own
    except OSError as error:
        raise KexecError(
            f"the command line of the slot's kernel cannot be read: {CMDLINE}: {error.strerror}"
        ) from error
    words = [named for word in split(given) if (named := _about_this_slot(word, partuuid))]
    words += [f"root=PARTUUID={partuuid}", f"slot={_one_word(label)}", f"{HANDED_OVER}{partuuid}"]
    return " ".join([*(_quoted(word) for word in words), "bootselect.hand-over=switch_root"])


_GIVES_WAY = ("root=", "usr=", "slot=", "bootselect.hand-over=", HANDED_OVER)
_PLAIN = "#+-.:=@_"


def _about_this_slot(word: str, partuuid: str) -> str:
    """The word, with another slot that it names replaced by this one; empty where it has to go."""
    if word.startswith(_GIVES_WAY):
        return ""
    parameter, _, value = word.partition("=")
    if parameter in SLOT_PARAMETERS and name_of(value).kind != NODE:
        return f"{parameter}=PARTUUID={partuuid}"
    return word


def _one_word(label: str) -> str:
    r"""A label that adds no word to a command line, in the form of udev's links: ``\x20`` for a blank."""
    return "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in _PLAIN else _hexadecimal(letter)
        for letter in label
    )


def _hexadecimal(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def load(root: str, cmdline: str, syscall: Syscall | None = None) -> None:
    """Load the kernel and initramfs of the slot mounted on ``root``. Raises KexecError."""
    call = syscall or _syscall
    opened: list[int] = []
    try:
        opened.append(open_in_slot(f"{root}/{KERNEL}"))
        opened.append(open_in_slot(f"{root}/{INITRAMFS}"))
    except OSError as error:
        _close(opened)
        raise KexecError(f"the slot has no kernel of its own: {error.filename}: {error.strerror}") from error
    text = cmdline.encode("utf-8", "replace") + b"\0"
    try:
        call(_KEXEC_FILE_LOAD[os.uname().machine], *opened, len(text), text, 0)
    except OSError as error:
        raise KexecError(f"the slot's kernel cannot be loaded: {error.strerror}") from error
    finally:
        _close(opened)


def _close(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)


def start(syscall: Syscall | None = None) -> None:
    """Start the loaded kernel; returns only with KexecStartError."""
    os.sync()
    try:
        (syscall or _syscall)(_REBOOT[os.uname().machine], _MAGIC1, _MAGIC2, _CMD_KEXEC, 0)
    except OSError as error:
        raise KexecStartError(f"the slot's kernel cannot be started: {error.strerror}") from error
