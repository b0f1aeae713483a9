"""The report of a pytest run: part of the plugin ``slotboot``, registered where ``--slotboot-report`` is given.

Machines are recorded in whatever process runs the test. They travel as JSON on the report of the test's teardown, which
pytest-xdist hands to the controller, and there the page is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.report.codec import from_json, to_json
from qemu_tests.report.errors import ReportFileError
from qemu_tests.report.files import write_report
from qemu_tests.report.recorder import Recorder, judged, merge

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from qemu_tests.report.model import Run

_ATTRIBUTE = "slotboot_run"


class RunReport:
    """Hooks of pytest. ``recorder`` is the one of this process."""

    def __init__(self, page: Path, *, worker: bool) -> None:
        self.recorder = Recorder("Machines of a test run")
        self._page, self._worker = page, worker
        self._runs: list[Run] = []
        self._verdicts: dict[str, tuple[str, str]] = {}
        self._said = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """From here on machines are made for this test."""
        self.recorder.test = item.nodeid
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The machines that are switched off for good go with the test."""
        report = yield
        if call.when == "teardown":
            run = self.recorder.take()
            if run.machines or run.replays:
                setattr(report, _ATTRIBUTE, to_json(run))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect, in the process that writes."""
        if self._worker:
            return
        if report.when == "setup":
            self._verdicts[report.nodeid] = ("skipped" if report.skipped else "passed", "")
        if report.failed:
            self._verdicts[report.nodeid] = ("failed", _message(report))
        text = getattr(report, _ATTRIBUTE, None)
        if text is not None:
            run = judged(from_json(text, report.nodeid), self._verdicts)
            self._runs.append(run)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write it, whatever became of the tests. A run without its report has failed."""
        if self._worker:
            return
        try:
            data = write_report(merge("Machines of a test run", [self.recorder.take(), *self._runs]), self._page)
        except ReportFileError as error:
            self._said = f"slotboot: {error.line}"
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        else:
            self._said = f"slotboot: what happened to the machines: {self._page} (as JSON: {data})"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where it is."""
        if self._said:
            terminalreporter.write_line(self._said)


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr) if crash is None else str(crash.message)
    return f"{report.when}: {text.strip()}"
