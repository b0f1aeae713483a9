"""The wheel, installed in an environment that has nothing else of ours: all of the product is in it, and no test of ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import click
import construct
import crcmod
import pytest

from gptlib import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DATA = f"slotboot-{__version__}.data"


def tracked() -> list[str]:
    """The files that git knows and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.rstrip("\0").split("\0") if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what lies about in it, which must not get into a package."""
    folder = tmp_path_factory.mktemp("package") / "source"
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(source)]
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_what_the_debian_package_is_built_with_is_what_bootstrap_installs() -> None:
    """A proof in script/packages.txt that another package brings as well hides that one is missing."""
    control = (ROOT / "debian/control").read_text()
    wanted = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.MULTILINE)
    assert wanted is not None
    names = {line.split()[0].strip(",") for line in wanted[1].splitlines()} - {"debhelper-compat"}
    listed = {line.split()[0] for line in (ROOT / "script/packages.txt").read_text().splitlines()}
    assert names | {"debhelper"} <= listed
    done = subprocess.run(["dpkg-checkbuilddeps"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_source_distribution_is_the_whole_checkout(source: Path) -> None:
    program = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, source.parent], cwd=source, check=True, capture_output=True)
    (archive,) = source.parent.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {member.name.partition("/")[2] for member in tar if member.isfile()}
    made = {"PKG-INFO", "setup.cfg"}
    assert {name for name in names if not name.startswith("slotboot.egg-info/")} - made == set(tracked())


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel and what it depends on."""

    folder: Path

    def run(self, program: str, *words: str | Path) -> str:
        """Its output. Raises CalledProcessError."""
        argv = [str(self.folder / "bin" / program), *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=self.folder, env={"PATH": "/bin"})
        return done.stdout


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", "--no-index", wheel],
        check=True,
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    for module in (click, construct, crcmod):
        (packages / module.__name__).symlink_to(Path(module.__path__[0]))
    return Environment(folder)


def test_the_wheel_holds_exactly_what_it_shall(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = ("gptlib/", "bootselect/", "update_agent/", "image_builder/", "qemu_tests/")
    ours = ("qemu_tests/suites/", "qemu_tests/story/")
    wanted = {name for name in tracked() if name.startswith(packages) and not name.startswith(ours)}
    manuals = {f"{DATA}/data/share/man/man1/{name}" for name in ("gptctl.1", "bootselect.1")}
    found = {name for name in names if not re.match(r"slotboot-[^/]*\.(dist-info|data/scripts)/", name)}
    assert found == wanted | manuals
    assert not [name for name in names if re.search(r"suites|\bstory|demo|picture|__pycache__", name)]


def test_nothing_in_the_wheel_imports_what_is_not_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    assert not [name for name, text in sources.items() if re.search(r"qemu_tests\.(story|suites)", text)]


@pytest.mark.parametrize(
    "command", ["gptctl", "bootselect", "updatectl", "slotboot-update", "locksmithctl", "image-builder", "bootlab"]
)
def test_every_command_starts(environment: Environment, command: str) -> None:
    assert "usage:" in environment.run(command, "--help").lower()


def test_the_client_of_flatcar_starts(environment: Environment) -> None:
    assert environment.run("update_engine_client", "--version") == "update_engine_client\n"


def test_the_manuals_are_where_man_looks_for_those_of_a_program_in_its_path(environment: Environment) -> None:
    assert sorted(path.name for path in (environment.folder / "share/man/man1").iterdir()) == [
        "bootselect.1",
        "gptctl.1",
    ]


def test_all_packages_are_found_in_the_environment_and_nowhere_else(environment: Environment) -> None:
    program = (
        "import gptlib, bootselect, image_builder, update_agent, qemu_tests as q; print(gptlib.__file__, q.__file__)"
    )
    (lib,) = environment.folder.glob("lib/python*")
    assert environment.run("python", "-c", program).startswith(str(lib))


def test_it_integrates_itself_and_its_hooks_stage_an_initramfs(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/bootselect").touch()
    environment.run("bootselect", "integrate", "--root", tmp_path, "initramfs-tools", "dracut", "systemd")
    assert len([path for path in tmp_path.rglob("*bootselect*") if path.is_file()]) == 7
    staged = environment.run("python", "-m", "bootselect.integration.stage", tmp_path / "initramfs")
    assert "/usr/bin/python3" in staged
    assert list(tmp_path.glob("initramfs/usr/lib/python*/bootselect/initramfs/selector.pyc"))
    assert list(tmp_path.glob("initramfs/usr/lib/python*/crcmod/__init__.pyc"))


def test_the_builder_finds_the_files_of_its_tiny_slot(environment: Environment) -> None:
    program = (
        "import image_builder, pathlib; print(*pathlib.Path(image_builder.__file__).parent.rglob('data/tiny/init'))"
    )
    assert environment.run("python", "-c", program).strip().endswith("image_builder/data/tiny/init")
