"""An Omaha server as the selector: what is asked when, and what is reported of an update while it happens."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from update_agent.agent.choice import Nothing, Selected
from update_agent.config.kinds import without_credentials
from update_agent.errors import UpdateError
from update_agent.omaha.answer import LARGEST, NO_UPDATE, OK, parse_answer
from update_agent.omaha.errors import OmahaAnswerError
from update_agent.omaha.events import FINISHED, INSTALLED, STARTED, Code, failed
from update_agent.omaha.request import CONTENT_TYPE, Client, encode
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.agent.outbox import Outbox
    from update_agent.agent.session import Listener
    from update_agent.config.settings import Settings
    from update_agent.omaha.answer import Answer
    from update_agent.omaha.events import Event
    from update_agent.state.machine import Machine
    from update_agent.state.resume import BootFacts
    from update_agent.transport.network import Network

REPORT_SECONDS = 10.0
"""What a report may take that an update would otherwise wait for; after one that failed no other is tried in the same session."""

_S, _H = State, Happening
_STEPS = {_H.BEGIN: STARTED, _H.FETCHED: FINISHED, _H.ARM: INSTALLED}
_BEGUN = frozenset({_S.AVAILABLE, _S.DOWNLOADING, _S.VERIFYING, _S.INSTALLING, _S.ARMED, _S.WAITING, _S.REBOOTING})
_FAILURES = {
    _S.AVAILABLE: Code.DOWNLOAD,
    _S.DOWNLOADING: Code.DOWNLOAD,
    _S.VERIFYING: Code.VERIFICATION,
    _S.INSTALLING: Code.BOOTABLE_FLAG,
}
"""Where an update failed -> what that is called."""


def event_of(before: Machine, after: Machine) -> Event | None:
    """What a step is reported as, but for verdicts, which are owed; None for nothing."""
    what = after.event
    if before.state is after.state:
        return None
    if what in _STEPS:
        return _STEPS[what]
    if what is _H.REFUSE:
        return failed(Code.IGNORED)
    if what is _H.FAIL:
        code = _FAILURES.get(before.state)
        return None if code is None else failed(code)
    if what in (_H.CANCEL, _H.WITHDRAW, _H.INTERRUPT) and before.state in _BEGUN:
        return failed(Code.ERROR)
    return None


class OmahaSelector:
    """See ``Selector``. ``network`` says how servers are asked, each time anew. Raises what that raises, in ``ask``."""

    def __init__(
        self,
        settings: Settings,
        machine_id: str,
        network: Callable[[], Network],
        outbox: Outbox,
        tell: Callable[[str], None],
    ) -> None:
        self._settings, self._machine_id, self._network = settings, machine_id, network
        self._outbox, self._tell = outbox, tell
        self._shown = without_credentials(settings.server)
        self._deaf = False

    def ask(self, facts: BootFacts) -> Selected | Nothing:
        """See ``Selector``: a TransportError, NoRootError, OmahaAnswerError."""
        owed = self._outbox.owed()
        network = self._network()
        with network.client() as client:
            body = encode(self._client(facts), owed, check=True)
            attempts = network.attempts(self._shown, client.deadline)
            data = attempts.insist(lambda: client.post(self._settings.server, body, CONTENT_TYPE, LARGEST))
        answer = parse_answer(self._shown, data, self._settings.app_id)
        if answer.took(len(owed)):
            self._outbox.delivered(owed)
        self._deaf = False
        return self._selected(answer)

    def _selected(self, answer: Answer) -> Selected | Nothing:
        server = f"the server at {self._shown}"
        if answer.named is not None:
            return Selected(self._shown, answer.named.version, answer.named.sha256)
        if answer.app != OK:
            return Nothing(f"{server} gives no update: {answer.app}")
        if answer.check == NO_UPDATE:
            return Nothing(f"{server} has no update for this machine now")
        if answer.check is None:
            raise OmahaAnswerError(self._shown, "it does not answer the update check")
        return Nothing(f"{server} gives no update: {answer.check}")

    def refuse(self, facts: BootFacts, why: Nothing) -> None:
        """See ``Selector``."""
        self._report(facts, failed(Code.HASH_MISMATCH if why.disagrees else Code.IGNORED))

    def owe(self, version: str, *, proved: bool) -> None:
        """See ``Selector``."""
        self._outbox.owe(version, proved=proved)

    def listener(self, machine: Machine, facts: BootFacts) -> Listener:
        """See ``Selector``."""
        before = machine

        def listen(after: Machine) -> None:
            nonlocal before
            event, before = event_of(before, after), after
            if event in (STARTED, FINISHED, INSTALLED):
                self._outbox.begin(after.version or "", facts.versions.get(facts.running, ""))
            if event is not None:
                self._report(facts, event)

        return listen

    def _report(self, facts: BootFacts, event: Event) -> None:
        if self._deaf:
            return
        try:
            network = self._network()
            quick = replace(network.limits, connect=min(network.limits.connect, REPORT_SECONDS))
            with replace(network, metadata=REPORT_SECONDS, limits=quick).client() as client:
                body = encode(self._client(facts), [event], check=False)
                client.post(self._settings.server, body, CONTENT_TYPE, LARGEST)
        except UpdateError as error:
            self._deaf = True
            self._tell(f"the server of updates is not told how this one goes: {error}")

    def _client(self, facts: BootFacts) -> Client:
        return Client(
            self._settings.app_id,
            facts.versions.get(facts.running, ""),
            self._settings.group,
            facts.boot_id,
            self._machine_id,
            self._settings.machine_alias,
            platform.machine(),
        )
