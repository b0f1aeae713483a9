#!/bin/bash
# dracut module: with root=bootselect on the kernel's command line, the root file system is the slot that the selector mounts.
# Install the folder as /usr/lib/dracut/modules.d/90bootselect and add it with --add bootselect.

check() {
    /usr/bin/python3 -c 'import bootselect.integration.stage' 2>/dev/null || return 1
    return 255
}

depends() {
    echo rootfs-block
}

installkernel() {
    hostonly='' instmods erofs squashfs dm-verity efivarfs virtio_pci virtio_blk
}

install() {
    local source place
    while IFS=$'\t' read -r source place; do
        inst_binary "$source" "$place"
    done < <(/usr/bin/python3 -m bootselect.integration.stage "$initdir")
    inst_multiple mount umount
    mkdir -p "$initdir/slot"
    inst_hook cmdline 30 "$moddir/parse-bootselect.sh"
    inst_hook mount 10 "$moddir/mount-bootselect.sh"
}
