"""The variable store of a UEFI firmware in each state, and whether the firmware will know it again.

Read independently of any firmware, from the UEFI Platform Initialization Specification (volume 3, firmware volumes) and EDK2's
``VariableFormat.h`` and ``SystemNvDataGuid.h``. The store is a NOR flash chip: no cache, one write after another, a write in part.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.log import Write
from qemu_tests.harness.disk.losses import Piece, whole
from qemu_tests.harness.disk.overlay import SECTOR
from qemu_tests.replay.crashes import torn_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qemu_tests.harness.disk.recording import Recording

_VOLUME = struct.Struct("<16x16sQ4s4xHHH2x")
"""Zero vector, file system, length of the volume, signature, attributes, length of the header, checksum, the rest of it."""
_STORE = struct.Struct("<16sLBB6x")
"""Signature, size of the store, format, state."""
_NV_DATA = uuid.UUID("fff12b8d-7696-4c8b-a985-2747075b4f50").bytes_le
_VARIABLES = tuple(
    uuid.UUID(text).bytes_le
    for text in ("aaf32c78-947b-439a-a180-2e144ec37792", "ddcf3616-3275-4164-98b6-fe85707ffe7d")
)
"""With authenticated variables, and without."""
_FORMATTED, _HEALTHY = 0x5A, 0xFE


@dataclass(frozen=True)
class StoreState:
    """A state around one write: ``before``, ``torn`` or ``after``. ``pieces`` of the write are there; ``problem`` is empty or says what is lost."""

    kind: str
    pieces: tuple[Piece, ...]
    problem: str


def store_problem(store: bytes | bytearray) -> str:
    """Why a firmware would not know these bytes as its variable store; empty where it would.

    While the firmware puts its store in order it is in the second half, the spare, from where the firmware restores it.
    """
    problem = _volume_problem(store)
    spare = store[len(store) // 2 :]
    return problem if problem and _volume_problem(spare, len(store)) else ""


def _volume_problem(data: bytes | bytearray, size: int | None = None) -> str:
    system, length, signature, header_length, checksum, _ = _VOLUME.unpack_from(data)
    if signature != b"_FVH" or system != _NV_DATA:
        return f"no firmware volume with variables: its signature is {signature!r}"
    if length != (size or len(data)):
        return f"the firmware volume says that it has {length} bytes, and has {size or len(data)}"
    if header_length % 2 or not _VOLUME.size <= header_length <= SECTOR:
        return f"the header of the firmware volume says that it has {header_length} bytes"
    found = sum(struct.unpack_from(f"<{header_length // 2}H", data)) & 0xFFFF
    if found:
        return f"the checksum of the firmware volume is {checksum:#06x}, which leaves {found:#06x}; expected 0"
    kind, room, form, state = _STORE.unpack_from(data, header_length)
    if kind not in _VARIABLES or (form, state) != (_FORMATTED, _HEALTHY):
        return f"the variable store is {uuid.UUID(bytes_le=kind)}, format {form:#x}, state {state:#x}; expected a healthy one"
    if room > length - header_length:
        return f"the variable store says that it has {room} bytes, in a volume of {length}"
    return ""


def store_parts(write: Write) -> list[tuple[int, int]]:
    """(start, length) in bytes of what a write in part can leave; a chip also stops within a sector."""
    return [(0, SECTOR // 2), *torn_parts(write)]


def store_states(store: Recording) -> Mapping[Write, tuple[StoreState, ...]]:
    """For each write to the variables the states torn and after it; before the first one too, as before others is after the last.

    What is torn and as before or after it, such as where a write changes one word, is no state of its own. Raises OSError.
    """
    now = bytearray(store.base.read(0, store.size))
    states: dict[Write, tuple[StoreState, ...]] = {}
    for write in store.entries:
        if not isinstance(write, Write) or write.disk != store.name:
            continue
        data, old = store.log.data(write), bytes(now[write.offset : write.offset + write.length])
        before = [] if states else [StoreState("before", (), store_problem(now))]
        torn = []
        for start, length in store_parts(write):
            if (
                data[start : start + length] == old[start : start + length]
                or data[start + length :] == old[start + length :]
            ):
                continue
            part = bytearray(now)
            part[write.offset + start : write.offset + start + length] = data[start : start + length]
            torn.append(StoreState("torn", (Piece(write, start, length),), store_problem(part)))
        now[write.offset : write.offset + write.length] = data
        states[write] = (*before, *torn, StoreState("after", (whole(write),), store_problem(now)))
    return states
