"""The Debian of the cluster: that of the network's story, with etcd, and with the example ``examples/cluster`` in its places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.story.debian import build_in_debian
from qemu_tests.story.network import system as network
from qemu_tests.story.network.pipeline import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXAMPLE = "examples/cluster"
PACKAGES = (*network.PACKAGES, "libpam-systemd", "etcd-server", "etcd-client")
INSTALL = rf"""
from={EXAMPLE}
install -D -m 755 -t "$1/usr/lib/cluster" "$from/machine" "$from/etcd" "$from/serve"
install -D -m 644 "$from/etcd.conf" "$1/etc/systemd/system/etcd.service.d/cluster.conf"
install -D -m 644 -t "$1/usr/lib/tmpfiles.d" "$from/cluster.conf"
install -D -m 644 -t "$1/usr/lib/systemd/system" "$from/website.service"
install -D -m 755 -t "$1/etc/slotboot/pre-reboot.d" "$from/pre-reboot.d/10-website"
install -D -m 755 -t "$1/etc/slotboot/post-good.d" "$from/post-good.d/10-website"
install -D -m 644 -t "$1/etc/coreos" "$from/cloud-config.yml"
sed '1s,.*,#!/usr/bin/python3,' "$packages/bin/locksmithctl" >"$1/usr/bin/locksmithctl"
chmod +x "$1/usr/bin/locksmithctl"
chroot "$1" systemctl --quiet enable etcd.service website.service slotboot-machine-id.service
"""
"""Beside ``network.TARBALL``, and with its variables."""
FSTAB = """tmpfs /var tmpfs mode=0755 0 0
PARTLABEL=STATE /var/lib ext4 defaults 0 2
"""
AGENT = """
[update]
repository = "{url}"
tries = 1

[check]
first = "20s"
interval = "1m"
jitter = "10s"
"""


def cluster_tarball() -> Path:
    """The root of that Debian as a tar archive, in the cache. Raises ToolFailedError."""
    script = network.TARBALL.replace(network.MORE, INSTALL)
    return build_in_debian(PACKAGES, script, "debian-cluster", (*network.SOURCES, EXAMPLE)) / "root.tar"


def recipe(hosts: Mapping[str, str]) -> Recipe:
    """What the slots of the cluster have: names of the machines (-> addresses), and etcd's data on the partition that lasts."""
    names = "".join(f"{address} {name}\n" for name, address in hosts.items())
    files = {"/etc/hosts": f"127.0.0.1 localhost\n{names}", "/etc/fstab": FSTAB}
    return Recipe(AGENT, files, state="512M")
