#!/bin/sh
# Makes a disk whose initramfs selects one of two slots with cgpt, and prints where it is. Needs sgdisk, cgpt, mtools, e2fsprogs and cpio.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# shellcheck source=tiny.sh
. "$here/tiny.sh"
tree=$("$here/tree.sh")
lock busybox
target=$cache/busybox-$(fingerprint "$0" "$here/common.sh" "$here/tiny.sh" "$here/tiny" "$here/busybox" "$tree").raw
[ ! -e "$target" ] || { finish "$target"; exit; }

esp_mib=64 slot_mib=32
disk=$work/disk esp=$work/esp
truncate -s $((2 + esp_mib + 2 * slot_mib))M "$disk"
sgdisk --clear --new=1:1M:+${esp_mib}M --typecode=1:ef00 --change-name=1:esp \
    --new=2:0:+${slot_mib}M --typecode=2:7f00 --change-name=2:slot-a \
    --new=3:0:+${slot_mib}M --typecode=3:7f00 --change-name=3:slot-b "$disk" >/dev/null
cgpt add -i 2 -P 1 -T 0 -S 1 "$disk"
cgpt add -i 3 -P 0 -T 0 -S 0 "$disk"

unpack "$tree"
initramfs "$work/initramfs.img"
for name in slot-a slot-b; do slot "$work/$name.ext4" "$name" "$here/busybox"; done
place "$work/slot-a.ext4" "$disk" $((1 + esp_mib))
place "$work/slot-b.ext4" "$disk" $((1 + esp_mib + slot_mib))

truncate -s ${esp_mib}M "$esp"
mformat -i "$esp" -F -v ESP ::
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
mcopy -i "$esp" "$work/tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$work/vmlinuz" "$work/initramfs.img" ::/
printf 'timeout 0\n' | mcopy -i "$esp" - ::/loader/loader.conf
printf '%s\n' 'title busybox' 'linux /vmlinuz' 'initrd /initramfs.img' 'options console=ttyS0 panic=1 quiet' |
    mcopy -i "$esp" - ::/loader/entries/busybox.conf
place "$esp" "$disk" 1
keep "$disk" "$target"
finish "$target"
