"""Collects a run while it happens. Whoever drives machines tells a ``MachineRecord`` what they do; ``recorded`` does that by itself."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from qemu_tests.report.model import (
    CUT,
    DIED,
    DISK,
    ERROR,
    FAILED,
    HEALTHY,
    OFF,
    REBOOT,
    RUNNING,
    Boot,
    Event,
    Machine,
    Replay,
    Run,
    Screenshot,
    Verdict,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from qemu_tests.report.model import Table

HEAD, TAIL = 256 << 10, 768 << 10
"""Of a console that is longer, so many bytes of its beginning and of its end are kept."""
_CHOSEN = re.compile(r"booting slot (\S+) \(partition \d+, version ([^),]+)")
_PANIC = "Kernel panic - not syncing"


def read_console(log: Path, begin: int, end: int | None = None) -> str:
    """What stands in a log from one offset to another or its end, decoded as UTF-8; a long one without its middle.

    A log that is not there any more is empty.
    """
    try:
        with log.open("rb") as file:
            stop = file.seek(0, 2) if end is None else end
            file.seek(begin)
            if stop - begin <= HEAD + TAIL:
                return file.read(stop - begin).decode(errors="replace")
            head = file.read(HEAD).decode(errors="replace")
            file.seek(stop - TAIL)
            tail = file.read(TAIL).decode(errors="replace")
    except FileNotFoundError:
        return ""
    return f"{head}\n[{stop - begin - HEAD - TAIL} bytes are left out here]\n{tail}"


@dataclass
class _Log:
    path: Path
    begin: int
    end: int | None = None


class MachineRecord:
    """What is told of one machine. All calls are for now; one thread at a time."""

    def __init__(self, name: str, test: str, clock: Callable[[], float]) -> None:
        """``clock`` counts seconds since the run began."""
        self._clock = clock
        self._machine = Machine(name, test)
        self._boots: list[Boot] = []
        self._logs: list[_Log | None] = []
        self._events: list[Event] = []
        self._screenshots: list[Screenshot] = []
        self._unworded: Event | None = None
        self.finished, self.taken = False, False
        """Whether the machine is gone, unless it comes back; whether ``Recorder.take`` has given the record away."""

    @property
    def name(self) -> str:
        """Of the machine."""
        return self._machine.name

    def boot(self, reason: str, *, before: Table | None = None, log: Path | None = None) -> None:
        """Power came on, or the guest boots again. ``log`` is the file that the console goes to from here on."""
        self.end(REBOOT)
        self.finished = False
        size = log.stat().st_size if log is not None and log.exists() else 0
        if self._logs and (last := self._logs[-1]) is not None:
            last.end = size if log == last.path else None
        self._boots.append(Boot(len(self._boots) + 1, reason, self._clock(), before=before))
        self._logs.append(None if log is None else _Log(log, size))

    def up(self, slot: str, version: str = "") -> None:
        """A slot is up, healthy and marked good."""
        self._change(up=self._clock(), slot=slot, version=version, outcome=HEALTHY)

    def slot(self, slot: str, version: str = "") -> None:
        """Whatever becomes of it, this boot is of this slot."""
        self._change(slot=slot, version=version)

    def failed(self) -> None:
        """This boot failed."""
        self._change(outcome=FAILED)

    def end(self, ending: str, *, after: Table | None = None) -> None:
        """The boot has ended; nothing where it had already."""
        if self._boots and self._boots[-1].ending == RUNNING:
            self._change(end=self._clock(), ending=ending, after=after)
            if ending == DIED:
                self.failed()

    def _change(self, **fields: object) -> None:
        if self._boots:
            self._boots[-1] = replace(self._boots[-1], **fields)  # type: ignore[arg-type]  # checked where they are made

    def tell(self, kind: str, text: str, table: Table | None = None) -> None:
        """Something happened.

        What was just told by ``read`` or ``cut`` gets this text when the same kind of thing is told next.
        """
        last = self._unworded
        self._unworded = None
        if last is not None and last.kind == kind:
            self._events[-1] = replace(last, text=text, table=last.table or table)
        else:
            self._events.append(Event(self._clock(), kind, text, table))
        if kind == FAILED:
            self.failed()

    def read(self, table: Table) -> None:
        """The disk was read."""
        self._tell_unworded(DISK, f"read by {' and '.join(table.readers)}", table)

    def cut(self) -> None:
        """The power was cut."""
        self._tell_unworded(CUT, "the power was cut", None)

    def _tell_unworded(self, kind: str, text: str, table: Table | None) -> None:
        self.tell(kind, text, table)
        self._unworded = self._events[-1]

    def screenshot(self, png: bytes, text: str) -> None:
        """A picture of the display; ``text`` says what it shows. Raises ValueError when it is not a PNG."""
        self._screenshots.append(Screenshot(self._clock(), text, png))

    def judge(self, verdict: str, error: str = "") -> None:
        """What this machine was made for ``passed`` or ``failed``, and how."""
        self._machine = replace(self._machine, verdict=verdict, error=error)
        if error:
            self.tell(ERROR, error)

    def finish(self) -> None:
        """The machine is gone. Its consoles are read now: their log may be gone later."""
        self.end(OFF)
        self._keep()
        self.finished = True

    def _keep(self) -> None:
        for at, log in enumerate(self._logs):
            if log is None:
                continue
            console = read_console(log.path, log.begin, log.end)
            boot = replace(self._boots[at], console=console)
            if not boot.slot and (chosen := _CHOSEN.findall(console)):
                boot = replace(boot, slot=chosen[-1][0], version=chosen[-1][1])
            if boot.up is None and _PANIC in console:
                boot = replace(boot, outcome=FAILED)
            self._boots[at] = boot
            if log.end is not None or boot.ending != RUNNING:
                self._logs[at] = None

    def machine(self) -> Machine:
        """All that was told so far."""
        self._keep()
        return replace(
            self._machine,
            boots=tuple(self._boots),
            events=tuple(self._events),
            screenshots=tuple(self._screenshots),
        )


class ReplayCounter:
    """Counts the states of a replay, write by write."""

    def __init__(self, name: str, scope: str, verdicts: Sequence[Verdict]) -> None:
        self._name, self._scope, self._verdicts = name, scope, tuple(verdicts)
        self._index = {verdict.name: at for at, verdict in enumerate(self._verdicts)}
        self._texts: list[str] = []
        self._counts: list[list[int]] = []

    def write(self, text: str) -> None:
        """The next write or flush of the flow: what it wrote, and where."""
        self._texts.append(text)
        self._counts.append([0] * len(self._verdicts))

    def count(self, verdict: str, states: int = 1) -> None:
        """So many states after the newest write had this verdict. Raises KeyError for a verdict that was not announced."""
        self._counts[-1][self._index[verdict]] += states

    def replay(self) -> Replay:
        """All that was counted so far."""
        writes = zip(self._texts, self._counts, strict=True)
        return Replay(
            self._name,
            self._scope,
            self._verdicts,
            tuple(Write(number, text, tuple(counts)) for number, (text, counts) in enumerate(writes, 1)),
        )


class Recorder:
    """Collects a run. Its records may be told of from different threads."""

    def __init__(
        self,
        title: str,
        notes: Iterable[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """The run begins now."""
        self._title, self.notes = title, list(notes)
        self._clock, self._begin, self._began = clock, clock(), now()
        self._lock = threading.Lock()
        self._records: list[MachineRecord] = []
        self._replays: list[Replay] = []
        self.test = ""
        """What the machines are for that are made from here on, such as the name of a test."""

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._clock() - self._begin

    def record(self, name: str) -> MachineRecord:
        """A new machine."""
        record = MachineRecord(name, self.test, lambda: self.seconds)
        with self._lock:
            self._records.append(record)
        return record

    def named(self, name: str) -> MachineRecord | None:
        """The newest machine of this name."""
        with self._lock:
            return next((record for record in reversed(self._records) if record.name == name), None)

    def replay(self, replay: Replay) -> None:
        """A replay was done."""
        with self._lock:
            self._replays.append(replay)

    def run(self) -> Run:
        """All that was told so far."""
        with self._lock:
            records, replays = tuple(self._records), tuple(self._replays)
        return self._made(records, replays)

    def _made(self, records: tuple[MachineRecord, ...], replays: tuple[Replay, ...]) -> Run:
        began = self._began.isoformat(timespec="microseconds")
        machines = tuple(record.machine() for record in records)
        return Run(self._title, began, self.seconds, machines, replays, tuple(self.notes))

    def take(self) -> Run:
        """The machines that are gone, and the replays; they are forgotten, so that the next one holds only what is new."""
        with self._lock:
            records = tuple(record for record in self._records if record.finished)
            self._records = [record for record in self._records if not record.finished]
            for record in records:
                record.taken = True
            replays, self._replays = tuple(self._replays), []
        return self._made(records, replays)


def merge(title: str, runs: Sequence[Run], notes: Iterable[str] = ()) -> Run:
    """Several runs, whose clocks began at different times, as one that begins with the earliest. ``runs`` is not empty."""
    begins = [datetime.fromisoformat(run.began) for run in runs]
    first = min(begins)
    offsets = [(begin - first) / timedelta(seconds=1) for begin in begins]
    return Run(
        title,
        first.isoformat(timespec="microseconds"),
        max(run.seconds + offset for run, offset in zip(runs, offsets, strict=True)),
        tuple(_shifted(machine, offset) for run, offset in zip(runs, offsets, strict=True) for machine in run.machines),
        tuple(replay for run in runs for replay in run.replays),
        tuple(dict.fromkeys([*notes, *(note for run in runs for note in run.notes)])),
    )


def _shifted(machine: Machine, offset: float) -> Machine:
    def later(time: float | None) -> float | None:
        return None if time is None else time + offset

    return replace(
        machine,
        boots=tuple(
            replace(boot, begin=boot.begin + offset, end=later(boot.end), up=later(boot.up)) for boot in machine.boots
        ),
        events=tuple(replace(event, at=event.at + offset) for event in machine.events),
        screenshots=tuple(replace(shot, at=shot.at + offset) for shot in machine.screenshots),
    )


def judged(run: Run, verdicts: Mapping[str, tuple[str, str]]) -> Run:
    """The run with the verdict and the error of each test on its machines, by the name of the test."""
    return replace(
        run,
        machines=tuple(
            replace(machine, verdict=verdicts[machine.test][0], error=verdicts[machine.test][1])
            if machine.test in verdicts
            else machine
            for machine in run.machines
        ),
    )
