#!/bin/bash
# shellcheck disable=SC2154  # dracut sets initdir and moddir
# dracut module: with root=bootselect on the kernel's command line, the root file system is the slot that the selector mounts.
# Install the folder as /usr/lib/dracut/modules.d/90bootselect and add it with --add bootselect.
# Whatever fails here ends dracut: the machine keeps the initramfs that it has.

bootselect_stage() {
    # Python looks for modules in the current folder first.
    (cd / && /usr/bin/python3 -m bootselect.integration.stage "$@")
}

check() {
    local said
    said=$(bootselect_stage --kernel-modules 2>&1 >/dev/null) || {
        dwarning "bootselect: ${said##*$'\n'}"
        return 1
    }
    return 255
}

depends() {
    echo rootfs-block
}

installkernel() {
    local modules need module
    modules=$(bootselect_stage --kernel-modules) || return 1
    hostonly='' instmods virtio_pci virtio_blk
    while read -r need module; do
        if [[ $need == required ]]; then
            hostonly='' instmods -c "$module" || {
                dfatal "bootselect: no $module, without which no slot boots; see /etc/bootselect/boot.conf"
                return 1
            }
        else
            hostonly='' instmods "$module"
        fi
    done <<<"$modules"
}

install() {
    local staged source place
    # dracut goes on when this function fails, so it has to exit.
    staged=$(bootselect_stage "$initdir") || exit 1
    while IFS=$'\t' read -r source place; do
        inst_binary "$source" "$place" || exit 1
        # In the end dracut adds the libraries of what is executable, which extension modules are not on Debian.
        chmod +x "$initdir$place"
    done <<<"$staged"
    inst_multiple mount umount || exit 1
    inst_hook cmdline 30 "$moddir/parse-bootselect.sh"
    inst_hook pre-mount 90 "$moddir/mount-bootselect.sh"
}
