"""What the selector needs in an initramfs, whoever builds it.

Only what nobody can compute is declared here; the modules that follow from it are found by ``closure``, their libraries and
what a kernel module depends on by the tools that copy them.
"""

from __future__ import annotations

PACKAGES = ("bootselect", "gptlib")
"""Ours: what their functions import must be there."""
ENTRY_POINTS = ("bootselect.initramfs.selector", "bootselect.initramfs.rescue")
"""What ``/init`` and the boot scripts call. All other modules follow from these."""
EVERY_BOOT = ("bootselect.initramfs.selector", "gptlib.write.table")
"""What every boot loads, sooner or later: these and what they import, unless in functions, may be one file (``inside/importer.py``)."""
KEXEC = ("bootselect.initramfs.kexec",)
"""Only for ``hand-over=kexec``: with ctypes, which it alone imports, a sixtieth of an initramfs."""
START = ("-I", "-S", "-B", "-c")
"""How they start the interpreter. It is started in the same way to see what it loads: Python 3.13 imports linecache for ``-c``."""
LANDMARK = "os.py"
"""The interpreter finds its library by this file (``Modules/getpath.py``) and never loads it: it has a frozen copy."""
NOT_SHIPPED = ("_bz2", "_hashlib", "_lzma", "_ssl", "_uuid", "readline")
"""Extension modules that the standard library can do without and whose libraries (OpenSSL and so on) stay out of images."""
OPTIMIZATION = 2
"""Without docstrings and assertions: nothing of an initramfs reads them."""

FIRMWARE_VARIABLES = ("efivarfs",)
"""Kernel modules that say which partition the firmware booted from."""
VERITY = ("dm_verity", "sha256")
"""Kernel modules for sealed slots. The kernel asks for the hash only when a slot is opened, so no dependency names it."""
WATCHDOGS = ("=drivers/watchdog",)
"""A folder of kernel modules: which of them drives the watchdog is known to the machine that boots only."""
