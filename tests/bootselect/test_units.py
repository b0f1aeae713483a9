"""The systemd units, judged by systemd."""

from __future__ import annotations

import subprocess
from pathlib import Path

UNITS = Path(__file__).parents[2] / "bootselect/integration/systemd"


def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    # The program is not installed where the tests run, and systemd would say so.
    program = tmp_path / "bootselect"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS.glob("*.service"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/bootselect", str(program)))
    units = [str(path) for path in sorted(tmp_path.glob("*.service"))]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_good_comes_after_the_checks_and_never_by_a_timer() -> None:
    health, good = (UNITS / f"bootselect-{name}.service" for name in ("health", "mark-good"))
    assert "Before=boot-complete.target" in health.read_text()
    assert "RequiredBy=boot-complete.target" in health.read_text()
    assert "Requires=boot-complete.target\nAfter=boot-complete.target" in good.read_text()
    assert not list(UNITS.glob("*.timer"))
