"""Makes an image file larger."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.disk import Disk


def extend(disk: Disk, size: int) -> None:
    """Make an image file ``size`` bytes long, with a hole at its end. Raises WriteError; TypeError for a device."""
    disk.check_writable()
    disk.device.extend(size)
    disk.forget()
