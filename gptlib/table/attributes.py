"""The 64 attribute bits of a partition entry (UEFI 2.10 table 5.8; the slot bits as ChromeOS and CoreOS define them)."""

from __future__ import annotations

from gptlib.errors import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

PRIORITY_SHIFT, TRIES_SHIFT, SUCCESSFUL_SHIFT = 48, 52, 56
TYPE_SPECIFIC_SHIFT = 48
MAX_PRIORITY = MAX_TRIES = 15
MAX_TYPE_SPECIFIC = 0xFFFF
REQUIRED, EFI_IGNORE, LEGACY_BOOT = 1 << 0, 1 << 1, 1 << 2
"""Bits that mean the same in every partition. UEFI calls the second one "No Block IO Protocol"."""
HAS_BOOTED_ONCE, GROW, READ_ONLY, NO_AUTO = 1 << 57, 1 << 59, 1 << 60, 1 << 63
_PRIORITY, _TRIES, _SUCCESSFUL = 0xF << PRIORITY_SHIFT, 0xF << TRIES_SHIFT, 1 << SUCCESSFUL_SHIFT
SLOT_BITS = _PRIORITY | _TRIES | _SUCCESSFUL


def _nibble(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 15:
        raise InvalidValueError(f"{name} is {value}; it must be between 0 and 15")
    return value


def short_form(priority: int, tries: int, successful: int) -> str:
    """Slot bits as tables show them, P/T/S: ``2/0/1``."""
    return f"{priority}/{tries}/{int(successful)}"


class Attributes(int):
    """The attribute bits of one entry: an unsigned 64-bit number with names for the bits that mean something.

    The slot bits are ``priority`` (48-51), ``tries`` (52-55) and ``successful`` (56). Whatever is changed, all other bits
    stay as they are.

        >>> armed = Attributes(0).with_slot(priority=2, tries=3)
        >>> armed, armed.short, str(armed.with_slot(tries=2))
        (Attributes(0x32000000000000), '2/3/0', 'priority=2 tries=2 successful=0')
        >>> armed.with_bits(REQUIRED | LEGACY_BOOT, on=True).legacy_boot
        True
    """

    __slots__ = ()

    def __new__(cls, value: int = 0) -> Self:
        """Take the raw number. Raises InvalidValueError unless it is one and fits into 64 bits."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValueError(f"attribute bits cannot be {value!r}; expected a number")
        if not 0 <= value < 1 << 64:
            raise InvalidValueError(f"attribute bits {value:#x} do not fit into 64 bits")
        return int.__new__(cls, value)

    @property
    def priority(self) -> int:
        """0 to 15; the highest is chosen first, 0 means never."""
        return self >> PRIORITY_SHIFT & 15

    @property
    def tries(self) -> int:
        """0 to 15: how often a slot that has not proved itself may still be attempted."""
        return self >> TRIES_SHIFT & 15

    @property
    def successful(self) -> bool:
        """Whether the slot is known to boot."""
        return bool(self & _SUCCESSFUL)

    @property
    def short(self) -> str:
        """The slot bits as P/T/S; ``str`` spells them out."""
        return short_form(self.priority, self.tries, self.successful)

    @property
    def required(self) -> bool:
        """Bit 0: the platform needs this partition."""
        return bool(self & REQUIRED)

    @property
    def legacy_boot(self) -> bool:
        """Bit 2: legacy BIOS bootable."""
        return bool(self & LEGACY_BOOT)

    @property
    def type_specific(self) -> int:
        """Bits 48 to 63, the slot bits among them, as a number of 16 bits: what they mean depends on the type of the partition."""
        return self >> TYPE_SPECIFIC_SHIFT

    def with_type_specific(self, bits: int) -> Attributes:
        """A copy with other bits 48 to 63. Raises InvalidValueError for more than 16 bits."""
        if not 0 <= bits <= MAX_TYPE_SPECIFIC:
            raise InvalidValueError(f"type-specific attribute bits {bits:#x} do not fit into 16 bits")
        return Attributes(self & (1 << TYPE_SPECIFIC_SHIFT) - 1 | bits << TYPE_SPECIFIC_SHIFT)

    def with_slot(
        self, *, priority: int | None = None, tries: int | None = None, successful: bool | None = None
    ) -> Attributes:
        """A copy with the given slot bits changed. Raises InvalidValueError for a priority or tries outside 0..15.

        ``successful`` may be 0 or 1 too, as it is shown.
        """
        value = int(self)
        if priority is not None:
            value = value & ~_PRIORITY | _nibble("priority", priority) << PRIORITY_SHIFT
        if tries is not None:
            value = value & ~_TRIES | _nibble("tries", tries) << TRIES_SHIFT
        if successful is not None:
            if successful not in (0, 1):
                raise InvalidValueError(f"successful is {successful!r}; it must be 0 or 1")
            value = value & ~_SUCCESSFUL | (_SUCCESSFUL if successful else 0)
        return Attributes(value)

    def with_bits(self, mask: int, *, on: bool) -> Attributes:
        """A copy with the bits of ``mask`` set or cleared. Raises InvalidValueError for a mask that does not fit into 64 bits."""
        mask = Attributes(mask)
        return Attributes(self | mask if on else self & ~mask)

    def __str__(self) -> str:
        return f"priority={self.priority} tries={self.tries} successful={int(self.successful)}"

    def __repr__(self) -> str:
        return f"Attributes({int(self):#x})"
