"""The machines of a test, a module or a session: they get files of their own, and are switched off and tidied up at its end."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import UnwritableFolderError
from qemu_tests.naming import claim, name_of_machine, name_of_node

if TYPE_CHECKING:
    import os

    from qemu_tests.harness.hardware import Hardware
    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.machine import Machine
    from qemu_tests.harness.machine.frozen import Frozen
    from qemu_tests.harness.network.network import Network


class ScopeMachines:
    """Call it to make a machine. ``logs`` are their console logs, which stay."""

    def __init__(self, lab: Lab, names: Path, node_id: str) -> None:
        """``names`` is a folder in which all processes claim names."""
        self._lab, self._names, self._node_id = lab, names, node_id
        self._own_lab: Lab | None = None
        self._machines: list[Machine] = []
        self._networks: list[Network] = []
        self.logs: list[Path] = []

    @property
    def lab(self) -> Lab:
        """The lab of this scope, with folders of its own. Raises UnwritableFolderError."""
        self._own_lab = self._own_lab or self._claim_folders()
        return self._own_lab

    def __call__(
        self,
        image: str | os.PathLike[str],
        name: str | None = None,
        hardware: Hardware | None = None,
        variables: str | os.PathLike[str] | None = None,
    ) -> Machine:
        """A machine that is off, on a disk that holds ``image`` at first. Errors as ``Lab.machine``, and UnwritableFolderError."""
        store = None if variables is None else Path(variables)
        return self._mine(self.lab.machine(name or self._next_name(), Path(image), hardware=hardware, variables=store))

    def wake(self, frozen: Frozen, name: str | None = None, medium: Path | None = None) -> Machine:
        """A machine that goes on where ``frozen`` was, as ``Lab.wake``."""
        machine = self.woken(frozen, name)
        machine.wake(frozen, medium=medium)
        return machine

    def woken(self, frozen: Frozen, name: str | None = None) -> Machine:
        """A machine that is off and can go on where ``frozen`` was: with ``Machine.wake``, which takes faults too."""
        return self._mine(self.lab.machine_for(name or self._next_name(), frozen))

    def _mine(self, machine: Machine) -> Machine:
        self._machines.append(machine)
        self.logs.append(machine.log)
        return machine

    def network(self, name: str = "net", subnet: str = "10.77.0.0/24") -> Network:
        """A private network for ``Hardware(nics=(PrivateNetwork(network),))``, which ends with this scope. Raises NetworkError.

        What went over it is in ``NAME.pcap`` beside the console logs.
        """
        from qemu_tests.harness.network.network import Network

        network = Network(name, subnet, capture=self.lab.logs / f"{name}.pcap")
        self._networks.append(network)
        return network

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
        """Switch all machines off, also when one of them cannot be: then raises its error, with those of others as notes.

        What went wrong with a network is such an error, too.
        """
        errors = [error for machine in self._machines if (error := _error_of_closing(machine)) is not None]
        for network in self._networks:
            network.close()
            if network.problem is not None:
                errors.append(network.problem)
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
