"""The sockets between QEMU and the harness: no paths, so that none is too long, and nothing is left behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Wiring:
    """Connected sockets by name, such as ``monitor``: QEMU inherits one end of each and the harness keeps the other."""

    def __init__(self) -> None:
        self._ours: dict[str, socket.socket] = {}
        self._theirs: dict[str, socket.socket] = {}
        self._lent: dict[str, int] = {}
        self._releases: list[Callable[[], None]] = []

    def plug(self, name: str) -> int:
        """A new pair; the descriptor of QEMU's end."""
        ours, theirs = socket.socketpair()
        self._ours[name], self._theirs[name] = ours, theirs
        return theirs.fileno()

    def lend(self, name: str, descriptor: int, release: Callable[[], None] = lambda: None) -> int:
        """A descriptor that QEMU inherits as well and that belongs to somebody else; ``release`` is called when QEMU has it."""
        self._lent[name] = descriptor
        self._releases.append(release)
        return descriptor

    @property
    def descriptors(self) -> Mapping[str, int]:
        """QEMU's, by name."""
        return {**{name: sock.fileno() for name, sock in self._theirs.items()}, **self._lent}

    def take(self, name: str) -> socket.socket:
        """Our end of a pair; it belongs to the caller from here on."""
        return self._ours.pop(name)

    def started(self) -> None:
        """QEMU has inherited its ends; ours would not notice its death while we hold them too."""
        for sock in self._theirs.values():
            sock.close()
        self._theirs.clear()
        for release in self._releases:
            release()
        self._releases.clear()

    def close(self) -> None:
        """Close what nobody has taken."""
        self.started()
        for sock in self._ours.values():
            sock.close()
        self._ours.clear()
