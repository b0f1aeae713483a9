"""System calls that Python has no function for. Importing ctypes takes longer than a boot: imported only where one is made."""

from __future__ import annotations

import ctypes
import os


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """What the kernel returns. Bytes are passed as a NUL-terminated string, None as a null pointer. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Every argument is a machine word: variadic C functions take ints as 32 bits otherwise.
    words = [ctypes.c_ulong(value) if isinstance(value, int) else ctypes.c_char_p(value) for value in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
