"""A guest that is a kernel and a BusyBox: it gets its address by DHCP and then runs what comes on its serial console."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from image_builder.boot.cpio import character_device, file, folder, link, write_archive
from image_builder.cache import Cache
from image_builder.distribution.kernel import target_kernel
from image_builder.distribution.packages import TargetPackages
from image_builder.run import SystemRunner
from qemu_tests.harness.accel import QEMU
from qemu_tests.harness.process import Process

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.network.network import Network, Plug

MODULES = ("virtio_pci", "virtio_net", "af_packet")
_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in $(cat /modules.list); do insmod $module; done
ip link set lo up
ip link set eth0 up
stty -echo
udhcpc -q -f -n -t 20 -T 1 -i eth0 -s /bound 2>&1
echo "=ready="
while read -r line; do
    (eval "$line") 2>&1 </dev/null
    echo "=exit $?="
done
poweroff -f
"""
_BOUND = """\
#!/bin/busybox sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev eth0
ip addr add "$ip/$mask" dev eth0
hostname "$hostname"
echo "search $domain" > /etc/resolv.conf
for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done
"""


@dataclass(frozen=True)
class GuestFiles:
    """What every guest boots."""

    kernel: Path
    initramfs: Path


def build_guest(target: Path, cache: Path) -> GuestFiles:
    """Make the initramfs in the folder ``target``. Raises what ``TargetPackages.packages`` raises."""
    packages = TargetPackages(SystemRunner(), Cache(cache))
    kernel = target_kernel(packages)
    root = packages.package("busybox-static").root
    busybox = next(path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.is_file())
    modules = kernel.module_files(MODULES)
    names = [f"/lib/modules/{number:02}-{module.name}" for number, module in enumerate(modules)]
    entries = [
        file("bin/busybox", busybox, 0o755),
        link("bin/sh", "busybox"),
        file("init", _INIT.encode(), 0o755),
        file("bound", _BOUND.encode(), 0o755),
        file("modules.list", "\n".join(names).encode()),
        *(file(name[1:], module) for name, module in zip(names, modules, strict=True)),
        *(folder(name) for name in ("proc", "sys", "etc")),
        character_device("dev/console", 5, 1),
        character_device("dev/null", 1, 3, 0o666),
        character_device("dev/zero", 1, 5, 0o666),
        character_device("dev/urandom", 1, 9, 0o666),
    ]
    initramfs = target / "busybox.cpio"
    with initramfs.open("wb") as stream:
        write_archive(stream, entries)
    return GuestFiles(kernel.image, initramfs)


class BusyboxGuest:
    """A running guest, plugged into a network. Use it as a context manager; leaving it cuts its power."""

    def __init__(
        self, name: str, files: GuestFiles, network: Network, accelerator: Accelerator, log: Path, seconds: float
    ) -> None:
        """Power on; ``seconds`` is the deadline for each thing that is asked of the guest. ``ready`` waits for it."""
        self.name, self._seconds, self._seen = name, seconds, ""
        self.plug: Plug = network.plug(name)
        self._console, theirs = socket.socketpair()
        argv = [
            *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"),
            *("-accel", accelerator.name, "-cpu", accelerator.cpu_of("x86_64"), "-m", "128"),
            *("-kernel", str(files.kernel), "-initrd", str(files.initramfs)),
            *("-append", "console=ttyS0 quiet panic=-1", "-no-reboot"),
            *("-chardev", f"socket,id=serial,fd={theirs.fileno()}", "-serial", "chardev:serial"),
            *("-netdev", f"socket,id=net0,fd={self.plug.fd}"),
            *("-device", f"virtio-net-pci,netdev=net0,mac={self.plug.mac},romfile="),
        ]
        self.process = Process(argv, log, [theirs.fileno(), self.plug.fd])
        theirs.close()
        self.plug.close_fd()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.power_cut()

    def power_cut(self) -> None:
        """Kill it and pull out its cable. Harmless when it is off."""
        self.process.kill()
        self._console.close()
        self.plug.unplug()

    def ready(self) -> Self:
        """Wait until it takes commands, with or without an address."""
        self._wait(r"=ready=\r?\n")
        return self

    def run(self, command: str, expected: int = 0) -> str:
        """What a shell command said. AssertionError when it exited otherwise than ``expected``."""
        self._console.sendall(command.encode() + b"\n")
        said, code = self._wait(r"=exit (\d+)=\r?\n")
        assert int(code) == expected, f"{self.name}: {command}: exited with {code}: {said}"
        return said

    def _wait(self, pattern: str) -> tuple[str, str]:
        deadline = time.monotonic() + self._seconds
        while not (found := re.search(pattern, self._seen)):
            self._console.settimeout(max(0.01, deadline - time.monotonic()))
            data = b""
            with suppress(TimeoutError):
                data = self._console.recv(65536)
            if not data:
                raise AssertionError(
                    f"{self.name}: no {pattern} within {self._seconds:.0f} s, or it ended: {self._seen}"
                )
            self._seen += data.decode(errors="replace").replace("\r", "")
        said = self._seen[: found.start()]
        self._seen = self._seen[found.end() :]
        return said, found[1] if found.re.groups else ""
