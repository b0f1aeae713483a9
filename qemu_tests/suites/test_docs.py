"""The examples of the documents that build images, which takes the packages of a distribution."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation import ROOT, blocks, steps

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "docs/image-builder.md"], ids=lambda path: path.name)
def test_the_examples_of_the_builder_run_one_after_the_other(document: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    wanted = [step for step in steps(document) if step.words[0] in {"image-builder", "printf"}]
    assert len(wanted) >= 3
    for step in wanted:
        done = subprocess.run(
            ["sh", "-c", step.command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (step.command, done.stderr)
    # What the document says that they make.
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"minimal.raw", "minimal-2.slot", "minimal-2.update"} <= made


def test_the_example_of_the_builder_as_a_library_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    (block,) = [block for block in blocks(ROOT / "docs/libraries.md", "python") if "build_image" in block]
    Path("library.py").write_text(block)
    runpy.run_path("library.py")
    assert Path("out/minimal.raw").exists()
