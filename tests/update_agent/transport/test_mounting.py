"""Looking into a medium: what it needs of the machine, and what is said where the machine does not have it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.loopdev import LOOP, loop, loops_over
from tests.support import run_tool
from tests.update_agent.updates import refusal, two_slots, updatectl
from update_agent.errors import MediumError
from update_agent.transport import mounting
from update_agent.transport.medium import open_medium

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = bytes(range(256)) * 30
EROFS = LOOP and "erofs" in Path("/proc/filesystems").read_text().split()
needs_erofs = pytest.mark.skipif(not EROFS, reason="no loop devices, or no erofs in this kernel")


def erofs(path: Path, tree: Path) -> Path:
    run_tool("mkfs.erofs", "--quiet", path, tree)
    return path


def empty_folder(disks: Path) -> Path:
    (disks / "empty").mkdir()
    return disks / "empty"


@needs_erofs
@pytest.mark.parametrize(
    "argv",
    [
        ("mksquashfs", "tree", "update.img", "-quiet", "-no-progress"),
        ("mkfs.ext4", "-q", "-d", "tree", "update.img", "4M"),
    ],
)
def test_a_medium_may_be_of_any_file_system_of_slots(
    update: Callable[..., Path], disks: Path, argv: tuple[str, ...]
) -> None:
    places = {"tree": update(CONTENT), "update.img": disks / "update.img"}
    run_tool(*(str(places.get(word, word)) for word in argv))
    if argv[0].removeprefix("mk").removeprefix("fs.") not in Path("/proc/filesystems").read_text().split():
        pytest.skip("this kernel has no driver for it")
    with open_medium(disks / "update.img") as found:
        assert found.image.read_bytes() == CONTENT


@needs_erofs
def test_a_device_and_a_file_are_the_same_update(update: Callable[..., Path], disks: Path) -> None:
    folder = update(CONTENT)
    medium = erofs(disks / "update.img", folder)
    with open_medium(folder) as one, open_medium(medium) as two:
        assert one.sha256 == two.sha256
        assert two.shown == f"{medium}/slot.img"
        assert two.image.read_bytes() == CONTENT
        assert " - erofs " not in Path("/proc/self/mountinfo").read_text()
        assert len(loops_over(medium).split()) == 1
    assert loops_over(medium) == ""
    with loop(medium, "--read-only") as device, open_medium(Path(device)) as three:
        assert three.sha256 == one.sha256
        assert three.shown == f"{device}/slot.img"


@needs_erofs
def test_errors_name_the_medium_and_not_where_it_is_mounted(update: Callable[..., Path], disks: Path) -> None:
    medium = erofs(disks / "update.img", update(CONTENT, size=5))
    said = refusal(updatectl("install", medium, "--target", medium))
    assert said == (
        f"updatectl: {medium}/slot.img: no usable update: it has {len(CONTENT)} bytes, the description says 5\n"
    )
    assert loops_over(medium) == ""


@needs_erofs
@pytest.mark.parametrize("content", [b"", b"x", bytes(1 << 20), b"\x7fELF" * 10000])
def test_what_holds_no_file_system_is_refused_before_anything_is_written(disks: Path, content: bytes) -> None:
    medium, disk = disks / "medium", disks / "disk.img"
    medium.write_bytes(content)
    disk.write_bytes(before := bytes(two_slots(20).gpt.image()))
    said = refusal(updatectl("install", medium, "--target", disk, "--slot", "2"))
    assert said == (
        f"updatectl: {medium}: no usable update: it holds no file system that an update comes in; expected erofs or squashfs "
        "or ext4\n"
    )
    assert disk.read_bytes() == before
    assert loops_over(medium) == ""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EPERM, "only root can do that; give a folder"),
        (errno.ENODEV, "this kernel has no driver for its file system"),
        (errno.ENOSYS, "Linux 5.8 or newer"),
        (errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
)
def test_what_the_kernel_does_not_do_is_said(
    disks: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    medium = erofs(disks / "medium", empty_folder(disks))

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(mounting, "syscall", fail)
    monkeypatch.setattr(mounting, "_attach", lambda *_: "/dev/null")
    said = f"{medium}: no usable update: it cannot be mounted: .*{message}"
    with pytest.raises(MediumError, match=said), open_medium(medium):
        pass


def test_a_machine_without_loop_devices_is_told_so(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    medium = erofs(disks / "medium", empty_folder(disks))
    monkeypatch.setattr(mounting, "_LOOP_CONTROL", str(disks / "no-loop-control"))
    with pytest.raises(MediumError, match="no-loop-control: No such file or directory"), open_medium(medium):
        pass


@needs_erofs
def test_a_loop_device_that_another_process_took_first_is_left_to_it(
    update: Callable[..., Path], disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium, taken = erofs(disks / "update.img", update(CONTENT)), disks / "taken"
    taken.write_bytes(bytes(4096))
    ioctl: Callable[..., object] = fcntl.ioctl
    stolen: list[str] = []

    def race(fd: int, request: int, *arguments: object) -> object:
        found = ioctl(fd, request, *arguments)
        if request == 0x4C82 and not stolen:
            node = f"/dev/loop{found}"
            # Other tests take loop devices too, and may be faster than this thief: it tries again with the next one.
            if subprocess.run(["losetup", node, taken], capture_output=True).returncode == 0:
                stolen.append(node)
        return found

    monkeypatch.setattr(fcntl, "ioctl", race)
    try:
        with open_medium(medium) as told:
            assert told.image.read_bytes() == CONTENT
        assert loops_over(taken).split() == stolen
    finally:
        run_tool("losetup", "--detach", stolen[0])


def test_a_pipe_or_a_terminal_is_no_medium(disks: Path) -> None:
    pipe = disks / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        assert "it is neither a block device nor a file or folder" in refusal(updatectl("install", path))


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")
@needs_erofs
def test_somebody_who_is_not_root_is_told_what_to_do(update: Callable[..., Path], disks: Path) -> None:
    medium = erofs(disks / "update.img", update(CONTENT))
    disks.chmod(0o755)
    medium.chmod(0o644)
    program = "import os, sys; os.setuid(65534); from update_agent.entry import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "install", medium],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "only root can do that" in done.stderr
