"""Installs what a person brought: a medium, a folder, a file. Needs no library beyond those of the boot path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.agent.errors import NotNowError
from update_agent.agent.steps import Ears, steps_to_armed, voice_of
from update_agent.errors import SlotTypeError
from update_agent.slot.install import install
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from update_agent.agent.session import Session
    from update_agent.slot.install import Installed
    from update_agent.transport.medium import Update

_WHY_NOT = {
    State.ARMED: "version {version} is installed and tried at the next boot; 'updatectl cancel' takes it back",
    State.WAITING: "version {version} is installed and tried at the next boot; 'updatectl cancel' takes it back",
    State.REBOOTING: "version {version} is installed, and the machine is about to reboot into it",
    State.PROVING: "version {version} runs and is not proved yet; it proves itself by 'bootselect mark-good'",
}


def require_free(session: Session) -> None:
    """Give up a download that was interrupted (what is verified in the slot stays there). Raises NotNowError unless an update may begin."""
    if session.state is State.DOWNLOADING:
        session.step(Happening.FAIL, "it was interrupted, and something else was asked for")
    machine = session.machine
    if machine.state not in (State.IDLE, State.AVAILABLE):
        text = _WHY_NOT.get(machine.state, "version {version} is {state}")
        raise NotNowError(machine, text.format(version=machine.version, state=machine.state))


def install_medium(
    session: Session, update: Update, slot: str | None, tries: int, ears: Ears | None = None
) -> Installed:
    """Install it; it is armed afterwards. Raises NotNowError, CancelledError and what ``install`` raises; the state is idle then."""
    require_free(session)
    found = session.world.found
    if update.slot_type != found.type_guid:
        raise SlotTypeError(update.shown, update.slot_type, found.type_guid)
    if session.state is State.AVAILABLE:
        session.step(Happening.CHECK)
    session.step(Happening.FOUND, version=update.version, asked=True)
    with steps_to_armed(session):
        return install(update, found, slot, tries, voice_of(session, ears or Ears()), session.world.chain)
