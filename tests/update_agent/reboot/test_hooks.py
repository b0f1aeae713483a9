"""pre-reboot.d and post-good.d: which files, in which order, for how long, and what a failure means."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from update_agent.config.environment import HOOKS, read_environment
from update_agent.reboot.hooks import POST_GOOD, PRE_REBOOT, Runner, find_hooks


class Machine:
    """Folders for hooks; every hook writes its name into ``ran``."""

    def __init__(self, root: Path) -> None:
        self.root, self.ran, self.told = root, root / "ran", list[str]()
        self.etc, self.usr = root / "etc", root / "usr"

    @property
    def folders(self) -> tuple[Path, Path]:
        return self.etc, self.usr

    def hook(self, place: Path, name: str, script: str = "", *, event: str = PRE_REBOOT, mode: int = 0o755) -> Path:
        path = place / f"{event}.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{place.name} {name}" >>{self.ran}\n{script}\n')
        path.chmod(mode)
        return path

    def runner(self, **more: object) -> Runner:
        return Runner(self.told.append, self.folders, self.root / "no systemd", **more)  # type: ignore[arg-type]

    def run(self, event: str = PRE_REBOOT, seconds: float = 30, *, all_of_them: bool = False, **more: object) -> str:
        return self.runner(**more).run(event, {"SLOTBOOT_VERSION": "1.1"}, seconds, all_of_them=all_of_them)

    def lines(self) -> list[str]:
        return self.ran.read_text().splitlines() if self.ran.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_they_run_in_the_order_of_their_names_whichever_folder_they_are_in(machine: Machine) -> None:
    machine.hook(machine.usr, "10-first.sh")
    machine.hook(machine.etc, "20-second")
    machine.hook(machine.usr, "30-third")
    machine.hook(machine.usr, "9-last")
    assert machine.run() == ""
    assert machine.lines() == ["usr 10-first.sh", "etc 20-second", "usr 30-third", "usr 9-last"]


def test_one_of_the_administrator_stands_in_for_the_image_s_and_masks_it(machine: Machine) -> None:
    for name in ("10-a", "20-b", "30-c", "40-d"):
        machine.hook(machine.usr, name)
    machine.hook(machine.etc, "10-a")
    (machine.etc / "pre-reboot.d/20-b").symlink_to("/dev/null")
    (machine.etc / "pre-reboot.d/30-c").touch()
    assert machine.run() == ""
    assert machine.lines() == ["etc 10-a", "usr 40-d"]


def test_copies_of_editors_and_packages_are_no_hooks(machine: Machine) -> None:
    names = [
        ".hidden", "10-a~", "10-a.bak", "10-a.dpkg-old", "10-a.dpkg-new", "10-a.rpmsave", "10-a.ucf-dist", "10-a.swp", "README",
        "README.md",
    ]  # fmt: skip
    for name in names:
        machine.hook(machine.etc, name)
    (machine.etc / "pre-reboot.d/folder").mkdir()
    machine.hook(machine.etc, "10-a.py")
    assert [path.name for path in find_hooks(PRE_REBOOT, machine.folders)] == ["10-a.py"]
    assert find_hooks(POST_GOOD, machine.folders) == []


def test_systemd_takes_the_same_files(machine: Machine) -> None:
    """systemd-analyze lists the configuration of tmpfiles from folders with the same rules, of names that end in .conf."""
    names = ["20-b.conf", "10-a.conf", ".h.conf", "15-x.conf~", "30-c.conf"]
    for folder in ("etc/tmpfiles.d", "usr/lib/tmpfiles.d"):
        (machine.root / folder).mkdir(parents=True)
        for name in names:
            (machine.root / folder / name).write_text(f"# {name}\n")
    (machine.root / "etc/tmpfiles.d/30-c.conf").unlink()
    (machine.root / "etc/tmpfiles.d/30-c.conf").symlink_to("/dev/null")
    for place, folder in ((machine.etc, "etc"), (machine.usr, "usr/lib")):
        place.mkdir(exist_ok=True)
        (place / "pre-reboot.d").symlink_to(machine.root / folder / "tmpfiles.d")
    argv = ["systemd-analyze", f"--root={machine.root}", "cat-config", "tmpfiles.d"]
    done = subprocess.run(argv, capture_output=True, text=True)
    judged = [
        line.removeprefix(f"# {machine.root}")
        for line in done.stdout.splitlines()
        if line.startswith(f"# {machine.root}")
    ]
    ours = [path.resolve() for path in find_hooks(PRE_REBOOT, machine.folders)]
    assert [str(path).removeprefix(str(machine.root)) for path in ours] == [
        path for path in judged if "30-c" not in path
    ] == ["/etc/tmpfiles.d/10-a.conf", "/etc/tmpfiles.d/20-b.conf"]  # fmt: skip


def test_the_first_failure_ends_a_drain_and_is_named(machine: Machine) -> None:
    machine.hook(machine.etc, "10-a")
    path = machine.hook(machine.etc, "20-b", "echo no room >&2; exit 3")
    machine.hook(machine.etc, "30-c")
    assert machine.run() == f"{path}: it ended with exit code 3"
    assert machine.lines() == ["etc 10-a", "etc 20-b"]
    assert machine.told == ["pre-reboot 20-b: no room"]


def test_what_is_run_afterwards_is_run_all_of_it(machine: Machine) -> None:
    for name, script in (("10-a", "exit 1"), ("20-b", ""), ("30-c", "kill -KILL $$")):
        machine.hook(machine.etc, name, script, event=POST_GOOD)
    problem = machine.run(POST_GOOD, all_of_them=True)
    assert [part.rpartition(": ")[2] for part in problem.split("; ")] == [
        "it ended with exit code 1",
        "it ended with SIGKILL",
    ]
    assert len(machine.lines()) == 3


def test_a_file_that_is_no_program_is_not_passed_over_in_silence(machine: Machine) -> None:
    machine.hook(machine.etc, "10-drain", mode=0o644)
    assert "chmod +x" in machine.run()
    (machine.etc / "pre-reboot.d/10-drain").unlink()
    (machine.etc / "pre-reboot.d/10-drain").symlink_to("nowhere")
    assert "10-drain: it is no program" in machine.run()
    (machine.etc / "pre-reboot.d/10-drain").unlink()
    (machine.etc / "pre-reboot.d/10-drain").write_text("#!/no/such/interpreter\n")
    (machine.etc / "pre-reboot.d/10-drain").chmod(0o755)
    assert "it cannot be run: No such file or directory" in machine.run()


def lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.mark.slow
def test_one_that_takes_too_long_is_ended_with_all_that_it_started(machine: Machine) -> None:
    pids = machine.root / "pids"
    machine.hook(
        machine.etc, "10-a", f"trap '' TERM\nsleep 1000 &\necho $! >>{pids}\necho $$ >>{pids}\nwait; wait; wait"
    )
    machine.hook(machine.etc, "20-b")
    clock = iter(range(0, 1000, 1))
    assert machine.run(seconds=10, clock=lambda: float(next(clock))).endswith("10-a: it took longer than it may")
    assert machine.lines() == ["etc 10-a"]
    # Killed, and gone as soon as the kernel has found the time for it.
    end = time.monotonic() + 10
    while any(lives(int(word)) for word in pids.read_text().split()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_all_hooks_share_the_time(machine: Machine) -> None:
    machine.hook(machine.etc, "10-a")
    machine.hook(machine.etc, "20-b")
    # All of it is over as soon as the first one has run.
    problem = machine.run(seconds=10, clock=lambda: 10.0 if machine.lines() else 0.0)
    assert "it took longer than it may" in problem or "there was no time left for it" in problem
    assert machine.lines() == ["etc 10-a"]


def test_a_child_that_stays_holds_nobody(machine: Machine) -> None:
    machine.hook(machine.etc, "10-a", "sleep 1000 &\necho begun\nprintf 'no end of line'")
    assert machine.run() == ""
    assert machine.told == ["pre-reboot 10-a: begun", "pre-reboot 10-a: no end of line"]


def test_a_hook_that_prints_without_end_fills_nothing(machine: Machine) -> None:
    machine.hook(machine.etc, "10-a", f"exec {sys.executable} -c 'import sys; sys.stdout.write(\"x\" * 1000000)'")
    assert machine.run() == ""
    text = [line.removeprefix("pre-reboot 10-a: ") for line in machine.told]
    assert sum(map(len, text)) == 1000000
    assert max(map(len, text)) <= 1 << 15


def test_a_person_can_stop_it(machine: Machine) -> None:
    machine.hook(machine.etc, "10-a", f"touch {machine.root}/begun\nsleep 1000")
    begun = machine.root / "begun"
    assert "a person cancelled" in machine.run(stopped=begun.exists, seconds=1000)


def test_it_says_that_it_lives_while_a_hook_runs(machine: Machine) -> None:
    alive = threading.Event()
    machine.hook(machine.etc, "10-a", f"while ! [ -e {machine.root}/seen ]; do sleep 0.05; done")

    def seen() -> None:
        (machine.root / "seen").touch()
        alive.set()

    assert machine.run(alive=seen) == ""
    assert alive.is_set()


def test_they_know_what_it_is_about_and_may_call_our_commands(machine: Machine) -> None:
    machine.hook(machine.etc, "10-a", 'echo "$SLOTBOOT_VERSION"')
    assert machine.run() == ""
    assert machine.told == ["pre-reboot 10-a: 1.1"]
    assert not read_environment(dict.fromkeys(HOOKS, "1.1")).mistakes


def test_where_systemd_runs_each_is_a_service_of_its_own(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, bin_ = machine.root / "calls", machine.root / "bin"
    bin_.mkdir()
    for name, code in (("systemd-run", 4), ("systemctl", 0)):
        (bin_ / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "{name}" "$@" >>{calls}\nexit {code}\n')
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    path = machine.hook(machine.etc, "10-drain node.sh")
    runner = Runner(machine.told.append, machine.folders, machine.root)
    assert runner.run(PRE_REBOOT, {"SLOTBOOT_VERSION": "1.1"}, 30) == f"{path}: it ended with exit code 4"
    lines = calls.read_text().splitlines()
    unit = "slotboot-pre-reboot-10-drain_node.sh.service"
    assert lines[:4] == ["systemctl", "stop", unit, "systemd-run"]
    assert {"--wait", "--collect", f"--unit={unit}", "--setenv=SLOTBOOT_VERSION=1.1"} <= set(lines)
    assert lines[-2:] == ["--", str(path)]
    # The hook itself is systemd's to run.
    assert machine.lines() == []
    known = subprocess.run(["/usr/bin/systemd-run", "--help"], capture_output=True, text=True).stdout
    assert all(line.partition("=")[0] in known for line in lines if line.startswith("--") and line != "--")
