"""The pytest plugin ``slotboot``: machines for tests that boot A/B disk images.

    def test_an_update_takes_over(slotboot_machine):
        slotboot_machine.boot(medium=Path("appliance-2.update"))
        assert slotboot_machine.wait_until_ready().label == "USR-A"

Run with ``pytest --slotboot-image appliance.raw``. Tests with images of their own use ``slotboot_machines``.
``--slotboot-report=FILE.html`` draws what happened to the machines.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.machine import Machine
    from qemu_tests.report.recorder import Recorder
    from qemu_tests.scopes import ScopeMachines

    MakeMachine = Callable[..., Machine]

__tracebackhide__ = True  # of all functions here: pytest looks for it in their globals too
_REPORT = "slotboot-report"
_MACHINES = pytest.StashKey["tuple[str, ScopeMachines]"]()
_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, all of which have good defaults."""
    group = parser.getgroup("slotboot", "machines that boot A/B disk images")
    group.addoption("--slotboot-image", type=Path, metavar="IMAGE", help="disk image of the fixture slotboot_machine")
    group.addoption(
        "--slotboot-logs",
        type=Path,
        metavar="DIR",
        default=os.environ.get("SLOTBOOT_LOGS"),
        help="where the console logs go, in a folder for each test (default: $SLOTBOOT_LOGS, else pytest's temporary folder)",
    )
    group.addoption(
        "--slotboot-keep",
        action="store_true",
        help="keep the files of all machines, not only of those whose test failed",
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
    from qemu_tests.scopes import make_folder

    chosen = pytestconfig.getoption("--slotboot-accel")
    if chosen:
        accelerator = Accelerator(chosen, "chosen with --slotboot-accel", 0.0)
    else:
        accelerator = Accelerator(**shared_result(slotboot_folder, "accelerator", lambda: asdict(probe())))
    chosen_logs = pytestconfig.getoption("--slotboot-logs")
    folder = slotboot_folder / "machines"
    logs = pytestconfig.invocation_params.dir / chosen_logs if chosen_logs else slotboot_folder / "logs"
    make_folder(logs)
    lab = Lab.open(folder, logs, accelerator=accelerator)
    if not pytestconfig.pluginmanager.has_plugin(_REPORT):
        return lab
    from qemu_tests.report.recorded import RecordedLab

    slotboot_recorder.notes.append(f"booted with {accelerator.name}: {accelerator.reason}")
    return RecordedLab.over(lab, slotboot_recorder)


def _own_machines(scope: str) -> Callable[..., Iterator[ScopeMachines]]:
    def machines(slotboot_lab: Lab, slotboot_folder: Path, request: pytest.FixtureRequest) -> Iterator[ScopeMachines]:
        from qemu_tests.scopes import ScopeMachines

        node = request.node
        made = ScopeMachines(slotboot_lab, slotboot_folder / "names", node.nodeid)
        node.stash[_MACHINES] = (str(request.fixturename), made)
        yield made
        made.close()
        if not (node.stash.get(_FAILED, False) or request.config.getoption("--slotboot-keep")):
            made.remove_files()

    machines.__doc__ = (
        f"""Make machines for a {scope}: ``(image, name=..., hardware=...)``. All are switched off at its end."""
    )
    return machines


slotboot_machines = pytest.fixture(_own_machines("test"))
slotboot_module_machines = pytest.fixture(_own_machines("module"), scope="module")
slotboot_session_machines = pytest.fixture(_own_machines("session"), scope="session")


@pytest.fixture
def slotboot_machine(slotboot_machines: MakeMachine, pytestconfig: pytest.Config) -> Machine:
    """A machine on the image of ``--slotboot-image``, switched off; the image itself is never written."""
    image = pytestconfig.getoption("--slotboot-image")
    if image is None:
        raise pytest.UsageError("the fixture slotboot_machine needs --slotboot-image IMAGE")
    return slotboot_machines(pytestconfig.invocation_params.dir / image)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say where the console logs are, in JUnit's XML too; an error is shown without what is ours."""
    if call.when == "setup":
        item.stash[_FAILED] = False  # of an earlier try of the same test
    logs = _logs(item)
    item.user_properties += [entry for log in logs if (entry := ("console log", log)) not in item.user_properties]
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        from qemu_tests.tracebacks import shorten

        shorten(call.excinfo.value)
        call.excinfo = pytest.ExceptionInfo.from_exception(call.excinfo.value)
    report = yield
    if report.failed:
        for node in item.listchain():
            node.stash[_FAILED] = True
        if logs:
            report.sections.append(("console logs", "\n".join(logs)))
    return report


def _logs(item: pytest.Item) -> list[str]:
    """The console logs of the machines that a test uses: its own, and those of its module and of the session."""
    owners = [node.stash[_MACHINES] for node in item.listchain() if _MACHINES in node.stash]
    names = getattr(item, "fixturenames", ())
    return [str(log) for fixture, machines in owners if fixture in names for log in machines.logs]
