# shellcheck shell=sh disable=SC2154
# What the two small images share: an initramfs, and slots of a few MiB with busybox and cgpt.

programs() { # ROOT: from the archive of the tree, unpacked beside
    mkdir -p "$1/bin" "$1/lib64" "$1/lib/x86_64-linux-gnu" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/boot" "$1/mnt" "$1/slot"
    cp "$work/tree/usr/bin/busybox" "$work/tree/usr/bin/cgpt" "$1/bin/"
    for name in $("$work/tree/usr/bin/busybox" --list); do
        [ -e "$1/bin/$name" ] || ln -s busybox "$1/bin/$name"
    done
    cp "$work/tree/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$1/lib64/"
    for library in libc.so.6 libuuid.so.1; do
        cp -L "$work/tree/usr/lib/x86_64-linux-gnu/$library" "$1/lib/x86_64-linux-gnu/"
    done
}

unpack() { # TREE
    mkdir "$work/tree"
    tar --extract --file="$1" --directory="$work/tree" --wildcards './boot/vmlinuz-*' './usr/bin/busybox' './usr/bin/cgpt' \
        './usr/lib/systemd/boot/efi/systemd-bootx64.efi' './usr/lib/x86_64-linux-gnu/ld-linux*' \
        './usr/lib/x86_64-linux-gnu/libc.so*' './usr/lib/x86_64-linux-gnu/libuuid.so*' \
        './usr/lib/modules/*/virtio*.ko' './usr/lib/modules/*failover.ko'
    cp "$work"/tree/boot/vmlinuz-* "$work/vmlinuz"
}

initramfs() { # TARGET
    programs "$work/initramfs"
    cp "$here/tiny/init" "$work/initramfs/init"
    mkdir "$work/initramfs/modules"
    find "$work/tree" -name 'virtio*.ko' -exec cp {} "$work/initramfs/modules/" \;
    find "$work/tree" -name '*failover.ko' -exec cp {} "$work/initramfs/modules/" \;
    (cd "$work/initramfs" && find . | sort | cpio --quiet --create --format=newc --owner=0:0) | gzip -1 -n >"$1"
}

slot() { # TARGET NAME FOLDER: with the files of the folder
    programs "$work/$2"
    mkdir -p "$work/$2/sbin"
    ln -s ../bin/busybox "$work/$2/sbin/init"
    cp -r "$here/tiny/slot/." "$3/slot/." "$work/$2/"
    printf '%s\n' "$2" >"$work/$2/etc/slot"
    printf 'root:%s:19000::::::\n' "$(openssl passwd -6 -salt slot slotboot)" >"$work/$2/etc/shadow"
    file_system "$1" 32 "$work/$2" "$2"
}
