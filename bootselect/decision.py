"""What the selector decided, as it is left for the running system in ``/run/bootselect/decision.json``."""

from __future__ import annotations

from gptlib._record import Record

DECISION_PATH = "/run/bootselect/decision.json"


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
        """One JSON object. Written by hand: the json module costs more than the selection."""
        fields = ", ".join(f'"{name}": {_json(value)}' for name, value in self._asdict().items())
        return f"{{{fields}}}\n"


def _json(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if " " <= c <= "~" else f"\\u{unit:04x}" for c in text for unit in _utf16(c)) + '"'


def _utf16(character: str) -> list[int]:
    code = ord(character)
    if code < 0x10000:
        return [code]
    code -= 0x10000
    return [0xD800 | code >> 10, 0xDC00 | code & 0x3FF]
