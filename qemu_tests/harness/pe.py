"""Sections of EFI programs, of any processor."""

from __future__ import annotations

import struct

_FILE_HEADER, _SECTION = struct.Struct("<4sHH12xH2x"), struct.Struct("<8sIIII16x")


def pe_sections(data: bytes) -> dict[str, bytes]:
    """Name -> contents of the sections of a PE file; nothing of what is none, or is cut short."""
    try:
        (start,) = struct.unpack_from("<I", data, 0x3C)
        magic, _, count, optional = _FILE_HEADER.unpack_from(data, start)
        if data[:2] != b"MZ" or magic != b"PE\0\0":
            return {}
        first = start + _FILE_HEADER.size + optional
        headers = [_SECTION.unpack_from(data, first + number * _SECTION.size) for number in range(count)]
    except struct.error:
        return {}
    return {
        name.rstrip(b"\0").decode("latin-1"): data[place : place + min(raw, virtual or raw)]
        for name, virtual, _, raw, place in headers
    }
