"""A network that can be cut between members, and between clients and members: one process that carries the bytes of all.

As with a cable that is pulled, nothing is lost where a way is cut: connections stay, and what was under way comes when it is whole.
Each way is a pair of names, so that one side may hear and not be heard. Peers of etcd name themselves in each request.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.documentation import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENTS = "clients"
"""Who dials without a name."""
_NAME = re.compile(rb"^X-Server-From: *([0-9a-f]+)\r$", re.MULTILINE | re.IGNORECASE)
Way = tuple[str, str]


@dataclass(frozen=True)
class Door:
    """Who dials ``port`` reaches ``target``, a port of the member ``name``."""

    port: int
    target: int
    name: str


class Network:
    """The process. ``cut`` replaces what was cut before; it has happened when the call returns."""

    def __init__(self, doors: Iterable[Door]) -> None:
        argv = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", __name__]
        argv += [f"{door.port}:{door.target}:{door.name}" for door in doors]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._heard()

    def name(self, names: dict[str, str]) -> None:
        """What peers call themselves -> what they are called here."""
        self._say({"names": names})

    def cut(self, *ways: Way) -> None:
        """Nothing comes through on these ways, from the first to the second of each; all others are whole."""
        self._say({"cut": ways})

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        self._heard()

    def _heard(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "done\n", f"the network has ended: {line!r}"


class _State:
    """Of all connections."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.cut: set[Way] = set()
        self.sides: set[_Side] = set()

    def may_pass(self, source: str, sink: str) -> bool:
        return (self.names.get(source, source), self.names.get(sink, sink)) not in self.cut

    def change(self, line: str) -> None:
        told = json.loads(line)
        self.names |= told.get("names", {})
        if "cut" in told:
            self.cut = {(source, sink) for source, sink in told["cut"]}
        for side in list(self.sides):
            side.carry()


class _Side(asyncio.Protocol):
    """What one end of a connection sends; ``source`` and ``sink`` are who sends and who hears it."""

    def __init__(self, state: _State, source: str, sink: str) -> None:
        self.state, self.source, self.sink = state, source, sink
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.held = bytearray()
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.state.sides.add(self)

    def data_received(self, data: bytes) -> None:
        self.held += data
        self.carry()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.ended = True
        if self.other is None:
            self.state.sides.discard(self)
        self.carry()

    def carry(self) -> None:
        """Give the other end what this one has sent, where the way is whole."""
        other = self.other
        if other is None or other.transport is None or not self.state.may_pass(self.source, self.sink):
            return
        if self.held:
            other.transport.write(bytes(self.held))
            self.held.clear()
        if self.ended:
            self.state.sides.discard(self)
            other.transport.close()


class _Dialed(_Side):
    """The end of who dialed. What is at the other end is reached when this one has named itself."""

    def __init__(self, state: _State, door: Door) -> None:
        super().__init__(state, CLIENTS, door.name)
        self.target = door.target
        self.task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.task is None and b"\r\n\r\n" in self.held:
            found = _NAME.search(self.held)
            self.source = found[1].decode() if found else CLIENTS
            self.task = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        far = _Side(self.state, self.sink, self.source)
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, "127.0.0.1", self.target)
        except OSError:
            assert self.transport is not None
            self.transport.close()
            return
        self.other, far.other = far, self
        for side in (self, far):
            side.carry()


async def _serve(words: list[str]) -> None:
    state, loop = _State(), asyncio.get_running_loop()
    for word in words:
        port, target, name = word.split(":")
        door = Door(int(port), int(target), name)
        await loop.create_server(partial(_Dialed, state, door), "127.0.0.1", door.port)
    while True:
        sys.stdout.write("done\n")
        sys.stdout.flush()
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        state.change(line)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))
