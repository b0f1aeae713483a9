"""Errors of ``bootlab run``."""

from __future__ import annotations

from qemu_tests.errors import LabError


class SlotError(LabError):
    """There is no such slot to do something to. Nothing was written."""

    def __init__(self, machine: str, label: str) -> None:
        super().__init__(f"machine {machine}: there is no partition {label!r} on its disk")


class NoTerminalError(LabError):
    """Standard input or output is not a terminal, so there are no keys. Nothing was started."""

    def __init__(self) -> None:
        super().__init__(
            "standard input and output: no terminal; 'bootlab run' needs one, 'bootlab boot' works in a pipe"
        )
