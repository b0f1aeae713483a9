"""What the kernel's command line names: its words, and the disks and partitions in them."""

from __future__ import annotations

from gptlib._record import Record

NODE, PARTUUID, PARTLABEL, UUID = "node", "partuuid", "partlabel", "uuid"
"""Kinds of names: a path; a partition by its UUID or its label; a partition by the UUID of the file system in it."""
SLOT_PARAMETERS = ("verity.usr", "mount.usr", "usr", "root")
"""Where a boot loader says which slot it has chosen (Flatcar's and CoreOS's GRUB, others), the most specific first."""
_LINKS = "/dev/disk/by-"


class Name(Record):
    """What stands behind ``root=`` and the like. UUIDs are in lower case; ``text`` is how it was written."""

    kind: str
    value: str
    text: str

    def __str__(self) -> str:
        return self.text


def split(cmdline: str) -> list[str]:
    """The words. As for the kernel, blanks within double quotes separate nothing, and the quotes are not part of a word."""
    if '"' not in cmdline:
        return cmdline.split()
    # Every other piece stands between quotes; split(" ") does not take a unit separator for a blank.
    pieces = cmdline.split('"')
    pieces[1::2] = [piece.replace(" ", "\0") for piece in pieces[1::2]]
    return [word.replace("\0", " ") for word in "".join(pieces).split()]


def name_of(text: str) -> Name:
    """Understand ``PARTUUID=...`` and the links that udev makes for the same; anything else is a path.

    In an initramfs without udev there are no links, so that they are not looked for but read.
    """
    tag, separator, value = text.partition("=")
    kind = tag.lower()
    if text.startswith(_LINKS):
        kind, separator, value = text[len(_LINKS) :].partition("/")
        value = _decoded(value)
    if not separator or kind not in {PARTUUID, PARTLABEL, UUID}:
        return Name(NODE, text, text)
    return Name(kind, value if kind == PARTLABEL else value.lower(), text)


def _decoded(name: str) -> str:
    r"""A label as udev writes it in the name of a link: ``\x20`` stands for a byte of UTF-8."""
    first, *others = name.split("\\x")
    data = first.encode()
    for other in others:
        try:
            data += bytes.fromhex(other[:2]) + other[2:].encode()
        except ValueError:
            data += f"\\x{other}".encode()
    return data.decode("utf-8", "replace")


def named_partitions(words: list[str]) -> list[str]:
    """The UUIDs, in lower case, of the partitions that may be the slot which a boot loader has chosen.

    The most specific parameter comes first, and of one that is repeated its last value, which is the one that counts.
    """
    found = []
    for parameter in SLOT_PARAMETERS:
        for word in reversed(words):
            name, _, value = word.partition("=")
            named = name_of(value)
            if name == parameter and named.kind == PARTUUID and named.value not in found:
                found.append(named.value)
    return found
