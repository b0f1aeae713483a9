"""The scripts of the tiny slot, run by the slot's own shell on this machine."""

from __future__ import annotations

import base64
import os
import pty
import select
import signal
import subprocess
import tty
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.formats.decision import DECISION_FOR_SHELLS, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(__file__).parents[3] / "image_builder/data/tiny"
DECISION = Decision(
    disk="/dev/nvme0n1",
    partition=3,
    device="/dev/nvme0n1p3",
    label="USR-A",
    partuuid="7130c94a-213a-4e5a-8e26-6cce9662f132",
    policy="gptprio",
    priority=1,
    tries=0,
    successful=1,
    reason='it is "known to boot", $(reboot) \'{successful}',
)


def run_shell(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([root / "usr/bin/busybox", "sh", "-c", script], capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("LABEL", "USR-A"),
        ("DISK", "/dev/nvme0n1"),
        ("SUCCESSFUL", "1"),
        ("PARTITION", "3"),
        ("PROBLEM", ""),
        ("REASON", DECISION.reason),
    ],
)
def test_init_reads_what_the_selector_has_left(root: Path, tmp_path: Path, field: str, expected: str) -> None:
    decision = tmp_path / "decision"
    decision.write_text(DECISION.to_shell())
    text = (SCRIPTS / "init").read_text()
    lines = text[text.index("LABEL=unknown") : text.index("slot=$LABEL")]
    assert DECISION_FOR_SHELLS in lines
    script = lines.replace(DECISION_FOR_SHELLS, str(decision)) + f'echo "${field}"'
    done = run_shell(root, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")
    decision.unlink()
    done = run_shell(root, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "unknown\n" if field == "LABEL" else "\n", "")


@pytest.mark.parametrize(
    ("text", "mode", "printed"),
    [
        ("#!/bin/sh\necho started\n", 0o755, "started\n"),
        ("#!/bin/sh\nexit 3\n", 0o755, "said: {start} failed with exit code 3\n"),
        ("#!/bin/sh\necho started\n", 0o644, ""),
        (None, 0, ""),
    ],
    ids=["runs", "fails", "is not executable", "is not there"],
)
def test_init_runs_what_is_to_be_started_and_goes_on(
    root: Path, tmp_path: Path, text: str | None, mode: int, printed: str
) -> None:
    start, console = tmp_path / "start", tmp_path / "console"
    if text is not None:
        start.write_text(text)
        start.chmod(mode)
    lines = (SCRIPTS / "init").read_text().partition("start=/etc/slotboot/start\n")[2].partition("\n\n")[0]
    assert lines
    script = f'say() {{ echo "said: $*" >>{console}; }}\nstart={start}\n{lines}\necho went on >>{console}\n'
    assert run_shell(root, script.replace("/dev/console", str(console))).returncode == 0
    assert console.read_text() == f"{printed.format(start=start)}went on\n"


class Host:
    """The host's end of the control port; a pseudo-terminal stands for the port."""

    def __init__(self, root: Path, folder: Path, greeting: str) -> None:
        # Both ends stay open here: without anybody at the other end a terminal hangs up, which a port does not.
        self._master, slave = self._ends = pty.openpty()
        tty.setraw(slave)
        ports = folder / "virtio-ports/port0"
        ports.mkdir(parents=True)
        (ports / "name").write_text("org.slotboot.control\n")
        text = (SCRIPTS / "control").read_text()
        for old, new in {
            "/sys/class/virtio-ports": str(folder / "virtio-ports"),
            "port=/dev/${file##*/}": f"port={os.ttyname(slave)}",
            "/run/slotboot": str(folder),
        }.items():
            assert old in text
            text = text.replace(old, new)
        shell = str(root / "usr/bin/busybox")
        self.guest = subprocess.Popen([shell, "sh", "-c", text, "control", greeting], start_new_session=True)

    def say(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def order(self, number: int, command: str) -> tuple[list[str], bytes]:
        self.say(f"run {number} {base64.b64encode(command.encode()).decode()}")
        *words, output = self.line().split(" ")
        return words, base64.b64decode(output, validate=True)

    def line(self) -> str:
        data = b""
        while not data.endswith(b"\n"):
            assert select.select([self._master], [], [], 30)[0], f"no line from the guest, only {data!r}"
            data += os.read(self._master, 1)
        return data.decode("ascii").rstrip("\n")

    def close(self) -> None:
        os.killpg(self.guest.pid, signal.SIGKILL)
        self.guest.wait(30)
        for end in self._ends:
            os.close(end)


@pytest.fixture
def host(root: Path, tmp_path: Path) -> Iterator[Host]:
    host = Host(root, tmp_path, "ready USR-A 1 some-boot-id")
    yield host
    host.close()


def test_the_guest_greets_and_answers_orders_with_exit_code_and_all_output(host: Host) -> None:
    assert host.line() == "ready USR-A 1 some-boot-id"
    assert host.order(1, "echo out; echo err >&2; exit 3") == (["done", "1", "3"], b"out\nerr\n")
    assert host.order(2, "true") == (["done", "2", "0"], b"")
    assert host.order(17, "printf 'a\\0b\\377'") == (["done", "17", "0"], b"a\0b\xff")


def test_orders_may_be_long_and_have_quotes_and_lines(host: Host) -> None:
    host.line()
    text = "".join(f"echo \"line {place}\" 'and more'\n" for place in range(300))
    words, output = host.order(1, text)
    assert words == ["done", "1", "0"]
    assert output.splitlines() == [b"line %d and more" % place for place in range(300)]


def test_an_order_cannot_read_the_next_one(host: Host) -> None:
    host.line()
    host.say(f"run 1 {base64.b64encode(b'cat').decode()}")
    assert host.order(2, "echo second")[0] == ["done", "1", "0"]
    assert host.line() == f"done 2 0 {base64.b64encode(b'second' + bytes([10])).decode()}"


def test_lines_that_are_no_orders_are_passed_over(host: Host) -> None:
    host.line()
    host.say("nonsense 1 2")
    host.say("")
    assert host.order(1, "echo ok") == (["done", "1", "0"], b"ok\n")


def test_a_machine_without_the_port_is_told_by_the_exit_code(root: Path, tmp_path: Path) -> None:
    text = (SCRIPTS / "control").read_text().replace("/sys/", f"{tmp_path}/")
    assert run_shell(root, text).returncode == 3
