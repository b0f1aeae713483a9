"""GUIDs as they stand on the disk: the first three fields little endian (UEFI 2.10 appendix A)."""

from __future__ import annotations

import os

from gptlib.errors import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_DASHES = (8, 13, 18, 23)
_BYTES = (bytes, bytearray, memoryview)
_HEX = frozenset("0123456789abcdefABCDEF")


def _swap(data: bytes) -> bytes:
    return data[3::-1] + data[5:3:-1] + data[7:5:-1] + data[8:]


class Guid(bytes):
    """The 16 bytes of a GUID in on-disk order; ``str()`` gives the usual text in upper case, as cgpt and sgdisk do."""

    __slots__ = ()

    def __new__(cls, data: bytes) -> Self:
        """Take 16 on-disk bytes. Raises InvalidValueError for anything else."""
        if not isinstance(data, _BYTES):
            raise InvalidValueError(f"{data!r} are not bytes; Guid.parse reads the text of a GUID")
        if len(data) != 16:
            raise InvalidValueError(f"a GUID has 16 bytes, not {len(data)}")
        return bytes.__new__(cls, data)

    @classmethod
    def parse(cls, text: str) -> Guid:
        """Read ``XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX`` in either case. Raises InvalidValueError."""
        digits = text.replace("-", "") if isinstance(text, str) else ""
        if (
            len(digits) != 32
            or len(text) != 36
            or any(text[at] != "-" for at in _DASHES)
            or not _HEX.issuperset(digits)
        ):
            raise InvalidValueError(f"{text!r} is not a GUID; expected 8-4-4-4-12 hexadecimal digits")
        return cls(_swap(bytes.fromhex(digits)))

    @classmethod
    def random(cls) -> Guid:
        """A new version 4 GUID (RFC 4122 section 4.4)."""
        data = bytearray(os.urandom(16))
        data[6] = data[6] & 0x0F | 0x40
        data[8] = data[8] & 0x3F | 0x80
        return cls(_swap(bytes(data)))

    @property
    def is_zero(self) -> bool:
        """Whether this is the zero GUID, which marks an unused entry."""
        return self == _ZERO

    @property
    def text(self) -> str:
        """The text in lower case, as ``PARTUUID=`` and ``/dev/disk/by-partuuid`` have it."""
        return str(self).lower()

    def __str__(self) -> str:
        digits = _swap(self).hex().upper()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def __repr__(self) -> str:
        return f"Guid.parse('{self}')"


_ZERO = bytes(16)
ZERO = Guid(_ZERO)
