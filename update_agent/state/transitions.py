"""The states of an update, what can happen, and the one table of what leads where.

The graph and the tables of docs/update-states.md are made from this file (``update_agent.state.manual``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where an update stands."""

    IDLE = "idle"
    CHECKING = "checking"
    AVAILABLE = "available"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    INSTALLING = "installing"
    ARMED = "armed"
    WAITING = "waiting-to-reboot"
    REBOOTING = "rebooting"
    PROVING = "proving"
    GOOD = "good"
    ROLLED_BACK = "rolled-back"


class Happening(StrEnum):
    """What can happen to an update."""

    CHECK = "check"
    NOTHING = "nothing"
    FOUND = "found"
    REFUSE = "refuse"
    BEGIN = "begin"
    PROGRESS = "progress"
    FETCHED = "fetched"
    VERIFIED = "verified"
    ARM = "arm"
    HOLD = "hold"
    REBOOT = "reboot"
    BOOTED = "booted"
    NOT_TRIED = "not-tried"
    PROVED = "proved"
    ROLL_BACK = "roll-back"
    SETTLE = "settle"
    FAIL = "fail"
    CANCEL = "cancel"
    INTERRUPT = "interrupt"
    WITHDRAW = "withdraw"


_S, _H = State, Happening
MEANINGS = {
    _S.IDLE: "There is nothing to do until the next check; the reason says what came of the last one.",
    _S.CHECKING: "The repository is asked for a version that this machine may take.",
    _S.AVAILABLE: "A version was found. Nothing was written yet.",
    _S.DOWNLOADING: "Segments are fetched, checked and written into the passive slot, which is 0/0/0; a journal says which are there.",
    _S.VERIFYING: "All is written; the rest of it is read back from the disk, and the whole image compared. The slot is 0/0/0.",
    _S.INSTALLING: "The slot holds the verified image and is about to be armed. It is 0/0/0, or armed already.",
    _S.ARMED: "The slot is the next one to be tried.",
    _S.WAITING: "As armed; the reason says what the reboot waits for.",
    _S.REBOOTING: "The reboot was asked for.",
    _S.PROVING: "The new slot runs, and has to prove itself. No other update begins meanwhile.",
    _S.GOOD: "The new version runs and is proved. Left once that is reported.",
    _S.ROLLED_BACK: (
        "The machine is back on the old slot, and the version is known to be bad. Left once that is reported and the slot is "
        "out of use."
    ),
}
"""A sentence for each state."""


class Transition(NamedTuple):
    """What ``what`` means in the state ``before``, and the state that follows."""

    before: State
    what: Happening
    after: State
    meaning: str


def _each(before: tuple[State, ...], what: Happening, after: State, meaning: str) -> list[Transition]:
    return [Transition(state, what, after, meaning) for state in before]


_RESTING = (_S.IDLE, _S.CHECKING, _S.AVAILABLE)
_WRITING = (_S.DOWNLOADING, _S.VERIFYING)
_STILL = (_S.ARMED, _S.WAITING, _S.REBOOTING)
_TRIED = (_S.INSTALLING, *_STILL, _S.PROVING)

STEPS = (
    *_each((_S.IDLE, _S.AVAILABLE), _H.CHECK, _S.CHECKING, "It is time to look for updates, or a person wants to."),
    *_each((_S.IDLE,), _H.FOUND, _S.AVAILABLE, "A person gave an update: a file, a folder, a medium."),
    *_each((_S.CHECKING,), _H.FOUND, _S.AVAILABLE, "There is a version that this machine may take."),
    *_each((_S.CHECKING,), _H.NOTHING, _S.IDLE, "There is nothing for this machine, and the reason says why."),
    *_each((_S.CHECKING,), _H.FAIL, _S.IDLE, "The check failed; the next one comes by itself."),
    *_each(
        (_S.AVAILABLE,),
        _H.REFUSE,
        _S.IDLE,
        "This machine cannot take the version, and the reason says why. Nothing was written.",
    ),
    *_each(
        (_S.AVAILABLE,), _H.FAIL, _S.IDLE, "It cannot be had now. Nothing was written; the next check comes by itself."
    ),
    *_each(
        (_S.AVAILABLE,),
        _H.BEGIN,
        _S.DOWNLOADING,
        "Nothing speaks against it, and the passive slot is 0/0/0 on the disk.",
    ),
    *_each((_S.DOWNLOADING,), _H.PROGRESS, _S.DOWNLOADING, "More bytes are in the slot."),
    *_each((_S.DOWNLOADING,), _H.FETCHED, _S.VERIFYING, "All segments are in the slot, each verified, and flushed."),
    *_each(
        (_S.DOWNLOADING,),
        _H.FAIL,
        _S.IDLE,
        "It cannot be fetched now; what is verified in the slot stays there for the next time.",
    ),
    *_each((_S.VERIFYING,), _H.PROGRESS, _S.VERIFYING, "More bytes are read back."),
    *_each((_S.VERIFYING,), _H.VERIFIED, _S.INSTALLING, "The slot holds what was published, to the last byte."),
    *_each(
        (_S.VERIFYING,),
        _H.FAIL,
        _S.IDLE,
        "The slot does not hold what was published, or cannot be read; it stays 0/0/0.",
    ),
    *_each((_S.INSTALLING,), _H.ARM, _S.ARMED, "The slot is armed on the disk."),
    *_each((_S.INSTALLING,), _H.FAIL, _S.IDLE, "The slot could not be armed; it is 0/0/0."),
    *_each(
        (_S.AVAILABLE, *_WRITING), _H.CANCEL, _S.IDLE, "A person stopped it; the slot is 0/0/0, or was not touched."
    ),
    *_each(
        (_S.ARMED, _S.WAITING),
        _H.CANCEL,
        _S.IDLE,
        "A person stopped it, or another machine of the fleet rolled it back, and the slot was taken out of use: 0/0/0.",
    ),
    *_each((_S.ARMED, _S.WAITING), _H.HOLD, _S.WAITING, "The reboot has to wait, and the reason says for what."),
    *_each((_S.ARMED, _S.WAITING), _H.REBOOT, _S.REBOOTING, "The machine may reboot, and is asked to."),
    *_each((_S.REBOOTING,), _H.HOLD, _S.WAITING, "The reboot did not come."),
    *_each((_S.PROVING,), _H.PROVED, _S.GOOD, "The new slot is marked successful."),
    *_each((_S.GOOD, _S.ROLLED_BACK), _H.SETTLE, _S.IDLE, "It is reported; the next check may come."),
)
"""What the agent does, and what comes of it."""

FINDINGS = (
    *_each(
        (_S.CHECKING,), _H.INTERRUPT, _S.IDLE, "The agent ended while it was checking; the next check comes by itself."
    ),
    *_each(
        (_S.DOWNLOADING,),
        _H.INTERRUPT,
        _S.DOWNLOADING,
        "The agent ended; it goes on from what is verified in the slot.",
    ),
    *_each(
        (_S.VERIFYING, _S.INSTALLING),
        _H.INTERRUPT,
        _S.AVAILABLE,
        "The agent ended before the slot was armed: it is 0/0/0, and the installation starts over.",
    ),
    *_each(
        (*_WRITING, _S.INSTALLING, *_STILL),
        _H.WITHDRAW,
        _S.IDLE,
        "Somebody else took the slot, or took it out of use, and it is left alone.",
    ),
    *_each(_TRIED, _H.BOOTED, _S.PROVING, "The new slot runs, and is not proved yet."),
    *_each(
        _RESTING,
        _H.BOOTED,
        _S.PROVING,
        "The running slot is not proved yet, and the state does not know how it came to run.",
    ),
    *_each(
        (*_STILL, _S.PROVING),
        _H.NOT_TRIED,
        _S.ARMED,
        "The machine booted, but not the new slot, which still is the next one.",
    ),
    *_each(
        (_S.INSTALLING, *_STILL),
        _H.PROVED,
        _S.GOOD,
        "The new slot is marked successful, and was so before the agent saw it run.",
    ),
    *_each(
        _TRIED,
        _H.ROLL_BACK,
        _S.ROLLED_BACK,
        "The new slot will not be booted any more; its version is remembered as bad.",
    ),
    *_each(
        _RESTING,
        _H.ROLL_BACK,
        _S.ROLLED_BACK,
        "A slot has used up its tries, and the state does not know of it; its version is remembered as bad.",
    ),
)
"""What the agent finds when it starts, after a kill, a reboot or a power cut (``update_agent.state.resume``)."""
TRANSITIONS = (*STEPS, *FINDINGS)
"""Every step that there is."""
NEXT = {(row.before, row.what): row.after for row in TRANSITIONS}
"""(state, what happens) -> the state that follows."""


def possible(state: State) -> list[Happening]:
    """What can happen in a state, in the order of the table."""
    return [row.what for row in TRANSITIONS if row.before is state]
