"""What keys do to a machine: ``Ctrl-A`` and a letter are for us, everything else goes to the guest."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from qemu_tests.errors import LabError, MachineDiedError
from qemu_tests.report.model import DAMAGE, FAULT
from qemu_tests.report.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.interactive.controls import Controls
    from qemu_tests.interactive.terminal import Follower, Terminal

PREFIX = b"\x01"
HELP = (
    "Ctrl-A and then: c power cut, r reset, k corrupt a slot, s snapshot of the disk, i slots on the disk, h help, x leave",
    "Ctrl-A twice sends one to the machine. After a power cut Enter switches it on again.",
)


class Session:
    """One sitting. ``run`` returns when the person leaves."""

    def __init__(
        self, controls: Controls, terminal: Terminal, console: Follower, snapshots: Callable[[], Path]
    ) -> None:
        """``snapshots`` gives the path of the next one."""
        self._controls, self._terminal, self._console, self._snapshots = controls, terminal, console, snapshots
        self._prefixed, self._left = False, False
        self._choice: dict[bytes, str] = {}
        self._keys: dict[bytes, Callable[[], None]] = {
            b"c": self._cut,
            b"r": self._reset,
            b"k": self._choose,
            b"s": self._snapshot,
            b"i": self._slots,
            b"h": self._help,
            b"?": self._help,
            b"x": self._leave,
            b"a": self._literal,
            PREFIX: self._literal,
        }

    def run(self) -> None:
        """Switch on and serve. Raises LabError when the machine cannot be switched on."""
        self._help()
        self._controls.power_on("power on")
        sources = {
            self._terminal.keys: self._typed,
            self._console.descriptor: self._show,
            self._controls.news: self._ended,
        }
        while not self._left:
            ready, _, _ = select.select(list(sources), [], [])
            for source in ready:
                try:
                    sources[source]()
                except MachineDiedError as error:
                    self._controls.machine.close()
                    self._say(error.line)
                    self._off()
                except LabError as error:
                    self._terminal.say(error.line)

    def _show(self) -> None:
        self._terminal.write(self._console.read())

    def _say(self, *lines: str) -> None:
        self._show()
        self._terminal.say(*lines)

    def _typed(self) -> None:
        data = self._terminal.read()
        if not data:
            self._left = True
        while data:
            if self._choice or self._prefixed or not self._controls.on:
                self._key(data[:1])
                data = data[1:]
            else:
                text, prefix, data = data.partition(PREFIX)
                if text:
                    self._controls.type(text)
                self._prefixed = bool(prefix)

    def _key(self, key: bytes) -> None:
        if self._choice:
            self._chosen(key)
        elif self._prefixed:
            self._prefixed = False
            action = self._keys.get(key.lower())
            if action is None:
                self._say(f"no such key: {plain(key.decode(errors='replace'))}", *HELP)
            else:
                action()
        elif key == PREFIX:
            self._prefixed = True
        elif key in {b"\r", b"\n"}:
            self._controls.power_on("power is back")

    def _literal(self) -> None:
        if self._controls.on:
            self._controls.type(PREFIX)

    def _help(self) -> None:
        self._say(*HELP)

    def _leave(self) -> None:
        self._left = True

    def _cut(self) -> None:
        if self._controls.on:
            self._controls.power_cut()
            self._say("power cut: what the machine had not flushed is lost")
        self._off()

    def _off(self) -> None:
        self._slots()
        self._terminal.say("the power is off; Enter switches it on, Ctrl-A x leaves")

    def _reset(self) -> None:
        if self._controls.on:
            self._controls.machine.record.tell(FAULT, "the reset button was pressed")
            self._controls.reset()
        else:
            self._off()

    def _ended(self) -> None:
        kind = self._controls.ended()
        if not kind:
            return
        if kind in {"poweroff", "guest-shutdown"}:
            self._controls.power_off()
            self._say("the machine switched itself off")
            self._off()
            return
        words = {"reboot": "the machine reboots", "host-qmp-system-reset": "reset"}.get(
            kind, f"the boot ended ({kind})"
        )
        self._say(words)
        self._slots()
        self._controls.resume(words)

    def _slots(self) -> None:
        table = self._controls.slots()
        shown = "  ".join(f"{plain(slot.label)} {slot.attributes}" for slot in table.slots) or "no slots"
        self._say(f"on the disk (priority/tries/successful): {shown}", *map(plain, table.problems))

    def _choose(self) -> None:
        labels = [slot.label for slot in self._controls.slots().slots][:9]
        if not labels:
            self._say("there is no slot on the disk that could be corrupted")
            return
        self._choice = {str(number).encode(): label for number, label in enumerate(labels, 1)}
        numbers = ", ".join(f"{number} {plain(label)}" for number, label in enumerate(labels, 1))
        self._say(f"corrupt which slot? {numbers}; any other key: none")

    def _chosen(self, key: bytes) -> None:
        label, self._choice = self._choice.get(key), {}
        if label is None:
            self._say("nothing was corrupted")
            return
        self._controls.corrupt(label)
        said = f"the beginning of {plain(label)} is zeros"
        self._controls.machine.record.tell(DAMAGE, said)
        self._say(said)

    def _snapshot(self) -> None:
        path = self._snapshots()
        self._controls.snapshot(path)
        self._controls.machine.record.tell("snapshot", str(path))
        self._say(f"snapshot: {path}")
