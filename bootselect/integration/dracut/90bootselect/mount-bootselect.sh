#!/bin/sh
# shellcheck disable=SC2154  # dracut sets root
# Run before systemd, where dracut has it, would mount root= itself: it finds the root file system mounted.
if [ "$root" = bootselect ] && ! ismounted "$NEWROOT"; then
    # The kernel loads the driver of a file system that is mounted, but not that of a device which nobody has made yet.
    modprobe -q dm_verity
    ismounted /sys/firmware/efi/efivars || mount -t efivarfs -o ro efivarfs /sys/firmware/efi/efivars 2>/dev/null
    mkdir -p /slot
    /usr/bin/python3 -I -S -B -c 'from bootselect.initramfs.selector import main; main()' ||
        die "bootselect: no slot could be booted; dmesg shows what was found. These help: bootselect status, bootselect mark-good SLOT"
    # systemd unmounts the root file system when its device goes. A sealed slot that was passed over had a device of the same
    # name: that it went has to be known before.
    udevadm settle --timeout=10
    # Not moved, which cannot be done with the shared mounts that systemd makes.
    { mount --bind /slot "$NEWROOT" && umount /slot; } || die "bootselect: the slot cannot be mounted on $NEWROOT"
fi
