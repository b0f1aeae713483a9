#!/bin/sh
# Makes a disk with Debian 12, systemd-boot and two slots, and prints where it is. Needs sgdisk, cgpt, mtools and e2fsprogs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
tree=$("$here/tree.sh")
lock debian
target=$cache/debian-$(fingerprint "$0" "$here/common.sh" "$here/debian" "$tree").raw
[ ! -e "$target" ] || { finish "$target"; exit; }

esp_mib=64 slot_mib=448
disk=$work/disk esp=$work/esp
truncate -s $((2 + esp_mib + 2 * slot_mib))M "$disk"
sgdisk --clear --disk-guid=5d1a0000-0000-4000-8000-000000000000 \
    --new=1:1M:+${esp_mib}M --typecode=1:ef00 --change-name=1:esp \
    --new=2:0:+${slot_mib}M --typecode=2:8304 --change-name=2:root-a \
    --new=3:0:+${slot_mib}M --typecode=3:8304 --change-name=3:root-b \
    --partition-guid=2:5d1a0000-0000-4000-8000-00000000000a \
    --partition-guid=3:5d1a0000-0000-4000-8000-00000000000b "$disk" >/dev/null
cgpt add -i 2 -P 1 -T 0 -S 1 "$disk"
cgpt add -i 3 -P 0 -T 0 -S 0 "$disk"

cat >"$work/make-slot" <<'SCRIPT'
set -eu
mkdir "$1"
tar --extract --file="$2" --directory="$1" --exclude='./dev/*'
cp -r "$3/." "$1/"
: >"$1/etc/machine-id"
ln -sf /run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"
systemctl --quiet --root="$1" enable systemd-networkd systemd-resolved slot-good web web-answers
systemctl --quiet --root="$1" disable systemd-networkd-wait-online
for unit in getty@tty1.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    dpkg-db-backup.timer systemd-tmpfiles-clean.timer systemd-pstore.service systemd-random-seed.service \
    systemd-sysusers.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-binfmt.service systemd-network-generator.service \
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
systemctl --quiet --root="$1" set-default multi-user.target
mkdir "$1/efi"
mke2fs -q -t ext4 -d "$1" "$4" "$5" >/dev/null
SCRIPT
owned_by_root sh "$work/make-slot" "$work/root" "$tree" "$here/debian" "$work/slot" ${slot_mib}M
place "$work/slot" "$disk" $((1 + esp_mib))
place "$work/slot" "$disk" $((1 + esp_mib + slot_mib))

truncate -s ${esp_mib}M "$esp"
mformat -i "$esp" -F -v ESP ::
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries ::/debian
mcopy -i "$esp" "$work/root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$work"/root/boot/vmlinuz-* ::/debian/vmlinuz
printf 'timeout 0\n' | mcopy -i "$esp" - ::/loader/loader.conf
sed 's/@SLOT@/a/g; s/@VERSION@/1/' "$here/debian/usr/local/share/entry.conf" | mcopy -i "$esp" - ::/loader/entries/slot-a.conf
place "$esp" "$disk" 1
keep "$disk" "$target"
finish "$target"
