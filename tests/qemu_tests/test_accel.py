"""The accelerator is chosen by running a guest, not by looking at ``/dev/kvm``."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import MissingToolError, NoAcceleratorError
from qemu_tests.harness.accel import Accelerator, probe, probe_guest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ARRIVED, STUCK, REFUSED = (85, ""), (None, ""), (1, "qemu: failed to initialize kvm: Permission denied")
"""isa-debug-exit makes 2 * 0x2a + 1 of the guest's 0x2a."""


class Qemu:
    def __init__(self, **answers: tuple[int | None, str]) -> None:
        self.answers, self.asked = answers, list[str]()

    def run(self, argv: Sequence[str], seconds: float) -> tuple[int | None, str]:
        name = argv[argv.index("-accel") + 1]
        self.asked.append(name)
        assert seconds == {"kvm": 3, "tcg": 60}[name]
        return self.answers[name]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.5
        return self.now


@pytest.fixture
def kvm(tmp_path: Path) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    return path


def test_kvm_is_used_where_a_guest_runs_with_it(kvm: Path) -> None:
    qemu = Qemu(kvm=ARRIVED)
    assert probe(qemu.run, kvm, Clock()) == Accelerator("kvm", "a guest ran with it in 1.5 s", 1.5)
    assert qemu.asked == ["kvm"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (STUCK, "its guests make no progress (nothing within 3 s)"),
        (REFUSED, "failed to initialize kvm: Permission denied"),
    ],
    ids=["stuck", "refused"],
)
def test_kvm_that_opens_but_runs_nothing_is_passed_over(kvm: Path, answer: tuple[int | None, str], why: str) -> None:
    found = probe(Qemu(kvm=answer, tcg=ARRIVED).run, kvm, Clock())
    assert found.name == "tcg"
    assert f"{kvm} opens, but " in found.reason
    assert why in found.reason


def test_without_kvm_nothing_is_lost_but_speed(tmp_path: Path) -> None:
    qemu = Qemu(tcg=ARRIVED)
    found = probe(qemu.run, tmp_path / "kvm", Clock())
    assert (found.name, qemu.asked) == ("tcg", ["tcg"])
    assert found.reason == f"there is no {tmp_path / 'kvm'}; a guest ran without it in 1.5 s"


def test_a_qemu_that_runs_nothing_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoAcceleratorError) as caught:
        probe(Qemu(tcg=STUCK).run, tmp_path / "kvm", Clock())
    assert str(caught.value).count("\n") == 0
    assert "make no progress" in str(caught.value)


def test_no_qemu_is_an_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingToolError, match=r"qemu-system-x86_64: not found.*apt-get install qemu-system-x86\)"):
        probe()


def test_deadlines_stretch_on_a_slow_machine_and_never_shrink() -> None:
    assert Accelerator("tcg", "", 0.1).slowdown == 1
    assert Accelerator("tcg", "", 1.8).slowdown == pytest.approx(3)


def test_a_guest_has_random_numbers_from_the_start() -> None:
    assert "rdrand" in Accelerator("tcg", "", 0).cpu_of("x86_64")


def test_the_probe_guest_is_what_its_comments_say(tmp_path: Path) -> None:
    """As objdump reads it."""
    image = tmp_path / "probe.bin"
    image.write_bytes(probe_guest())
    assert image.stat().st_size == 65536

    def disassemble(start: int, stop: int, machine: str) -> list[str]:
        shown = subprocess.run(
            [
                *("objdump", "-D", "-b", "binary", "-m", machine, "--adjust-vma=0xffff0000"),
                *(f"--start-address={0xFFFF0000 + start:#x}", f"--stop-address={0xFFFF0000 + stop:#x}", image),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [" ".join(line.split("\t")[2].split()) for line in shown.splitlines() if line.count("\t") == 2]

    assert disassemble(0xFFF0, 0xFFF3, "i8086") == ["jmp 0xffff0000"]
    assert disassemble(0x00, 0x1A, "i8086") == [
        "cli",
        "lgdtl %cs:0xa0",
        "mov %cr0,%eax",
        "or $0x1,%al",
        "mov %eax,%cr0",
        "ljmpl $0x8,$0xffff0040",
    ]
    assert disassemble(0x40, 0x52, "i386") == [
        "mov $0x5f5e100,%ecx",
        "dec %ecx",
        "jne 0xffff0045",
        "mov $0xf4,%dx",
        "mov $0x2a,%al",
        "out %al,(%dx)",
        "hlt",
        "jmp 0xffff004f",
    ]
