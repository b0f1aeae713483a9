"""A server of the network block device protocol on one connected socket, as much of it as QEMU uses.

The names are those of the protocol (NetworkBlockDevice/nbd, doc/proto.md): fixed newstyle negotiation, simple replies.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from qemu_tests.harness.disk.overlay import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

_NBDMAGIC, _IHAVEOPT, _OPTION_REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_OPT_EXPORT_NAME, _OPT_ABORT, _OPT_INFO, _OPT_GO = 1, 2, 6, 7
_REP_ACK, _REP_INFO, _REP_ERR_UNSUP = 1, 3, 1 << 31 | 1
_INFO_EXPORT, _INFO_BLOCK_SIZE = 0, 3
_HAS_FLAGS, _READ_ONLY, _SEND_FLUSH, _SEND_FUA, _SEND_WRITE_ZEROES = 1, 2, 4, 8, 64
_REQUEST, _REPLY = struct.Struct(">LHHQQL"), struct.Struct(">LLQ")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_CMD_READ, _CMD_WRITE, _CMD_DISC, _CMD_FLUSH, _CMD_WRITE_ZEROES = 0, 1, 2, 3, 6
_CMD_FLAG_FUA = 1
_LARGEST = 32 << 20
_ERRORS = {errno.EPERM: 1, errno.EIO: 5, errno.ENOMEM: 12, errno.EINVAL: 22, errno.ENOSPC: 28}
"""The protocol has numbers of its own; they are those of Linux."""


class FrozenError(Exception):
    """The disk does not answer any more, as if the power had failed at this moment. The request was not carried out."""


class Export(Protocol):
    """What the server shows. Offsets and lengths are bytes.

    ``read``, ``write`` and ``flush`` raise OSError, whose errno the client gets, or FrozenError.
    """

    size: int
    read_only: bool

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``."""

    def write(self, offset: int, data: memoryview, *, fua: bool) -> None:
        """Write at ``offset``; with ``fua`` this write, and no other, is on stable storage in the end."""

    def flush(self) -> None:
        """Put on stable storage what was written."""

    def fail(self, error: Exception) -> None:
        """The server has ended for this reason, and not because the client went away."""


class ProtocolError(Exception):
    """The client does not speak the protocol."""


class HungUpError(ProtocolError):
    """The client hung up in the middle of a message."""


class NbdServer:
    """Serves one export on one socket in a thread of its own, until the client hangs up or ``close`` is called."""

    def __init__(self, sock: socket.socket, export: Export, on_end: Callable[[], None] = lambda: None) -> None:
        """``on_end`` is called in the thread when it has stopped serving, for whatever reason."""
        sock.setblocking(True)
        self._sock, self._export, self._on_end = sock, export, on_end
        self.error: Exception | None = None
        """Why the thread ended, other than by the end of the client."""
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            if self._negotiate():
                while self._serve():
                    pass
        except FrozenError:
            return  # the socket stays open: the client waits for an answer that never comes
        except (OSError, HungUpError) as error:
            self.error = error  # the client is gone; whoever started it knows more
        except Exception as error:  # noqa: BLE001  # nobody waits for this thread: it is told to whoever waits for the guest
            self.error = error
            self._export.fail(error)
        finally:
            self._on_end()

    def close(self) -> None:
        """Hang up and end the thread. Closing twice is harmless."""
        with suppress(OSError):  # the client was faster
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._sock.close()

    def _receive(self, length: int) -> memoryview:
        buffer = memoryview(bytearray(length))
        at = 0
        while at < length:
            done = self._sock.recv_into(buffer[at:])
            if not done:
                raise HungUpError("the client hung up")
            at += done
        return buffer

    def _negotiate(self) -> bool:
        """Whether a client wants the export."""
        self._sock.sendall(_NBDMAGIC + _IHAVEOPT + struct.pack(">H", _FIXED_NEWSTYLE | _NO_ZEROES))
        self._receive(4)
        while True:
            magic, option, length = struct.unpack(">8sLL", self._receive(16))
            if magic != _IHAVEOPT or length > _LARGEST:
                raise ProtocolError(f"an option begins with {magic!r}")
            self._receive(length)
            if option == _OPT_EXPORT_NAME:
                self._sock.sendall(struct.pack(">QH", self._export.size, self._flags()))
                return True
            if option == _OPT_ABORT:
                self._answer(option, _REP_ACK)
                return False
            if option not in {_OPT_INFO, _OPT_GO}:
                self._answer(option, _REP_ERR_UNSUP)
                continue
            self._answer(option, _REP_INFO, struct.pack(">HQH", _INFO_EXPORT, self._export.size, self._flags()))
            self._answer(option, _REP_INFO, struct.pack(">HLLL", _INFO_BLOCK_SIZE, SECTOR, 4096, _LARGEST))
            self._answer(option, _REP_ACK)
            if option == _OPT_GO:
                return True

    def _flags(self) -> int:
        writable = _SEND_FLUSH | _SEND_FUA | _SEND_WRITE_ZEROES
        return _HAS_FLAGS | (_READ_ONLY if self._export.read_only else writable)

    def _answer(self, option: int, kind: int, data: bytes = b"") -> None:
        self._sock.sendall(struct.pack(">QLLL", _OPTION_REPLY, option, kind, len(data)) + data)

    def _serve(self) -> bool:
        """Carry out one request; whether there may be another."""
        try:
            head = self._receive(_REQUEST.size)
        except HungUpError:
            return False
        magic, flags, command, handle, offset, length = _REQUEST.unpack(head)
        if magic != _REQUEST_MAGIC:
            raise ProtocolError(f"a request begins with {magic:#x}")
        if command == _CMD_DISC:
            return False
        data = self._receive(length) if command == _CMD_WRITE else memoryview(b"")
        code, answer = 0, b""
        try:
            answer = self._carry_out(command, offset, length, data, fua=bool(flags & _CMD_FLAG_FUA))
        except OSError as error:
            code = _ERRORS.get(error.errno or errno.EIO, errno.EIO)
        self._sock.sendall(_REPLY.pack(_REPLY_MAGIC, code, handle) + answer)
        return True

    def _carry_out(self, command: int, offset: int, length: int, data: memoryview, *, fua: bool) -> bytes:
        export = self._export
        if command != _CMD_FLUSH and (offset + length > export.size or length > _LARGEST):
            raise OSError(errno.EINVAL, "beyond the end")
        if command == _CMD_READ:
            return export.read(offset, length)
        if command == _CMD_FLUSH:
            export.flush()
        elif command in {_CMD_WRITE, _CMD_WRITE_ZEROES}:
            export.write(offset, data if command == _CMD_WRITE else memoryview(bytes(length)), fua=fua)
        else:
            raise OSError(errno.EINVAL, "no such command")
        return b""
