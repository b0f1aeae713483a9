"""The disk of the harness beside the two others that QEMU 7.2 could give it: ``compare`` and ``variables`` (``python -m bench.disk IMAGE``).

One kernel, one initramfs, one image, one virtual machine; only what stands behind its disk differs:

- raw: the file itself, as a floor
- nbd: ``qemu_tests.harness.disk``, a server in Python that keeps unflushed writes apart and logs everything
- blklogwrites: QEMU's own log over its own faults (blkdebug)

Each boots until its slot is healthy, and then writes 120 MiB with an fsync behind them.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.harness.accel import probe
from qemu_tests.harness.disk.log import Write, WriteLog
from qemu_tests.harness.disk.losses import AllLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.disk.nbd import NbdServer
from qemu_tests.harness.hardware.firmware import find_firmware
from qemu_tests.harness.unpack import kernel_of
from qemu_tests.replay.store import store_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qemu_tests.harness.accel import Accelerator

ROUNDS = 5
MIB = 120
DISKS = ("raw", "nbd", "blklogwrites")
_HEALTHY = rb"slotboot: healthy, marked good"
_SHELL = rb"press Enter for a shell"
_SECONDS = 300.0


@dataclass(frozen=True)
class Row:
    """Medians in seconds: from the start of QEMU to the healthy slot, and for the writes; and each as a ratio to that of raw."""

    disk: str
    boot: float
    write: float
    boot_ratio: float
    write_ratio: float


@dataclass(frozen=True)
class Variables:
    """A boot with UEFI: ``writes`` to the variable store, ``states`` of it around them, in how many of these it is lost."""

    writes: int
    states: int
    lost: int


class _Guest:
    """A QEMU whose serial port is read and typed on."""

    def __init__(self, argv: Sequence[str], descriptors: Sequence[int]) -> None:
        self._begin, self._seen = time.monotonic(), b""
        self._console, theirs = socket.socketpair()
        self._console.settimeout(_SECONDS)
        console = ("-chardev", f"socket,id=console,fd={theirs.fileno()}", "-serial", "chardev:console")
        with theirs:
            self._process = subprocess.Popen([*argv, *console], pass_fds=[*descriptors, theirs.fileno()])

    def wait_for(self, pattern: bytes) -> float:
        """Seconds since the start when it came. Raises TimeoutError, RuntimeError when QEMU has ended."""
        while not re.search(pattern, self._seen):
            data = self._console.recv(1 << 16)
            if not data:
                raise RuntimeError(f"QEMU ended before {pattern!r} came: {self._seen[-500:]!r}")
            self._seen += data
        return time.monotonic() - self._begin

    def prompt(self) -> None:
        """Press Enter until a shell answers: what is typed before it listens is lost. Raises TimeoutError."""
        for _ in range(int(_SECONDS)):
            self.type(b"\n")
            self._console.settimeout(1.0)
            with suppress(TimeoutError):
                self.wait_for(rb"[#$] $")
                break
        else:
            raise TimeoutError(f"no shell answers: {self._seen!r}")
        self._console.settimeout(_SECONDS)

    def type(self, text: bytes) -> None:
        """Type, and forget what was seen."""
        self._seen = b""
        self._console.sendall(text)

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        self._console.close()


def _argv(accelerator: Accelerator, start: Sequence[str], blockdev: dict[str, object]) -> list[str]:
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-m", "256"),
        *("-accel", accelerator.name, "-cpu", accelerator.cpu_of("x86_64")),
        *start,
        *("-blockdev", json.dumps(blockdev), "-device", "virtio-blk-pci,drive=disk,bootindex=1"),
    ]


def _nbd(node: str, fd: int) -> dict[str, object]:
    return {"driver": "nbd", "node-name": node, "server": {"type": "fd", "str": str(fd)}, "export": node}


@contextmanager
def _served(disk: MachineDisk) -> Iterator[int]:
    """The descriptor of QEMU's end of the server's socket."""
    ours, theirs = socket.socketpair()
    server = NbdServer(ours, disk.power_on())
    try:
        yield theirs.fileno()
    finally:
        theirs.close()
        server.close()
        disk.power_off(AllLost())


@contextmanager
def _behind(name: str, image: Path, folder: Path) -> Iterator[tuple[dict[str, object], tuple[int, ...]]]:
    """What stands behind the disk, and the descriptors that it needs. ``image`` may be written, except by ours."""
    file = {"driver": "file", "filename": str(image)}
    if name == "raw":
        yield {"driver": "raw", "node-name": "disk", "file": file}, ()
    elif name == "nbd":
        with _served(MachineDisk(image, folder)) as fd:
            yield _nbd("disk", fd), (fd,)
    else:
        log = folder / "blklogwrites.log"
        log.write_bytes(b"")
        faulty = {"driver": "blkdebug", "image": {"driver": "raw", "file": file}}
        yield (
            {
                "driver": "blklogwrites",
                "node-name": "disk",
                "file": faulty,
                "log": {"driver": "file", "filename": str(log)},
                "log-sector-size": 512,
            },
            (),
        )


def _measure(name: str, image: Path, start: Sequence[str], accelerator: Accelerator) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=image.parent) as folder, ExitStack() as stack:
        copy = Path(shutil.copy(image, folder))
        blockdev, descriptors = stack.enter_context(_behind(name, copy, Path(folder)))
        guest = _Guest(_argv(accelerator, start, blockdev), descriptors)
        stack.callback(guest.close)
        boot = guest.wait_for(_HEALTHY)
        guest.wait_for(_SHELL)
        guest.prompt()
        begin = time.monotonic()
        # In two parts, so that the echo of the command is not taken for its end.
        place = (image.stat().st_size >> 20) - MIB - 1
        guest.type(
            f"dd if=/dev/zero of=/dev/vda bs=1M seek={place} count={MIB} conv=fsync; echo 'do''ne' $?\n".encode()
        )
        guest.wait_for(rb"done 0")
        return boot, time.monotonic() - begin


def compare(image: Path, folder: Path, rounds: int = ROUNDS, disks: Sequence[str] = DISKS) -> list[Row]:
    """Medians of ``rounds`` for each of ``disks``, raw among them, one after another in each round. ``image`` is the default one, raw."""
    accelerator, direct = probe(), kernel_of(image, folder / "kernel")
    start = ["-machine", "q35", "-kernel", str(direct.kernel), "-initrd", str(direct.initramfs)]
    start += ["-append", direct.command_line]
    larger = Path(shutil.copy(image, folder / "larger.raw"))
    with larger.open("r+b") as file:
        file.truncate(image.stat().st_size + ((MIB + 8) << 20))
    subprocess.run(["sgdisk", "--move-second-header", str(larger)], check=True, capture_output=True)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in disks}
    for _ in range(rounds):
        for name, times in found.items():
            times.append(_measure(name, larger, start, accelerator))
    medians = {name: [statistics.median(each) for each in zip(*times, strict=True)] for name, times in found.items()}
    floor = medians["raw"]
    return [Row(name, boot, write, boot / floor[0], write / floor[1]) for name, (boot, write) in medians.items()]


def variables(image: Path, folder: Path) -> Variables:
    """Boot ``image`` with UEFI firmware whose variable store is a disk of ours as well."""
    firmware, log = find_firmware(), WriteLog(folder / "both.log")
    disk = MachineDisk(image, folder, log=log)
    chip = MachineDisk(firmware.variables, folder, "variables", log=log, write_through=True)
    code = {"driver": "file", "node-name": "code", "filename": str(firmware.code), "read-only": True}
    with _served(disk) as first, _served(chip) as second, ExitStack() as stack:
        start = ["-blockdev", json.dumps(code), "-blockdev", json.dumps(_nbd("vars", second))]
        start += ["-machine", "q35,pflash0=code,pflash1=vars"]
        guest = _Guest(_argv(probe(), start, _nbd("disk", first)), (first, second))
        stack.callback(guest.close)
        guest.wait_for(_HEALTHY)
    states = [state for around in store_states(chip.recording()).values() for state in around]
    writes = sum(isinstance(entry, Write) and entry.disk == chip.name for entry in log.entries)
    return Variables(writes, len(states), sum(bool(state.problem) for state in states))


def main() -> None:
    """Print both as JSON."""
    with tempfile.TemporaryDirectory() as name:
        image, folder = Path(sys.argv[1]), Path(name)
        rows = [asdict(row) for row in compare(image, folder)]
        json.dump({"disks": rows, "variables": asdict(variables(image, folder))}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
