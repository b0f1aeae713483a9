"""The greeting of the monitor, over a socket pair, with a server that misbehaves."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import QmpClosedError, QmpTimeoutError
from qemu_tests.harness.notifier import Notifier
from qemu_tests.harness.qmp import Event, Qmp
from qemu_tests.harness.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

GREETING = b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}\n'


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader("test")
    yield reader
    reader.close()


@pytest.fixture
def server() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Client's and server's end."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_server_that_says_nothing_is_given_up(reader: Reader, server: tuple[socket.socket, socket.socket]) -> None:
    qmp = Qmp(server[0], reader, Notifier())
    with pytest.raises(QmpTimeoutError, match="no answer to the greeting within 0 s"):
        qmp.connect(0.05)


@pytest.mark.parametrize(
    "words", [b"", b"SSH-2.0-OpenSSH\n", b'{"return": {}}\n', GREETING, GREETING + b'{"error": {}}\n']
)
def test_a_server_that_is_no_qemu_is_refused(
    words: bytes, reader: Reader, server: tuple[socket.socket, socket.socket]
) -> None:
    server[1].sendall(words)
    server[1].shutdown(socket.SHUT_WR)
    qmp = Qmp(server[0], reader, Notifier())
    with pytest.raises(QmpClosedError, match="closed during the greeting"):
        qmp.connect()


def test_events_are_kept_from_the_first_one_on(reader: Reader, server: tuple[socket.socket, socket.socket]) -> None:
    notifier = Notifier()
    qmp = Qmp(server[0], reader, notifier)
    server[1].sendall(GREETING + b'{"return": {}}\n')
    server[1].sendall(b'{"event": "RESUME", "timestamp": {}}\n')
    server[1].sendall(b'{"event": "SHUTDOWN", "data": {"reason": "guest-reset"}, "timestamp": {}}\n')
    qmp.connect()
    assert notifier.wait(lambda: len(qmp.events) == 2 or None, 30)
    assert qmp.events == [Event("RESUME", {}), Event("SHUTDOWN", {"reason": "guest-reset"})]
    server[1].close()
    assert notifier.wait(lambda: qmp.ended or None, 30)
    qmp.close()
    qmp.close()
