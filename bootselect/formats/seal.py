"""The seal of a slot image: what dm-verity needs to check it, in the 4 KiB block behind the file system.

A sealed image is the file system, the seal, and the hash tree of ``veritysetup format`` (superblock included), each starting on a
4 KiB boundary. The end of the file system is where its own superblock says, so a seal is found in a partition of any size.
It shows that an image is complete and unchanged; it does not say who made it.
"""

from __future__ import annotations

from struct import Struct

from bootselect.formats.filesystem import filesystem_of
from gptlib._record import Record

BLOCK = 4096
MAGIC = b"SLOTSEAL"
_SEAL = Struct("<8sLLQQ32s32s")  # magic, version, salt bytes, data blocks, first hash block, root hash, salt
_VERSION = 1


class Seal(Record):
    """``data_blocks`` 4 KiB blocks are covered; the hash tree begins at block ``hash_start``. SHA-256 throughout."""

    data_blocks: int
    hash_start: int
    root_hash: bytes
    salt: bytes


def seal_offset(head: bytes) -> int:
    """Where the seal of an image with this first block stands, in bytes; 0 where no file system is recognised."""
    found = filesystem_of(head)
    return -(-found.size // BLOCK) * BLOCK if found is not None else 0


def encode_seal(seal: Seal) -> bytes:
    """The block."""
    fields = _SEAL.pack(
        MAGIC, _VERSION, len(seal.salt), seal.data_blocks, seal.hash_start, seal.root_hash, seal.salt.ljust(32, b"\0")
    )
    return fields.ljust(BLOCK, b"\0")


def decode_seal(block: bytes) -> Seal | None:
    """The seal in a block, or None when it is not one of a version that is known."""
    magic, version, salt_bytes, data_blocks, hash_start, root_hash, salt = _SEAL.unpack_from(block)
    if magic != MAGIC or version != _VERSION or salt_bytes > len(salt):
        return None
    return Seal(data_blocks, hash_start, root_hash, salt[:salt_bytes])
