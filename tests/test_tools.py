"""The programs that we run: what their error names is what script/packages.txt installs and what dpkg says that they are of."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.definition.load import load_definition
from image_builder.definition.model import INITRAMFS_COMPRESSIONS
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.staging import STAGING_TOOLS
from image_builder.output.kinds import OUTPUTS
from image_builder.run import DEBIAN_PACKAGES
from qemu_tests.harness import accel
from qemu_tests.harness.hardware.command_line import PROGRAMS
from qemu_tests.harness.machine.parts import TPM

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
RUN = {"run", "run_tool", "find_tool", "tool", "_apt"}
EVERYWHERE = {"apt", "dash", "dpkg", "coreutils", "tar"}
"""Every Debian has them; script/bootstrap itself needs them."""


def packages() -> dict[str, str]:
    """Package -> proof, of script/packages.txt."""
    lines = [line.split() for line in (ROOT / "script/packages.txt").read_text().splitlines()]
    return {words[0]: words[1] for words in lines if words and not words[0].startswith("#")}


def first_words(node: ast.AST) -> Iterator[ast.expr]:
    """What names a program here: the first argument of a call that finds or runs one, or the first word of an ``argv``."""
    if isinstance(node, ast.Call) and node.args:
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in RUN:
            yield node.args[0]
    if (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "argv"
        and node.value
    ):
        yield node.value


def named_in(path: Path) -> set[str]:
    """Programs that a source file names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        for word in first_words(node):
            first = word.elts[0] if isinstance(word, ast.List) and word.elts else word
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and " " not in first.value:
                found.add(first.value)
    return found


def tools() -> set[str]:
    """All programs that the builder and the harness find or run on the machine."""
    found = {*INITRAMFS_COMPRESSIONS, *STAGING_TOOLS}
    found |= {tool for kind in FILESYSTEMS.values() for tool in kind.programs}
    found |= {tool for output in OUTPUTS.values() for tool in output.tools}
    for path in sorted((ROOT / "examples").glob("*.toml")):
        definition = load_definition(path)
        found |= {tool for partition in definition.partitions for tool in partition.content.tools(definition)}
    for package in ("image_builder", "qemu_tests"):
        for path in (ROOT / package).rglob("*.py"):
            found |= named_in(path)
    return found | {accel.QEMU, *PROGRAMS.values(), TPM}


def test_the_tools_are_found_in_the_sources() -> None:
    assert {"mkfs.erofs", "veritysetup", "dpkg-deb", "apt-get", "qemu-img", "sgdisk", "chromium", "setpriv"} <= tools()


@pytest.mark.parametrize("tool", sorted(tools()))
def test_the_package_of_a_tool_is_one_that_bootstrap_installs(tool: str) -> None:
    assert DEBIAN_PACKAGES.get(tool, tool) in packages().keys() | EVERYWHERE


def test_a_proof_that_is_a_tool_of_ours_is_of_the_package_that_its_error_names() -> None:
    proofs = {proof: package for package, proof in packages().items()}
    ours = {tool: DEBIAN_PACKAGES.get(tool, tool) for tool in tools() if tool in proofs}
    assert len(ours) > 10
    assert ours == {tool: proofs[tool] for tool in ours}


def test_no_tool_is_named_that_nobody_runs() -> None:
    in_tests = {name for path in (ROOT / "tests/qemu_tests").rglob("*.py") for name in named_in(path)}
    assert set(DEBIAN_PACKAGES) <= tools() | in_tests


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dpkg") is None, reason="not a Debian")
@pytest.mark.parametrize("tool", sorted(DEBIAN_PACKAGES))
def test_dpkg_says_that_a_tool_is_of_the_package_that_its_error_names(tool: str) -> None:
    found = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{tool} is not installed")
    # /bin may be a link to /usr/bin, which dpkg does not know.
    names = [found, found.removeprefix("/usr"), os.path.realpath(found)]
    done = subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True, check=False)
    owners = {line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith("diversion ")}
    assert DEBIAN_PACKAGES[tool] in owners
