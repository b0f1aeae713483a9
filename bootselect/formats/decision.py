"""What the selector decided, as it leaves it for the running system: for programs as JSON, for shells as assignments.

Both files hold the same fields: ``/run/bootselect/decision.json`` one JSON object, ``/run/bootselect/decision`` one line for each
field, ``NAME='value'`` with the name in capital letters, in the manner of os-release(5): ``. /run/bootselect/decision`` sets
``$DISK``, ``$LABEL`` and so on, whatever the values are.
"""

from __future__ import annotations

from gptlib._record import Record
from gptlib.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER, JSON_NAME, SHELL_NAME = "/run/bootselect", "decision.json", "decision"
DECISION_PATH, DECISION_FOR_SHELLS = f"{FOLDER}/{JSON_NAME}", f"{FOLDER}/{SHELL_NAME}"


class Decision(Record):
    """The slot that was booted, its attributes after the try was accounted for, and why it was this one."""

    disk: str
    partition: int
    device: str
    label: str
    partuuid: str
    policy: str
    priority: int
    tries: int
    successful: int
    reason: str
    problem: str = ""
    watchdog: int = 0
    """Seconds within which the slot has to take the watchdog over; 0 when none is running."""

    def to_json(self) -> str:
        """One JSON object, in ASCII. Not by the json module, which costs more than the selection."""
        fields = ", ".join(f'"{name}": {_json(value)}' for name, value in self._asdict().items())
        return f"{{{fields}}}\n"

    def to_shell(self) -> str:
        r"""Assignments for a shell, each on one line. What is not printable in a text is escaped (``\n``, ``\ud800``)."""
        return "".join(f"{name.upper()}={_quoted(printable(str(value)))}\n" for name, value in self._asdict().items())


def slot_of(fields: Mapping[str, object]) -> tuple[str, int]:
    """The disk and the number of the slot in the object of ``decision.json``; of the other fields none has to be there.

    Raises KeyError, TypeError, ValueError or OverflowError for something else.
    """
    disk, partition = fields["disk"], fields["partition"]
    return str(disk), int(str(partition))


def _json(value: object) -> str:
    if isinstance(value, int):
        return str(int(value))
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if " " <= c <= "~" else f"\\u{unit:04x}" for c in text for unit in _utf16(c)) + '"'


def _utf16(character: str) -> list[int]:
    code = ord(character)
    if code < 0x10000:
        return [code]
    code -= 0x10000
    return [0xD800 | code >> 10, 0xDC00 | code & 0x3FF]


def _quoted(text: str) -> str:
    """The text as one word of a shell (POSIX 2.2.2): only the quote itself needs care."""
    return "'" + text.replace("'", "'\\''") + "'"
