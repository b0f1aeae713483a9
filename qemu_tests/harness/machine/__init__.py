"""A machine: a disk, boots, and what happens between them.

| module | what it has |
| --- | --- |
| ``power`` | ``PoweredMachine``: power, boundaries, power cuts, judges, and the waits of a boot |
| ``parts`` | what a power cycle needs: sockets, drives, network cards, a TPM |
| ``links`` | network cards: addresses, cables, ports |
| ``frozen`` | a running machine as files, from which others go on |
| ``shell`` | ``Machine``: commands, logins, files, keys and pictures |
| ``serial`` | a shell on the serial console |
"""

from __future__ import annotations

from qemu_tests.harness.boot import Boundary
from qemu_tests.harness.machine.shell import Machine

__all__ = ["Boundary", "Machine"]
