#!/bin/sh
# Makes a disk that an old BIOS boots by GRUB, which selects one of two slots, and prints where it is.
# Needs grub-pc-bin, grub-common, sgdisk, e2fsprogs and cpio.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# shellcheck source=tiny.sh
. "$here/tiny.sh"
tree=$("$here/tree.sh")
lock grub
modules=/usr/lib/grub/i386-pc
target=$cache/grub-$(fingerprint "$0" "$here/common.sh" "$here/tiny.sh" "$here/tiny" "$here/grub" "$tree" "$modules").raw
[ ! -e "$target" ] || { finish "$target"; exit; }

# In MiB: GRUB's core, what it reads, and the slots.
core_mib=1 boot_mib=48 slot_mib=32
disk=$work/disk
truncate -s $((2 + core_mib + boot_mib + 2 * slot_mib))M "$disk"
sgdisk --clear --new=1:1M:+${core_mib}M --typecode=1:ef02 --change-name=1:grub \
    --new=2:0:+${boot_mib}M --typecode=2:8300 --change-name=2:boot \
    --new=3:0:+${slot_mib}M --typecode=3:8300 --change-name=3:slot-a \
    --new=4:0:+${slot_mib}M --typecode=4:8300 --change-name=4:slot-b "$disk" >/dev/null

unpack "$tree"
mkdir -p "$work/boot/grub"
initramfs "$work/boot/initramfs"
cp "$work/vmlinuz" "$work/boot/vmlinuz"
cp "$here/grub/grub.cfg" "$work/boot/grub/"
grub-editenv "$work/boot/grub/grubenv" create
grub-editenv "$work/boot/grub/grubenv" set good=slot-a trial= tries=0
file_system "$work/boot.ext2" $boot_mib "$work/boot" boot ext2
for name in slot-a slot-b; do slot "$work/$name.ext4" "$name" "$here/grub"; done
place "$work/boot.ext2" "$disk" $((1 + core_mib))
place "$work/slot-a.ext4" "$disk" $((1 + core_mib + boot_mib))
place "$work/slot-b.ext4" "$disk" $((1 + core_mib + boot_mib + slot_mib))

# What grub-install does on a disk that the kernel knows, by hand: the first MiB is sector 2048, where the core begins.
cat >"$work/early.cfg" <<'CONFIG'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set root=(hd0,gpt2)
set prefix=(hd0,gpt2)/grub
configfile (hd0,gpt2)/grub/grub.cfg
CONFIG
grub-mkimage --format=i386-pc --directory="$modules" --config="$work/early.cfg" --prefix='(hd0,gpt2)/grub' --output="$work/core.img" \
    biosdisk part_gpt ext2 normal configfile serial terminal echo test loadenv linux boot
poke() { printf '%b' "$2" | dd of="$disk" bs=1 seek="$1" conv=notrunc status=none; }
dd if="$modules/boot.img" of="$disk" bs=1 count=440 conv=notrunc status=none
place "$work/core.img" "$disk" 1
# Where the boot sector finds the core, and where the first sector of the core finds the rest.
poke $((0x5c)) '\0000\0010\0000\0000\0000\0000\0000\0000'
poke $(((1 << 20) + 0x1f4)) '\0001\0010\0000\0000\0000\0000\0000\0000'
# Trust what the BIOS says the drive is.
poke $((0x66)) '\0220\0220'
keep "$disk" "$target"
finish "$target"
