"""What a machine is made of, and the command line of QEMU that follows from it.

| module | what it has |
| --- | --- |
| ``values`` | ``Hardware`` and its parts: ``Uefi``, ``Bios``, ``DirectKernel``, ``UserNetwork``, ``PrivateNetwork`` |
| ``firmware`` | where the firmware is installed |
| ``wires`` | ``Wiring``: the sockets between QEMU and the harness |
| ``command_line`` | the one place that knows QEMU's options |
"""

from __future__ import annotations

from qemu_tests.harness.hardware.values import (
    Bios,
    DirectKernel,
    Hardware,
    PrivateNetwork,
    Uefi,
    UserNetwork,
)

__all__ = ["Bios", "DirectKernel", "Hardware", "PrivateNetwork", "Uefi", "UserNetwork"]
