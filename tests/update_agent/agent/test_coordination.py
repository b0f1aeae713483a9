"""The files by which others learn of a reboot."""

from __future__ import annotations

import errno
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from update_agent.agent.coordination import Coordinator, Stage, release_reboot, require_reboot
from update_agent.state.files import SystemFiles

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = "*** System restart required ***\n"
# What Flatcar greets a user with, in its words (baselayout/coreos-profile.sh of coreos-overlay): whether a coordinator runs, and its state.
GREETING = """
file={file}
if flock --nonblock --exclusive $file --command /bin/true; then echo ended; else . $file; echo "$NAME $STRATEGY $STATE"; fi
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_reboot_is_due_until_it_is_not(tmp_path: Path) -> None:
    for _ in range(2):
        require_reboot(str(tmp_path))
    assert (tmp_path / "reboot-required").read_text() == REQUIRED
    assert (tmp_path / "reboot-required.pkgs").read_text() == "slotboot\n"
    for _ in range(2):
        release_reboot(str(tmp_path))
    assert names(tmp_path) == set()


def test_what_packages_want_is_left_to_them(tmp_path: Path) -> None:
    (tmp_path / "reboot-required").write_text(REQUIRED)
    (tmp_path / "reboot-required.pkgs").write_text("linux-image\nlibc6")
    require_reboot(str(tmp_path))
    assert (tmp_path / "reboot-required.pkgs").read_text() == "linux-image\nlibc6\nslotboot\n"
    release_reboot(str(tmp_path))
    assert (tmp_path / "reboot-required").read_text() == REQUIRED
    assert (tmp_path / "reboot-required.pkgs").read_text() == "linux-image\nlibc6\n"


def greeted(run: Path) -> str:
    script = GREETING.format(file=run / "update-engine/coordinator.conf")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


@pytest.mark.skipif(not shutil.which("flock"), reason="flock is not installed")
def test_a_shell_that_greets_finds_who_decides_while_it_lives(tmp_path: Path) -> None:
    coordinator = Coordinator("fleet-lock", str(tmp_path))
    for stage in Stage:
        coordinator.show(stage)
        assert greeted(tmp_path) == f"slotboot fleet-lock {stage}"
    assert names(tmp_path / "update-engine") == {"coordinator.conf"}
    coordinator.close()
    assert names(tmp_path / "update-engine") == set()


def test_the_stages_are_locksmiths_words() -> None:
    assert [str(stage) for stage in Stage] == ["starting", "running", "reboot-planned", "rebooting"]


def test_it_closes_without_having_shown_anything_and_twice(tmp_path: Path) -> None:
    Coordinator("off", str(tmp_path)).close()
    coordinator = Coordinator("off", str(tmp_path))
    coordinator.show(Stage.RUNNING)
    coordinator.close()
    coordinator.close()
    assert names(tmp_path / "update-engine") == set()


def test_a_leftover_of_a_kill_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "update-engine").mkdir()
    (tmp_path / "update-engine/.coordinator.conf.new").write_text("NAME=torn and much longer than it will be\n" * 9)
    coordinator = Coordinator("off", str(tmp_path))
    coordinator.show(Stage.RUNNING)
    shown = (tmp_path / "update-engine/coordinator.conf").read_text()
    assert shown == "NAME=slotboot\nSTRATEGY=off\nSTATE=running\n"
    coordinator.close()


class Failing(SystemFiles):
    """The files of the system, of which one call fails."""

    def __init__(self) -> None:
        self.calls = self.fail_at = 0

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.fail_at:
            raise OSError(errno.ENOSPC, "as told")

    def write(self, fd: int, data: bytes) -> int:
        self._count()
        return super().write(fd, data[:5])

    def rename(self, old: str, new: str) -> None:
        self._count()
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self._count()
        super().unlink(path)

    def lock(self, path: str) -> int:
        self._count()
        return super().lock(path)


def test_a_call_that_fails_leaves_the_old_file_and_its_lock(tmp_path: Path) -> None:
    files = Failing()
    coordinator = Coordinator("off", str(tmp_path), files)
    coordinator.show(Stage.RUNNING)
    needed = files.calls
    assert needed > 4
    for number in range(1, needed + 1):
        files.calls, files.fail_at = 0, number
        with pytest.raises(OSError, match="as told"):
            coordinator.show(Stage.PLANNED)
        files.fail_at = 0
        assert greeted(tmp_path) == "slotboot off running"
        assert names(tmp_path / "update-engine") == {"coordinator.conf"}
    coordinator.show(Stage.PLANNED)
    assert greeted(tmp_path) == "slotboot off reboot-planned"
    coordinator.close()
