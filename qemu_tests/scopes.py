"""The machines of a test, a module or a session: they get files of their own, and are switched off and tidied up at its end."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from qemu_tests.errors import UnwritableFolderError
from qemu_tests.naming import claim, name_of_machine, name_of_node

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from qemu_tests.harness.hardware import Hardware
    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.machine import Machine


class ScopeMachines:
    """Call it to make a machine. ``logs`` are their console logs, which stay."""

    def __init__(self, lab: Lab, names: Path, node_id: str, relative_to: Path) -> None:
        """``names`` is a folder in which all processes claim names; images are found ``relative_to`` a folder."""
        self._lab, self._names, self._node_id, self._relative_to = lab, names, node_id, relative_to
        self._own_lab: Lab | None = None
        self._machines: list[Machine] = []
        self.logs: list[Path] = []

    def __call__(
        self, image: str | os.PathLike[str], name: str | None = None, hardware: Hardware | None = None
    ) -> Machine:
        """A machine that is off, on a disk that holds ``image`` at first. Errors as ``Lab.machine``, and UnwritableFolderError."""
        self._own_lab = self._own_lab or self._claim_folders()
        lab = replace(self._own_lab, hardware=hardware or self._own_lab.hardware)
        machine = lab.machine(name or self._next_name(), self._relative_to / image)
        self._machines.append(machine)
        self.logs.append(machine.log)
        return machine

    def _claim_folders(self) -> Lab:
        name = claim(self._names, name_of_node(self._node_id))
        lab = replace(self._lab, folder=self._lab.folder / name, logs=self._lab.logs / name)
        for folder in (lab.folder, lab.logs):
            make_folder(folder)
        return lab

    def _next_name(self) -> str:
        name = name_of_machine(self._node_id)
        number = len(self._machines) + 1
        return name if number == 1 else f"{name}-{number}"

    def close(self) -> None:
        """Switch all machines off, also when one of them cannot be: then raises its error, with those of others as notes."""
        errors = [error for machine in self._machines if (error := _error_of_closing(machine)) is not None]
        if errors:
            first, *others = errors
            for other in others:
                first.add_note(f"and {other}")
            raise first

    def remove_files(self) -> None:
        """Remove all but the console logs."""
        if self._own_lab is not None:
            shutil.rmtree(self._own_lab.folder)


def _error_of_closing(machine: Machine) -> Exception | None:
    try:
        machine.close()
    except Exception as error:  # noqa: BLE001  # raised when all are closed
        return error
    return None


def make_folder(path: Path) -> None:
    """Make a folder with its parents. Raises UnwritableFolderError when it cannot be, or cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".written"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableFolderError(path, error.strerror or str(error)) from error
