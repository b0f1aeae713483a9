"""A Debian with systemd, a kernel and the agent, installed as a user installs it: the wheel with its extra, the units, a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.story.debian import COMPILED, build_in_debian

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = ("bin", "bootselect", "docs/man", "gptlib", "update_agent")
PACKAGES = (
    *("systemd-sysv", "dbus", "udev", "login", "util-linux", "iproute2", "kmod", "linux-image-cloud-amd64"),
    "python3",
)
MODULES = "virtio_net virtio_blk virtio_pci virtio_scsi erofs vfat efivarfs loop nls_ascii nls_cp437"
MORE = "# more goes here\n"
"""Where a script may be put into ``TARBALL``."""
TARBALL = rf"""
set -e
work=$(mktemp -d)
git ls-files -z {" ".join(SOURCES)} pyproject.toml MANIFEST.in README.md LICENSE |
    tar --create --null --files-from=- | tar --extract --directory="$work"
# As a user does: the wheel with its extra, for the system's Python.
packages="$1/usr/lib/python3/dist-packages"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --target "$packages" "$work[agent]"
rm -r "$work"
for program in updatectl bootselect gptctl update_engine_client; do
    sed '1s,.*,#!/usr/bin/python3,' "$packages/bin/$program" >"$1/usr/bin/$program"
    chmod +x "$1/usr/bin/$program"
done
cp bootselect/integration/systemd/*.service update_agent/integration/systemd/*.service "$1/usr/lib/systemd/system/"
mkdir -p "$1/usr/share/dbus-1/system.d" && cp update_agent/integration/dbus/*.conf "$1/usr/share/dbus-1/system.d/"
printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/20-ether.network"
chroot "$1" systemctl --quiet enable bootselect-health.service bootselect-mark-good.service slotboot-update.service systemd-networkd.service
{MORE}rm -r "$packages/bin"
{COMPILED}# Nothing of these is needed, and under emulation they take most of the time.
chroot "$1" systemctl --quiet mask getty@tty1.service apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-tmpfiles-clean.timer \
    systemd-update-utmp.service systemd-hwdb-update.service systemd-networkd-wait-online.service
chroot "$1" systemctl --quiet set-default multi-user.target
sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
printf '%s\n' 'tmpfs /var tmpfs mode=0755 0 0' 'PARTLABEL=STATE /var/lib/slotboot ext4 defaults 0 2' >"$1/etc/fstab"
: >"$1/etc/machine-id"
# systemd would take it for every machine's; mmdebstrap removes it, but only after this.
rm -f "$1/var/lib/dbus/machine-id"
# Of the kernel's modules those that this machine has a use for.
release=$(basename "$1"/lib/modules/*)
for module in {MODULES}; do
    chroot "$1" modprobe --set-version="$release" --show-depends "$module" || true
done | sed -n "s,^insmod \([^ ]*\).*,$1\1,p" | sort -u >"$2/kept"
find "$1/lib/modules/$release" -name '*.ko' | sort | comm -23 - "$2/kept" | xargs rm
chroot "$1" depmod "$release"
rm -rf "$1/usr/share/man" "$1/usr/share/perl" "$1/usr/lib/x86_64-linux-gnu/perl" "$1/usr/lib/x86_64-linux-gnu/gconv"
rm -rf "$1/usr/lib/udev/hwdb.bin" "$1/usr/lib/udev/hwdb.d"
rm -rf "$1/var/lib/apt/lists" "$1/var/cache/apt" "$1"/boot/initrd.img-* "$1"/boot/System.map-*
tar --create --file="$2/root.tar" --directory="$1" --numeric-owner --xattrs --xattrs-include='*' --sort=name \
    --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' .
"""
"""Run by mmdebstrap outside of the new Debian: $1 is its root, $2 the folder for the tarball of it."""


def agent_tarball() -> Path:
    """The root of that Debian as a tar archive, in the cache. Raises ToolFailedError."""
    return build_in_debian(PACKAGES, TARBALL.replace(MORE, ""), "debian-agent", SOURCES) / "root.tar"
