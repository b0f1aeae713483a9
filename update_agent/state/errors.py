"""Errors of the state: one class per situation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from update_agent.state.machine import KnownBad
    from update_agent.state.transitions import Happening, State


class StateError(UpdateError):
    """Base of what goes wrong with the state of the agent."""


class InvalidStateError(StateError):
    """A machine or an event would have values that do not belong together. It was not made."""


class TransitionError(StateError):
    """The table of transitions has no such step. The machine is as it was."""

    def __init__(self, state: State, what: Happening, possible: str) -> None:
        super().__init__(f"'{what}' cannot happen while the update is {state}; it could be {possible}")
        self.state, self.what = state, what


class KnownBadError(StateError):
    """The version was rolled back on this machine, and no person asked for it again. The machine is as it was."""

    def __init__(self, bad: KnownBad) -> None:
        super().__init__(
            f"version {bad.version} is known to be bad since {bad.at:%Y-%m-%dT%H:%M:%SZ}: {bad.reason}; a newer version is "
            "taken, or this one where a person asks for it by its name"
        )
        self.bad = bad


class NotKnownBadError(StateError):
    """A version is to be forgotten that is not remembered. The machine is as it was."""

    def __init__(self, version: str, known: str) -> None:
        super().__init__(f"version {version} is not known to be bad; known are {known or 'none'}")
        self.version = version


class NothingToResumeError(StateError):
    """The last version that is not taken again is to be resumed, and there is none. The machine is as it was."""

    def __init__(self) -> None:
        super().__init__("nothing was cancelled or rolled back here, so there is nothing to resume")


class StateDamagedError(StateError):
    """The file of the state cannot be what this program wrote. It is left as it is."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path}: the state of the agent is damaged: {problem}; the agent starts over by itself and keeps the versions that it "
            "knows to be bad"
        )
        self.path, self.problem = path, problem


class StateNewerError(StateError):
    """The file of the state has a format that only a newer version of this program knows. It is left as it is."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path}: the state of the agent has the format {found}, this program knows {known}: a newer version wrote it; the "
            "agent starts over by itself and keeps the versions that it knows to be bad"
        )
        self.path, self.found = path, found


class StateReadError(StateError):
    """A file of the state, or of the history, cannot be read. Nothing was changed."""

    def __init__(self, path: str, problem: str, number: int | None) -> None:
        super().__init__(f"{path}: the state of the agent cannot be read: {problem}")
        self.path, self.errno = path, number


class StateWriteError(StateError):
    """The state cannot be written. On the disk is the state before, or the new one, and never a mixture."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path}: the state of the agent cannot be written: {problem}; it is still the one before, or the new one"
        )
        self.path = path


class StateBusyError(StateError):
    """Another process is changing the state: an agent or an ``updatectl``. Nothing was changed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: another updatectl is at work; wait for it, or ask it: updatectl status")
        self.path = path


class HistoryWriteError(StateError):
    """A record cannot be written. The history has all the earlier ones, and the new one in whole or not at all."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: the history cannot be written: {problem}; what is in it stays")
        self.path = path
