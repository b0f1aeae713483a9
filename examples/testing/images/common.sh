# shellcheck shell=sh
# What the builders share. The images are kept in the cache under a hash of all that goes into them.
umask 022
LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1700000000
export LC_ALL TZ SOURCE_DATE_EPOCH
PATH=$PATH:/usr/sbin:/sbin
cache=${XDG_CACHE_HOME:-$HOME/.cache}/testing-images
mkdir -p "$cache"
work=$(mktemp -d "$cache/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() { printf '%s\n' "$(basename "$0"): $*" >&2; exit 1; }

fingerprint() { # WHAT... (files, folders, or words)
    for what in "$@"; do
        if [ -e "$what" ]; then
            find "$what" -type f -exec sha256sum {} + | cut -d' ' -f1 | sort
        else
            printf '%s\n' "$what"
        fi
    done | sha256sum | cut -c1-16
}

lock() { # NAME: two tests that want the same image at once build it once
    exec 9>"$cache/.$1.lock"
    flock 9
}

keep() { # BUILT TARGET: what was not asked for in a week makes room
    mv "$1" "$2"
    find "$cache" -mindepth 1 -maxdepth 1 ! -name '.*' -mtime +7 -exec rm -rf {} +
}

finish() { # TARGET
    touch "$1"
    printf '%s\n' "$1"
}

owned_by_root() { # COMMAND...: files that it makes belong to root, for this command
    if [ "$(id -u)" = 0 ]; then "$@"; else fakeroot -- "$@"; fi
}

file_system() { # TARGET MIB FOLDER LABEL [TYPE]
    truncate -s "$2M" "$1"
    owned_by_root mke2fs -q -t "${5:-ext4}" -L "$4" -d "$3" "$1" >/dev/null
}

place() { # FILE DISK FIRST-MIB
    dd if="$1" of="$2" bs=1M seek="$3" conv=notrunc,sparse status=none
}
