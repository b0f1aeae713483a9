#!/bin/sh
# Makes a Debian 12 with all that the images are made of, and prints where its archive is. Needs mmdebstrap.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
packages=systemd-sysv,udev,dbus,systemd-boot,systemd-resolved,linux-image-cloud-amd64,iproute2,kmod,cgpt,busybox-static
mirror=http://deb.debian.org/debian

# The index names every version that can be installed, so its hash stands for all of them.
/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root download-file "$mirror/dists/bookworm/InRelease" "$work/InRelease" >&2
lock tree
target=$cache/tree-$(fingerprint "$0" "$work/InRelease").tar
if [ ! -e "$target" ]; then
    # shellcheck disable=SC2016  # the hooks are mmdebstrap's to expand
    # No initramfs: the images have their own, or none.
    env INITRD=No mmdebstrap --quiet --variant=minbase --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='echo root:slotboot | chroot "$1" chpasswd' \
        --customize-hook='rm -rf "$1/var/lib/apt/lists" "$1/var/cache/apt" "$1/etc/hostname" "$1/etc/resolv.conf"' \
        bookworm "$work/tree.tar" "deb $mirror bookworm main" >&2
    keep "$work/tree.tar" "$target"
fi
finish "$target"
