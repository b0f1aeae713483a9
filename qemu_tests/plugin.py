"""The pytest plugin ``slotboot``: machines for tests that boot A/B disk images.

    def test_an_update_takes_over(slotboot_machine):
        slotboot_machine.boot(medium=Path("appliance-2.update"))
        assert slotboot_machine.wait_until_ready().label == "USR-A"

Run with ``pytest --slotboot-image appliance.raw``. Tests with images of their own use ``slotboot_machines``.
``--slotboot-report=FILE.html`` draws what happened to the machines.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from qemu_tests.harness.hardware import Hardware
    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.machine import Machine
    from qemu_tests.report.recorder import Recorder

    MakeMachine = Callable[..., Machine]

_REPORT = "slotboot-report"
_LOGS = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, all of which have good defaults."""
    group = parser.getgroup("slotboot", "machines that boot A/B disk images")
    group.addoption("--slotboot-image", type=Path, metavar="IMAGE", help="disk image of the fixture slotboot_machine")
    group.addoption(
        "--slotboot-logs",
        type=Path,
        metavar="DIR",
        default=os.environ.get("SLOTBOOT_LOGS"),
        help="where the console logs go (default: $SLOTBOOT_LOGS, else pytest's temporary folder)",
    )
    group.addoption(
        "--slotboot-report",
        type=Path,
        metavar="FILE",
        help="write what happened to the machines as a page to look at, FILE, and as JSON beside it",
    )
    group.addoption("--slotboot-accel", choices=("kvm", "tcg"), help="accelerator (default: probe)")


def pytest_configure(config: pytest.Config) -> None:
    """Markers, and the report where it is wanted. Raises UsageError for a report that cannot be written."""
    config.addinivalue_line("markers", "vm: boots a virtual machine")
    page: Path | None = config.getoption("--slotboot-report")
    if page is None:
        return
    if page.suffix == ".json" or page.is_dir():
        raise pytest.UsageError(f"--slotboot-report: {page} cannot be the page; give a file such as report.html")
    from qemu_tests.report.pytest_run import RunReport

    page = config.invocation_params.dir / page
    config.pluginmanager.register(RunReport(page, worker=hasattr(config, "workerinput")), _REPORT)


@pytest.fixture(scope="session")
def slotboot_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "slotboot"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def slotboot_recorder(pytestconfig: pytest.Config) -> Recorder:
    """What the report of this run is made of, to tell it more; where none is wanted, nobody reads it."""
    from qemu_tests.report.recorder import Recorder

    report = pytestconfig.pluginmanager.get_plugin(_REPORT)
    return Recorder("") if report is None else report.recorder


@pytest.fixture(scope="session")
def slotboot_lab(slotboot_folder: Path, pytestconfig: pytest.Config, slotboot_recorder: Recorder) -> Lab:
    """Accelerator, firmware and folders of this run; the accelerator is probed once for all workers."""
    from qemu_tests.harness.accel import Accelerator, probe
    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.shared import shared_result

    chosen = pytestconfig.getoption("--slotboot-accel")
    if chosen:
        accelerator = Accelerator(chosen, "chosen with --slotboot-accel", 0.0)
    else:
        accelerator = Accelerator(**shared_result(slotboot_folder, "accelerator", lambda: asdict(probe())))
    logs = pytestconfig.getoption("--slotboot-logs")
    lab = Lab.open(slotboot_folder / "machines", Path(logs) if logs else None, accelerator=accelerator)
    if not pytestconfig.pluginmanager.has_plugin(_REPORT):
        return lab
    from qemu_tests.report.recorded import RecordedLab

    slotboot_recorder.notes.append(f"booted with {accelerator.name}: {accelerator.reason}")
    return RecordedLab.over(lab, slotboot_recorder)


@pytest.fixture
def slotboot_machines(slotboot_lab: Lab, request: pytest.FixtureRequest) -> Iterator[MakeMachine]:
    """Make machines: ``slotboot_machines(image, name=..., hardware=...)``. All are switched off at the end of the test."""
    machines: list[Machine] = []
    logs = request.node.stash.setdefault(_LOGS, [])

    def make(image: Path, name: str | None = None, hardware: Hardware | None = None) -> Machine:
        lab = replace(slotboot_lab, hardware=hardware or slotboot_lab.hardware)
        machine = lab.machine(name or _name(request.node.name, len(machines)), image)
        machines.append(machine)
        logs.append(machine.log)
        return machine

    yield make
    for machine in machines:
        machine.close()


def _name(test: str, number: int) -> str:
    name = "".join(c if c.isalnum() else "-" for c in test.removeprefix("test_")).strip("-")
    return f"{name}-{number + 1}" if number else name


@pytest.fixture
def slotboot_machine(slotboot_machines: MakeMachine, pytestconfig: pytest.Config) -> Machine:
    """A machine on the image of ``--slotboot-image``, switched off; the image itself is never written."""
    image = pytestconfig.getoption("--slotboot-image")
    if image is None:
        raise pytest.UsageError("the fixture slotboot_machine needs --slotboot-image IMAGE")
    return slotboot_machines(image)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed says where the console logs of its machines are."""
    report = yield
    logs = item.stash.get(_LOGS, [])
    if logs and report.failed:
        report.sections.append(("console logs", "\n".join(str(log) for log in logs)))
        report.user_properties += [("console log", str(log)) for log in logs]
    return report
