"""A running machine as files: frozen once, it goes on as often as wanted, in machines of their own.

QEMU's migration writes the memory and the devices into a file; the disk and the firmware's variables are copied beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qemu_tests.errors import QmpCommandError
from qemu_tests.harness.control import Ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qemu_tests.harness.hardware.values import Firmware, Hardware
    from qemu_tests.harness.qmp import Qmp

MIGRATION_SECONDS = 120.0
_FAST, _NAME = 1 << 40, "state"


@dataclass(frozen=True)
class Frozen:
    """A machine that was running. ``medium`` is the update in its second drive, ``ready`` the greeting of its slot.

    ``agent`` says whether something in the guest had the control port open.
    """

    folder: Path
    hardware: Hardware
    firmware: Firmware
    medium: Path | None
    ready: Ready | None
    agent: bool

    def to_json(self) -> dict[str, Any]:
        """What other processes need, beside the hardware and the firmware, to go on from here."""
        ready = None if self.ready is None else asdict(self.ready)
        return {
            "folder": str(self.folder),
            "medium": self.medium and str(self.medium),
            "ready": ready,
            "agent": self.agent,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], hardware: Hardware) -> Frozen:
        """The inverse of ``to_json``, for a machine that was booted with the firmware of its hardware."""
        ready = None if found["ready"] is None else Ready(**found["ready"])
        medium = None if found["medium"] is None else Path(found["medium"])
        return cls(Path(found["folder"]), hardware, hardware.firmware, medium, ready, bool(found["agent"]))

    @property
    def state(self) -> Path:
        """Memory and devices."""
        return self.folder / "state"

    @property
    def disk(self) -> Path:
        """The disk, a sparse raw image."""
        return self.folder / "disk.raw"

    @property
    def variables(self) -> Path:
        """The variable store of UEFI firmware, where there is such firmware."""
        return self.folder / "variables.fd"


def save(qmp: Qmp, path: Path) -> None:
    """Stop the guest and write its state into a new file. Raises QmpCommandError when QEMU cannot, OSError."""
    qmp.execute("stop")
    with path.open("xb") as file:
        _migrate(qmp, "migrate", file.fileno())


def load(qmp: Qmp, path: Path) -> None:
    """Into a QEMU that was started with ``-incoming defer``; the guest is still stopped then. Raises QmpCommandError, OSError."""
    with path.open("rb") as file:
        _migrate(qmp, "migrate-incoming", file.fileno())


def _prepare(qmp: Qmp) -> None:
    qmp.execute("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
    qmp.execute("migrate-set-parameters", {"max-bandwidth": _FAST})


def _migrate(qmp: Qmp, command: str, descriptor: int) -> None:
    _prepare(qmp)
    qmp.hand_over(descriptor, _NAME)
    before = len(qmp.events)
    qmp.execute(command, {"uri": f"fd:{_NAME}"})
    while True:
        event = qmp.wait_for_event("MIGRATION", before, MIGRATION_SECONDS)
        status = event.data.get("status")
        if status == "completed":
            return
        if status in {"failed", "cancelled"}:
            raise QmpCommandError(command, str(status))
        before = qmp.events.index(event, before) + 1
