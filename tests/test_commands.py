"""Scripts and ``python -m`` entry points: help is help, and a typing error does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from qemu_tests.story import demo

ROOT = Path(__file__).parent.parent
MODULES = [
    "bench.boot",
    "bench.fleet",
    "bench.harness",
    "bench.lock",
    "bootselect.integration.stage",
    "gptlib.layout.generate",
    "image_builder.definition.manual",
    "qemu_tests.story.demo",
    "qemu_tests.story.picture",
    "update_agent.entry",
    "update_agent.locksmith",
    "update_agent.manual",
    "update_agent.repository.conformance",
]
SCRIPTS = ["bench", "bootstrap", "demo", "docs", "package", "picture", "test"]


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def script(name: str, *arguments: str) -> list[str]:
    return [f"script/{name}", *arguments]


def test_every_module_that_can_be_run_is_tested_here() -> None:
    packages = ("bench", "bootselect", "gptlib", "image_builder", "qemu_tests", "update_agent")
    runnable = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if '\nif __name__ == "__main__":' in path.read_text()
    }
    # gptctl has tests of its own; the peers of bench.gpt need not be installed; the rest is run by the builders alone.
    elsewhere = {"gptlib.cli.main", "bench.gpt", "bench.disk", "bench.image", "image_builder.filesystem.finish"}
    elsewhere |= {"bench.update", "bench.update_client"}
    inside = {name for name in runnable if ".inside." in name}
    assert runnable - elsewhere - inside == set(MODULES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv", [*(module(name, "--help") for name in MODULES), *(script(name, "--help") for name in SCRIPTS)]
)
def test_help_says_how_it_is_used_and_does_nothing_else(argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--" in done.stdout or "script/" in done.stdout
    assert not (ROOT / "--help").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        *(module(name, "--no-such-option") for name in MODULES),
        *(script(name, "--no-such-option") for name in SCRIPTS if name != "demo"),
        script("bootstrap", "no such extra"),
    ],
)
def test_a_mistake_is_a_usage_error(argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def no_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> None:
        raise AssertionError("the demo has begun")

    monkeypatch.setattr(demo, "build_materials", build)


@pytest.mark.usefixtures("no_demo")
def test_the_demo_removes_nothing_that_it_has_not_made(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "thesis.txt").touch()
    result = CliRunner().invoke(demo.main, ["--output", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith(f"demo: {tmp_path}: thesis.txt in it was not made by the demo; ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["built", "thesis.txt"]


@pytest.mark.usefixtures("no_demo")
@pytest.mark.parametrize(
    ("output", "reason"), [("/etc/passwd", "File exists"), ("/proc/demo", "No such file or directory")]
)
def test_the_demo_names_a_folder_that_cannot_be_made(output: str, reason: str) -> None:
    result = CliRunner().invoke(demo.main, ["--output", output])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith(f"demo: {output}: {reason}; expected")


def test_the_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "real/built").mkdir(parents=True)
    (tmp_path / "real/built/minimal.raw").touch()
    (tmp_path / "real/timeline.txt").touch()
    (tmp_path / "link").symlink_to("real")
    demo.empty_folder(tmp_path / "link")
    assert list((tmp_path / "real").iterdir()) == []
    assert (tmp_path / "link").is_symlink()
