"""Slot images of pieces that can be told apart, and frames that no good program makes."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
MIB = 1 << 20
FULL, DELTA = 4 * MIB, 2 * MIB
ZSTD_MAGIC = bytes.fromhex("28b52ffd")


def piece(seed: int, size: int) -> bytes:
    """Bytes that compress by about a half, always the same."""
    noise = random.Random(seed).randbytes(min(size, 4099))
    lines = b"".join(noise[at : at + 16] + b"\nand some words\n" for at in range(0, len(noise), 16))
    # Numbered, so that no part is like another one.
    unit = len(lines) + 8
    return b"".join(lines + number.to_bytes(8, "big") for number in range(-(-size // unit)))[:size]


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


images = st.lists(
    st.tuples(st.sampled_from([piece, noise, lambda _, size: bytes(size)]), st.integers(0, 5), st.integers(1, 3 * MIB)),
    min_size=1,
    max_size=4,
).map(lambda parts: b"".join(make(seed, size) for make, seed, size in parts))
"""Images of a few runs of text, noise and zeros, up to 12 MiB."""


def blocks_of_one_byte(count: int, size: int = 128 << 10, byte: bytes = b"x") -> bytes:
    """The blocks of a zstd frame (RFC 8878, 3.1.1.2): ``count`` times ``size`` times the same byte, in four bytes each."""
    last = count - 1
    return b"".join((size << 3 | 1 << 1 | (at == last)).to_bytes(3, "little") + byte for at in range(count))


def header(size: int, window: tuple[int, int] | None = None, *, checksum: bool = False) -> bytes:
    """The header of a zstd frame with a size of four bytes; the window by exponent and mantissa, else the whole content."""
    flags = 2 << 6 | (window is None) << 5 | checksum << 2
    descriptor = b"" if window is None else bytes([window[0] << 3 | window[1]])
    return ZSTD_MAGIC + bytes([flags]) + descriptor + size.to_bytes(4, "little")
