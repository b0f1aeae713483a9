"""The server of the disk, with QEMU's own client, qemu-io, at the other end of the socket; and what it does with nonsense."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import DiskServerError
from qemu_tests.harness.disk.faults import (
    BadFlush,
    BadSector,
    CutAfter,
    CutAt,
    CutAtLine,
    CutAtWrite,
    FullDisk,
    ReadOnlyDisk,
    SlowDisk,
)
from qemu_tests.harness.disk.losses import AllLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.disk.nbd import FrozenError, NbdServer
from qemu_tests.harness.tools import find_tool

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.disk.faults import Fault

MIB = 1 << 20
SIZE = 4 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> MachineDisk:
    image = tmp_path / "image.raw"
    image.write_bytes(b"\xaa" * SIZE)
    return MachineDisk(image, tmp_path)


def qemu_io(disk: MachineDisk, *commands: str, faults: tuple[Fault, ...] = (), seconds: float = 60) -> list[str]:
    """What qemu-io says of each command, in one session that ends in an orderly way. Raises TimeoutExpired."""
    ours, theirs = socket.socketpair()
    server = NbdServer(ours, disk.power_on(faults))
    node = f"driver=nbd,server.type=fd,server.str={theirs.fileno()},export=disk"
    argv = [find_tool("qemu-io"), "-t", "writeback", "--image-opts", node]
    argv += [word for command in commands for word in ("-c", command)]
    try:
        done = subprocess.run(
            argv, pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=seconds, check=False
        )
    finally:
        theirs.close()
        server.close()
    assert server.error is None
    return [line for line in (done.stdout + done.stderr).splitlines() if "ops/sec" not in line and "ops;" not in line]


def test_qemu_reads_what_it_wrote_and_what_was_there(disk: MachineDisk) -> None:
    said = qemu_io(
        disk, "write -P 7 512 1024", "read -P 7 512 1024", "read -P 0xaa 2048 65536", "flush", "write -z 0 512"
    )
    assert said == [
        "wrote 1024/1024 bytes at offset 512",
        "read 1024/1024 bytes at offset 512",
        "read 65536/65536 bytes at offset 2048",
        "wrote 512/512 bytes at offset 0",
    ]
    disk.power_off()
    assert disk.read(0, 2048) == bytes(512) + b"\7" * 1024 + b"\xaa" * 512


def test_large_requests_and_the_last_sector(disk: MachineDisk) -> None:
    assert "Pattern" not in "".join(
        qemu_io(disk, f"write -P 1 0 {SIZE}", f"read -P 1 0 {SIZE}", f"read {SIZE - 512} 512")
    )
    assert any(
        "Invalid" in line or "beyond" in line or "failed" in line for line in qemu_io_again(disk, f"write {SIZE} 512")
    )


def qemu_io_again(disk: MachineDisk, *commands: str) -> list[str]:
    disk.power_off()
    return qemu_io(disk, *commands)


@pytest.mark.slow
def test_a_write_with_fua_is_durable_and_flushes_nothing(disk: MachineDisk) -> None:
    """qemu-io flushes when it ends, so the disk is read while it still runs: it is cut at the last write."""
    with pytest.raises(subprocess.TimeoutExpired):
        qemu_io(disk, "write -P 6 512 512", "write -f -P 5 0 512", "write 1024 512", faults=(CutAt(2),), seconds=2)
    disk.power_off(AllLost())
    assert disk.read(0, 1024) == b"\5" * 512 + b"\xaa" * 512


# What qemu-io says is the text of the error number that it got.
@pytest.mark.parametrize(
    ("fault", "commands", "error"),
    [
        (BadSector(3), ("write 1024 1024",), "Input/output error"),
        (BadSector(3, "read"), ("read 0 4096",), "Input/output error"),
        (BadFlush(), ("write -f 0 512",), "Input/output error"),
        (FullDisk(1024), ("write 0 1024", "write 0 512"), "No space left on device"),
        (ReadOnlyDisk(), ("write 0 512",), "Permission denied"),
    ],
)
def test_a_fault_is_the_error_that_the_guest_gets(
    disk: MachineDisk, fault: Fault, commands: tuple[str, ...], error: str
) -> None:
    assert error.lower() in " ".join(qemu_io(disk, *commands, faults=(fault,))).lower()


def test_a_bad_sector_fails_each_time_and_its_neighbours_do_not(disk: MachineDisk) -> None:
    said = qemu_io(disk, "write 1536 512", "write 1536 512", "write 1024 512", "write 2048 512", faults=(BadSector(3),))
    assert [line.startswith("wrote") for line in said] == [False, False, True, True]


def test_a_failed_flush_leaves_everything_at_stake(disk: MachineDisk) -> None:
    session = disk.power_on((BadFlush(after=1),))
    session.write(0, b"1" * 512)
    session.flush()
    session.write(0, b"2" * 512)
    with pytest.raises(OSError, match="Input/output error"):
        session.flush()
    disk.power_off(AllLost())
    assert disk.read(0, 512) == b"1" * 512


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "left"), [(CutAt(2), b"1122"), (CutAtWrite(3), b"1122"), (CutAtWrite(1), b"\xaa" * 4)]
)
def test_a_cut_strikes_before_the_write_is_carried_out(disk: MachineDisk, fault: Fault, left: bytes) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        qemu_io(
            disk, "write -P 0x31 0 512", "write -P 0x32 512 512", "flush", "write 1024 512", faults=(fault,), seconds=2
        )
    session = disk.session
    assert session is not None
    assert session.frozen
    disk.power_off(AllLost())
    assert disk.read(0, 1024)[::256] == left


def test_a_frozen_disk_answers_nothing(disk: MachineDisk) -> None:
    session = disk.power_on()
    session.write(0, b"1" * 512)
    session.freeze()
    for request in (lambda: session.read(0, 512), lambda: session.write(0, bytes(512)), session.flush):
        with pytest.raises(FrozenError):
            request()


def test_a_cut_at_a_time_and_a_slow_disk(tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(bytes(SIZE))
    now = [100.0]
    disk = MachineDisk(
        image, tmp_path, clock=lambda: now[0], pause=lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    session = disk.power_on((CutAfter(5), SlowDisk(2)))
    session.write(0, b"1" * 512)
    session.flush()
    assert now == [104.0]
    with pytest.raises(FrozenError):
        session.read(0, 512)
    disk.power_off(AllLost())
    assert disk.read(0, 512) == b"1" * 512


@pytest.mark.parametrize("nonsense", [b"\0" * 64, b"\0\0\0\3IHAVEOPT" + b"\xff" * 8, b"\0\0\0\3GET / HTTP/1.0\r\n\r\n"])
def test_nonsense_ends_the_server_and_harms_nothing(disk: MachineDisk, nonsense: bytes) -> None:
    ours, theirs = socket.socketpair()
    ended = threading.Event()
    server = NbdServer(ours, disk.power_on(), ended.set)
    theirs.sendall(nonsense)
    theirs.shutdown(socket.SHUT_WR)
    assert ended.wait(30)
    server.close()
    server.close()
    theirs.close()
    assert server.error is not None
    session = disk.session
    assert session is not None
    assert isinstance(session.problem, DiskServerError)
    assert str(server.error) in str(session.problem)
    disk.power_off()
    assert disk.read(0, 512) == b"\xaa" * 512


def test_a_client_that_goes_away_is_no_problem_of_the_server(disk: MachineDisk) -> None:
    ours, theirs = socket.socketpair()
    ended = threading.Event()
    server = NbdServer(ours, session := disk.power_on(), ended.set)
    theirs.recv(18)
    theirs.sendall(b"\0\0")
    theirs.close()
    assert ended.wait(30)
    server.close()
    assert session.problem is None


def test_a_fault_of_the_server_itself_is_told_too(disk: MachineDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    session = disk.power_on()
    monkeypatch.setattr(session, "read", lambda *_: 1 / 0)
    ours, theirs = socket.socketpair()
    ended = threading.Event()
    server = NbdServer(ours, session, ended.set)
    theirs.sendall(b"\0\0\0\3" + b"IHAVEOPT" + struct.pack(">LL", 1, 4) + b"disk")
    theirs.sendall(struct.pack(">LHHQQL", 0x25609513, 0, 0, 9, 0, 512))
    assert ended.wait(30)
    theirs.close()
    server.close()
    assert session.frozen
    assert "disk disk: its server ended: division by zero" in str(session.problem)


def test_a_cut_at_a_line_is_for_whoever_reads_the_console(disk: MachineDisk) -> None:
    session = disk.power_on([CutAtLine("now 2/2/0")])
    session.write(0, b"1" * 512)
    assert not session.frozen


def test_a_request_beyond_the_end_is_refused_by_number(disk: MachineDisk) -> None:
    """By hand, as QEMU's client would not send it."""
    ours, theirs = socket.socketpair()
    server = NbdServer(ours, disk.power_on())
    assert theirs.recv(18) == b"NBDMAGICIHAVEOPT\0\3"
    theirs.sendall(b"\0\0\0\3" + b"IHAVEOPT" + struct.pack(">LL", 1, 4) + b"disk")
    assert struct.unpack(">QH", theirs.recv(10)) == (SIZE, 1 | 4 | 8 | 64)
    for offset, length in ((SIZE, 512), (SIZE - 512, 1024)):
        theirs.sendall(struct.pack(">LHHQQL", 0x25609513, 0, 0, 9, offset, length))
        assert struct.unpack(">LLQ", theirs.recv(16)) == (0x67446698, errno.EINVAL, 9)
    theirs.close()
    server.close()
