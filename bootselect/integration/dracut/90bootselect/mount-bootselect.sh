#!/bin/sh
if [ "$root" = bootselect ] && ! ismounted "$NEWROOT"; then
    for module in erofs squashfs efivarfs; do modprobe -q "$module"; done
    ismounted /sys/firmware/efi/efivars || mount -t efivarfs -o ro efivarfs /sys/firmware/efi/efivars 2>/dev/null
    mkdir -p /slot
    if /usr/bin/python3 -I -S -B -c 'from bootselect.initramfs.selector import main; main()'; then
        mount --move /slot "$NEWROOT"
    else
        die "bootselect: no slot could be booted; dmesg shows what was found"
    fi
fi
