"""``bootlab run``, put together."""

from __future__ import annotations

import itertools
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.image import image_info
from qemu_tests.harness.lab import Lab
from qemu_tests.interactive.controls import Controls
from qemu_tests.interactive.session import Session
from qemu_tests.interactive.terminal import Follower, Terminal
from qemu_tests.report.files import write_report
from qemu_tests.report.recorded import RecordedMachine
from qemu_tests.report.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.harness.accel import Accelerator


def run_by_hand(image: Path, medium: Path | None, accelerator: Accelerator | None, report: Path | None) -> None:
    """Until the person leaves. The machine is gone then, and its report written. Raises LabError."""
    terminal = Terminal(sys.stdin.fileno(), sys.stdout.fileno())
    for path in (image, medium):
        if path is not None:
            image_info(path)
    with TemporaryDirectory(prefix="bootlab-") as folder:
        lab = Lab.open(Path(folder), accelerator=accelerator)
        notes = [f"booted by hand with {lab.accelerator.name}: {lab.accelerator.reason}"]
        recorder = Recorder(f"{image.name}, by hand", notes)
        try:
            _run_session(
                RecordedMachine(image.stem[:60] or "machine", image, lab, lab.hardware, recorder),
                medium,
                terminal,
                snapshots_of(image),
            )
        finally:
            if report is not None:
                write_report(recorder.run(), report)
                print(f"bootlab: what happened: {report}")  # noqa: T201  # the terminal is ours again


def _run_session(
    machine: RecordedMachine, medium: Path | None, terminal: Terminal, snapshots: Callable[[], Path]
) -> None:
    with ExitStack() as stack:
        controls = Controls(machine, medium)
        stack.callback(controls.close)
        console = Follower(machine.log)
        stack.callback(console.close)
        former = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        stack.callback(signal.signal, signal.SIGTERM, former)
        stack.enter_context(terminal)
        Session(controls, terminal, console, snapshots).run()


def snapshots_of(image: Path) -> Callable[[], Path]:
    """Paths of snapshots in the current folder: ``NAME-snapshot-1.raw`` and so on, none of which is there yet."""

    def following() -> Path:
        paths = (Path(f"{image.stem}-snapshot-{number}.raw") for number in itertools.count(1))
        return next(path for path in paths if not path.exists())

    return following
