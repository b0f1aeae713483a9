"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEST = """
def test_one(slotboot_machine):
    slotboot_machine.boot()
    slotboot_machine.wait_for_hello()

def test_two(slotboot_machines, tmp_path):
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(4 << 20))
    machine, other = slotboot_machines(image), slotboot_machines(image)
    assert machine.state == other.state == "off"
    assert (machine.name, other.name) == ("two", "two-2")
    machine.log.write_text("Kernel panic")
    raise AssertionError("told to fail")
"""


def inner_pytest(folder: Path, *options: str) -> str:
    (folder / "test_inner.py").write_text(TEST)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SLOTBOOT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options, "test_inner.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_a_failed_test_says_where_its_consoles_are(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    said = inner_pytest(tmp_path, "--slotboot-accel", "tcg", "--slotboot-logs", str(logs), "-k", "two")
    assert "told to fail" in said
    assert "console logs" in said
    assert f"{logs}/two.console.log\n{logs}/two-2.console.log" in said
    assert (logs / "two.console.log").read_text() == "Kernel panic"


def test_the_machine_of_the_command_line_needs_an_image(tmp_path: Path) -> None:
    said = inner_pytest(tmp_path, "--slotboot-accel", "tcg", "-k", "one")
    assert "the fixture slotboot_machine needs --slotboot-image IMAGE" in said
