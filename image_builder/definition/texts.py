"""What each key of a definition is for. ``image_builder.definition.manual`` puts it beside what the code says of the key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """``about`` is what a key does, and when one wants it.

    ``default`` and ``value`` stand where those of the code are none, or depend on another key.
    """

    about: str
    default: str = ""
    value: str = ""


SECTIONS = {
    "image": "The disk as a whole.",
    "boot": "How the slots are booted: what stands on the EFI system partition. Leave it out for an image that boots nothing by itself.",
    "esp": "What else stands on the EFI system partition, which the content `esp` makes.",
    "slot.NAME": "A slot: a read-only system. `NAME` is of your choice, and part of the file names of updates. A definition can have "
    "several; partitions name them as `slot.NAME`, and any number of partitions can hold the same one.",
    "slot.NAME, kind tree": "A folder that is the root of a system.",
    "slot.NAME, kind tar": "A root file system in a tar archive.",
    "slot.NAME, kind image": "A finished file system. It is copied and not changed, so the keys `filesystem`, `compression`, `owners`, `unsupported`, "
    "`kernel` and `files` are not there; `verity = true` puts a hash tree behind it.",
    "slot.NAME, kind debian": "A new Debian made by mmdebstrap: systemd, our tools, and their units, which are enabled.",
    "slot.NAME, kind tiny": "BusyBox, the distribution's Python, and our tools. For demos and tests.",
    "state.NAME": "An ext4 for what lasts. The content `state` needs no section: it is an empty one, mounted at `/var`.",
    "partition": "`[[partition]]`, once for each partition, in the order of the disk.",
}
"""The sections, in the order of the page."""

_FILES = (
    'Files laid over what is there: `"/path/in/it" = "file"`, the file looked for beside the definition. They belong to '
    "root and are executable (0755) where the source is, else 0644. A file replaces what has its path, or is new with all its folders."
)
_OWNERS = '`"kept"`: everybody keeps what they own. `"root"`: all of it belongs to root, for trees that were not made as root.'

TEXTS = {
    "image": {
        "name": Text(
            "Of the image: the file is `NAME.raw`. Part of the file names of updates; the hostname of tiny and debian slots."
        ),
        "size": Text(
            "Of the disk. The room behind the last partition stays free.", default="1 MiB more than the partitions need"
        ),
        "sector-size": Text("Bytes of a logical sector. The disk that the image is written to must have the same."),
        "seed": Text(
            "All GUIDs and serial numbers follow from it and from the labels. Change it where two images must not share them.",
            default="the name",
        ),
        "uuid": Text("GUID of the disk.", default="follows from the seed"),
        "outputs": Text("The formats to write, see [outputs](#outputs). Without `raw` there is no `NAME.raw`."),
    },
    "boot": {
        "kind": Text("What the firmware starts. `uki`: kernel, initramfs and command line in one UEFI program."),
        "cmdline": Text(
            "Words of the kernel's command line, beside those that the boot chain needs or instead of them: see `cmdline-mode`.",
            default="nothing",
        ),
        "cmdline-mode": Text(
            '`"add"`: `cmdline` comes behind `gpt panic=-1 oops=panic console=tty0 console=ttyS0`. `"replace"`: it stands alone; without '
            "`panic=-1` a kernel that panics does not reset the machine, and nothing falls back."
        ),
        "kernel": Text(
            "The kernel of the boot chain. `distribution`: that of the build machine's package lists. `slot.NAME`: the one that lies in "
            "the slot with its modules. A file: needs `modules`. A slot that has modules for other kernels only is refused by `updatectl`.",
            default='`"distribution"`',
        ),
        "modules": Text("`lib/modules/RELEASE` of the kernel that `kernel` names as a file.", default="none"),
        "policy": Text("How the selector reads priority, tries and successful: see [bootselect.md](bootselect.md)."),
        "on-nothing-bootable": Text(
            "What the initramfs does when no slot can be booted. `rescue` is a shell on the console: for machines with a person beside them."
        ),
        "compression": Text("Of the initramfs. `zstd` is a third smaller and takes longer to unpack."),
        "hand-over": Text(
            '`"switch_root"` starts the init of the slot. `"kexec"` starts the kernel of the slot first: slots need `kernel = true`.'
        ),
        "verity": Text(
            '`"auto"` mounts sealed slots through dm-verity, others as they are. `"required"` boots none that is not sealed: slots need '
            "`verity = true`."
        ),
        "watchdog": Text(
            "Seconds that a slot has to prove itself before the watchdog of the machine resets it; 0 is no watchdog. The slot has to take it over."
        ),
    },
    "esp": {"files": Text(f"{_FILES} Owners and modes do not exist on FAT.", default="none")},
    "slot.NAME": {
        "kind": Text("What is in it, see below."),
        "type": Text(
            "The partition type of slots, by which the selector finds them. The same for all slots of a definition."
        ),
        "version": Text(
            "Part of the file names of updates, and what a description of an update says. `--version` of `build` and `artifacts` wins. What "
            "the booted system calls itself is in its own os-release, which a tiny slot gets from here."
        ),
        "filesystem": Text("How it is stored, see [file systems](#file-systems)."),
        "compression": Text(
            "Of the file system.", default="that of the file system", value="one that the file system has"
        ),
        "verity": Text(
            "Seal it: a hash tree stands behind the file system, under 1 % of its size. What reads back wrong is then an error, and not a file."
        ),
        "kernel": Text('Put the kernel and the initramfs of the boot chain into it, for `boot.hand-over = "kexec"`.'),
        "owners": Text(_OWNERS),
        "unsupported": Text(
            "What becomes of metadata that the file system has no place for: it is refused with path and count, or left out with a "
            "note. Of squashfs these are access control lists; a Debian with systemd has them on `/var/log/journal`."
        ),
        "files": Text(
            f"{_FILES} Symbolic links of the slot on the way are followed; one in the place of the file is replaced.",
            default="none",
        ),
    },
    "slot.NAME, kind tree": {
        "source": Text(
            "The folder. It is read where it lies, by you: what you cannot read is an error, with path and count."
        ),
    },
    "slot.NAME, kind tar": {
        "source": Text("The archive: plain, gzip, zstd or xz, told by its first bytes. Owners are taken by number."),
    },
    "slot.NAME, kind image": {
        "source": Text("An erofs, squashfs or ext4. One that the selector could not mount is refused."),
    },
    "slot.NAME, kind debian": {
        "suite": Text("The release, as mmdebstrap takes it. The kernel comes from `boot.kernel`."),
        "packages": Text(
            "Packages beside those that a slot needs to boot, to prove itself and to be updated (systemd, udev, dbus, python3 with click, "
            "construct and crcmod).",
            default="none",
        ),
        "mirror": Text("Where packages come from: a URI, or a line of sources.list.", default="mmdebstrap's"),
        "hook": Text(
            "A program that is run at the end, with the folder of the new root as its argument.", default="none"
        ),
    },
    "slot.NAME, kind tiny": {
        "modules": Text("Kernel modules that its init loads."),
        "os-release": Text(
            "Fields of `/etc/os-release`, such as `ID`. `VERSION` and `VERSION_ID` follow from the version.",
            default="`ID` and `NAME`",
        ),
    },
    "state.NAME": {
        "source": Text("A folder whose files it begins with.", default="empty"),
        "owners": Text(_OWNERS),
        "mount": Text("Where tiny and debian slots mount it. In a system of your own its fstab says so."),
    },
    "partition": {
        "label": Text("Its name in the table. Commands and consoles call slots by it."),
        "number": Text("Its place in the table.", default="the one after the partition before it"),
        "type": Text("Its type: a name that `gptctl add --help` shows, or a GUID."),
        "size": Text(
            '`"auto"` follows from the content and `headroom`. Passive slots follow from the slots that stand beside them.'
        ),
        "min": Text('The least that `size = "auto"` gives.'),
        "max": Text(
            'The most that `size = "auto"` gives. A content that does not fit is an error.', default="no limit"
        ),
        "headroom": Text(
            'What `size = "auto"` leaves free for larger updates: a size, or a part of the content.', default='`"25%"`'
        ),
        "start": Text("Where it begins.", default="after the partition before it"),
        "content": Text(
            "What fills it. `empty` says that it is left so on purpose. The bytes of a file are for what is no slot: updates come of `slot.NAME` only.",
            default="empty",
        ),
        "uuid": Text("Its GUID.", default="follows from the seed and the label"),
        "priority": Text("The slot with the highest boots first; 0 never."),
        "tries": Text("How often a slot is tried that has not proved itself."),
        "successful": Text("The slot is known to boot. True for the one that an image is delivered with."),
        "required": Text("Attribute bit 0 of UEFI: the platform needs it to work."),
        "legacy-boot": Text("Attribute bit 2: what an old BIOS boots, for syslinux and others."),
        "grow": Text(
            "Attribute bit 59 of the Discoverable Partitions Specification: the file system grows when it is mounted."
        ),
        "read-only": Text("Attribute bit 60: mounted read-only."),
        "no-auto": Text("Attribute bit 63: not mounted by itself."),
    },
}
"""Section -> key -> text."""
