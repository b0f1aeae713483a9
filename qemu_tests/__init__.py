"""Boots real disk images in QEMU: machines with an honest disk, faults, power cuts, and a pytest plugin.

    from qemu_tests import Lab

    with Lab.open(Path("work")).machine("m1", Path("appliance.raw")) as machine:
        machine.boot()
        print(machine.wait_until_ready().label)

The public names are here, and loaded when they are used. Nothing outside ``plugin``, ``report.pytest_run`` and ``suites``
imports pytest, so that programs can use the harness as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib import __version__ as __version__

if TYPE_CHECKING:
    from qemu_tests.errors import LabError as LabError
    from qemu_tests.harness.boot import Boundary as Boundary
    from qemu_tests.harness.control import Ready as Ready
    from qemu_tests.harness.control import Result as Result
    from qemu_tests.harness.disk.faults import BadFlush as BadFlush
    from qemu_tests.harness.disk.faults import BadSector as BadSector
    from qemu_tests.harness.disk.faults import CutAfter as CutAfter
    from qemu_tests.harness.disk.faults import CutAt as CutAt
    from qemu_tests.harness.disk.faults import CutAtLine as CutAtLine
    from qemu_tests.harness.disk.faults import CutAtWrite as CutAtWrite
    from qemu_tests.harness.disk.faults import FullDisk as FullDisk
    from qemu_tests.harness.disk.faults import ReadOnlyDisk as ReadOnlyDisk
    from qemu_tests.harness.disk.faults import SlowDisk as SlowDisk
    from qemu_tests.harness.disk.losses import AllLost as AllLost
    from qemu_tests.harness.disk.losses import NewestLost as NewestLost
    from qemu_tests.harness.disk.losses import NothingLost as NothingLost
    from qemu_tests.harness.disk.losses import OldestLost as OldestLost
    from qemu_tests.harness.disk.losses import SomeLost as SomeLost
    from qemu_tests.harness.hardware import Bios as Bios
    from qemu_tests.harness.hardware import DirectKernel as DirectKernel
    from qemu_tests.harness.hardware import Hardware as Hardware
    from qemu_tests.harness.hardware import PrivateNetwork as PrivateNetwork
    from qemu_tests.harness.hardware import Uefi as Uefi
    from qemu_tests.harness.hardware import UserNetwork as UserNetwork
    from qemu_tests.harness.judges import Verdict as Verdict
    from qemu_tests.harness.lab import Lab as Lab
    from qemu_tests.harness.machine import Machine as Machine
    from qemu_tests.harness.machine.frozen import Frozen as Frozen
    from qemu_tests.harness.network.network import Network as Network
    from qemu_tests.harness.unpack import kernel_of as kernel_of

_MODULES = {
    "errors": ("LabError",),
    "harness.boot": ("Boundary",),
    "harness.control": ("Ready", "Result"),
    "harness.disk.faults": (
        *(
            "BadFlush",
            "BadSector",
            "CutAfter",
            "CutAt",
            "CutAtLine",
            "CutAtWrite",
            "FullDisk",
            "ReadOnlyDisk",
            "SlowDisk",
        ),
    ),
    "harness.disk.losses": ("AllLost", "NewestLost", "NothingLost", "OldestLost", "SomeLost"),
    "harness.hardware": ("Bios", "DirectKernel", "Hardware", "PrivateNetwork", "Uefi", "UserNetwork"),
    "harness.judges": ("Verdict",),
    "harness.lab": ("Lab",),
    "harness.machine": ("Machine",),
    "harness.machine.frozen": ("Frozen",),
    "harness.network.network": ("Network",),
    "harness.unpack": ("kernel_of",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605  # one list; a test compares it with the names above


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
