"""Errors of the agent's own: one class per situation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.errors import UpdateError
from update_agent.lock.errors import LockError

if TYPE_CHECKING:
    from pathlib import Path

    from update_agent.state.machine import Machine


class NotNowError(UpdateError):
    """An update is under way, or the running slot is not proved yet: no other one begins. Nothing was written."""

    def __init__(self, machine: Machine, problem: str) -> None:
        super().__init__(problem)
        self.machine = machine


class NothingToTakeError(UpdateError):
    """There is no release that this machine may take, and the reason says why. Nothing was written."""


class NotProvedError(UpdateError):
    """The version that was waited for does not run, and will not by itself."""

    def __init__(self, version: str, problem: str) -> None:
        super().__init__(f"version {version} is not in use: {problem}")
        self.version = version


class CancelledError(UpdateError):
    """A person stopped the installation. The passive slot is 0/0/0, or was not touched."""

    def __init__(self) -> None:
        super().__init__("cancelled by a person")


class NoRootError(UpdateError):
    """The machine has no root of trust for a repository. Nothing was asked."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: the root of trust cannot be read: {problem}; put metadata/1.root.json of the repository there, or set update.root"
        )
        self.path = path


class NothingToCancelError(UpdateError):
    """No update is under way. Nothing was changed."""


class RebootError(UpdateError):
    """The machine could not be asked to reboot. The slot stays armed."""

    def __init__(self, program: str, problem: str) -> None:
        super().__init__(f"{program}: {problem}; reboot the machine to try the new version")
        self.program, self.problem = program, problem


class NoLockClientError(LockError):
    """A package of Python is not installed that a client of this lock needs. The lock was not asked."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} needs the Python package {name}, which is not here: pip install 'slotboot[agent]'")


class NoMachineIdError(LockError):
    """The machine has no name by which a lock could know it. The lock was not asked."""

    def __init__(self) -> None:
        super().__init__("this machine has no id in /etc/machine-id; 'systemd-machine-id-setup' makes one")
