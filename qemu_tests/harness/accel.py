"""Which accelerator runs guests here, and how fast.

That ``/dev/kvm`` can be opened, or that a virtual machine can be created, says little: on some hosts its guests never make
progress. So a tiny guest is really run: it enters protected mode, counts, and says that it arrived.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import NoAcceleratorError
from qemu_tests.harness.tools import find_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Run = Callable[[Sequence[str], float], tuple[int | None, str]]
    """(argv, seconds) -> (exit code, or None when the time was up; last line on standard error)."""

QEMU = "qemu-system-x86_64"
KVM_SECONDS, TCG_SECONDS = 3.0, 60.0
NOMINAL_SECONDS = 0.6
"""What the probe takes under TCG on an idle machine of the kind that the base deadlines were chosen on."""
_ARRIVED = 0x2A
_ARRIVED_EXIT = _ARRIVED << 1 | 1
"""isa-debug-exit ends QEMU with twice the value, plus one."""


@dataclass(frozen=True)
class Accelerator:
    """``kvm`` or ``tcg``, why this one, and how many seconds the probe guest took with it."""

    name: str
    reason: str
    seconds: float

    def cpu_of(self, arch: str) -> str:
        """The processor model: with a source of random numbers, or the first Python of a boot waits for entropy."""
        if self.name == "kvm":
            return "host"
        return "max" if arch == "aarch64" else "qemu64,+rdrand"

    @property
    def slowdown(self) -> float:
        """How many times longer than on an idle machine things may take; deadlines are multiplied by it. At least 1."""
        return max(1.0, self.seconds / NOMINAL_SECONDS)


def probe_guest() -> bytes:
    """A firmware image of 64 KiB that enters protected mode, counts down from 10^8, and exits with 0x2A.

    Real mode alone would be emulated by KVM in software and prove nothing.
    """
    image = bytearray(0x10000)

    def put(at: int, code: str) -> None:
        data = bytes.fromhex(code)
        image[at : at + len(data)] = data

    # The image ends at 4 GiB: its offset 0 is address 0xFFFF0000.
    put(0xFFF0, "e9 0d00")  # the reset vector: jmp to offset 0
    put(
        0x00, "fa  66 2e 0f0116 a000  0f20c0 0c01 0f22c0  66 ea 4000ffff 0800"
    )  # cli; lgdt cs:[0xa0]; cr0 |= 1; jmp 8:0x40
    put(0x40, "b9 00e1f505  49  75 fd  66ba f400")  # mov ecx, 10^8; dec ecx; jnz; mov dx, 0xf4 (isa-debug-exit)
    put(0x4C, f"b0 {_ARRIVED:02x}  ee  f4  eb fd")  # out dx, al; hlt
    put(0x80, "0000000000000000  ffff0000009acf00")  # descriptors: none, 32-bit code of 4 GiB
    put(0xA0, "0f00 8000ffff")  # their limit and address
    return bytes(image)


def probe_argv(qemu: str, accelerator: str, bios: Path) -> list[str]:
    """The command that runs the probe guest."""
    return [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35"),
        *("-accel", accelerator),
        *("-m", "64"),
        *("-bios", str(bios)),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    ]


def probe(
    run: Run | None = None, kvm: Path = Path("/dev/kvm"), clock: Callable[[], float] = time.monotonic
) -> Accelerator:
    """Find the accelerator: KVM where the probe guest runs with it within 3 seconds, else TCG.

    Raises MissingToolError without QEMU and NoAcceleratorError when TCG does not run the guest either.
    """
    run = run or _run
    qemu = find_tool(QEMU) if run is _run else QEMU
    with tempfile.TemporaryDirectory(prefix="slotboot-probe-") as folder:
        bios = Path(folder, "probe.bin")
        bios.write_bytes(probe_guest())

        def attempt(name: str, seconds: float) -> tuple[str, float]:
            begin = clock()
            code, said = run(probe_argv(qemu, name, bios), seconds)
            if code == _ARRIVED_EXIT:
                return "", clock() - begin
            if code is None:
                return f"its guests make no progress (nothing within {seconds:.0f} s)", seconds
            return f"QEMU exited with {code}{f': {said}' if said else ''}", clock() - begin

        if os.access(kvm, os.R_OK | os.W_OK):
            problem, seconds = attempt("kvm", KVM_SECONDS)
            if not problem:
                return Accelerator("kvm", f"a guest ran with it in {seconds:.1f} s", seconds)
            reason = f"{kvm} opens, but {problem}"
        else:
            reason = f"{kvm} cannot be opened for reading and writing" if kvm.exists() else f"there is no {kvm}"
        problem, seconds = attempt("tcg", TCG_SECONDS)
        if problem:
            raise NoAcceleratorError(qemu, problem)
        return Accelerator("tcg", f"{reason}; a guest ran without it in {seconds:.1f} s", seconds)


def _run(argv: Sequence[str], seconds: float) -> tuple[int | None, str]:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None, ""
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1] if lines else ""
