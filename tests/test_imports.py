"""The direction of the imports, and what the boot path loads."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import crcmod
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "gptlib": set(),
    "bootselect": {"gptlib"},
    "update_agent": {"gptlib", "bootselect"},
    "image_builder": {"gptlib", "bootselect"},
    "qemu_tests": {"gptlib", "bootselect", "update_agent", "image_builder"},
}
BOOT_PATH = ["gptlib.disk", "bootselect.initramfs.selector"]
TOO_EXPENSIVE = {
    "typing",
    "dataclasses",
    "enum",
    "re",
    "pathlib",
    "collections",
    "subprocess",
    "json",
    "logging",
    "uuid",
}
"""Standard-library modules of which each costs more to import than the whole selection costs to run."""


REACHED_BY = {
    r"\w+\.cli": set(),
    r"bootselect\.initramfs": {"image_builder", "bootselect.integration"},
    # What signs is not on a machine.
    r"update_agent\.publish": {"update_agent.cli"},
}
"""Subpackages (or modules) that nothing outside imports, and who may all the same."""
IMPORTERS = {
    "http.client": {"update_agent.transport", "qemu_tests.story.cluster"},
    "urllib3": {"update_agent.lock"},
    "tuf": {"update_agent.repository", "update_agent.publish"},
    "securesystemslib": {"update_agent.publish"},
    "cryptography": {"update_agent.publish"},
    "dbus_fast": {"update_agent.agent"},
    "prometheus_client": {"update_agent.agent"},
    "xml.parsers": {"update_agent.omaha"},
}
"""Libraries that few rooms know, and these rooms."""
ENTRY_POINTS = {"update_agent.entry": "update_agent.cli", "update_agent.locksmith": "update_agent.cli"}
"""Modules whose whole purpose is to start a command line."""
LAYERS = {
    "update_agent": (
        "errors",
        "config",
        "state",
        "manual",
        "stop",
        "transport.errors",
        "transport.source",
        "transport.file",
        "transport.pace",
        "transport.address",
        "transport.trust",
        "transport.connection",
        "transport.answer",
        "transport.http",
        "transport.retry",
        "transport.network",
        "transport.mounting",
        "transport.medium",
        "repository",
        "payload",
        "publish",
        "offer",
        "boot_chain",
        "slot.errors",
        "slot.read_back",
        "slot.writer",
        "slot.open",
        "slot.install",
        "slot.journal",
        "slot.old",
        "slot.settling",
        "slot.stream",
        "slot.disarm",
        "lock.errors",
        "lock.coordinator",
        "lock.semaphore",
        "lock.keys",
        "lock.wire",
        "lock.answers",
        "lock.tls",
        "lock.etcd",
        "lock.repeat",
        "lock.records",
        "lock.group",
        "lock.queue",
        "lock.fleetlock",
        "lock.metrics",
        "lock.serving",
        "lock.open",
        "reboot.errors",
        "reboot.strategy",
        "reboot",
        "omaha",
        "agent",
        "cli",
        "entry",
        "locksmith",
    ),
}
"""Modules of a package from the bottom up: each imports only those before it. A room stands for all its modules."""
_MODEL = "definition.model"
ROOMS = {
    "cache": {"distribution.sources"},
    "distribution": {"cache"},
    "filesystem": {"cache", "distribution.sources", _MODEL},
    "disk": {"cache", _MODEL, "definition.size"},
    "output": {"cache", "disk.sparse", "definition.identity"},
    "boot": {"cache", "distribution", "filesystem", _MODEL, "content.build", "content.inside", "content.slot"},
    "loader": {"boot", "cache", "distribution", _MODEL, "content.build", "content.esp"},
    "content": {"boot", "cache", "definition", "distribution", "filesystem", "loader"},
    "definition": {"content", "filesystem.kinds", "loader.kinds", "output.kinds"},
    "artifacts": {"cache", "content", "definition", "disk", "distribution", "filesystem"},
}
"""Rooms of image_builder -> what they know of the other ones. What makes bytes knows nothing of what asks for them; a content and
the definition that it is a part of know each other, and so do the boot chain and a slot that brings or gives one.
"""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_in(source: str) -> set[str]:
    """The names of modules that a source names in imports, those for type checkers and in functions too; ``b`` of ``from a
    import b`` may be one.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return names


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def forbidden(module: str, imported: str) -> bool:
    """Whether a module must not import another one, because of the subpackage that this is in."""
    for pattern, guests in REACHED_BY.items():
        found = re.match(rf"{pattern}\b", imported)
        if found is None or is_in(module, found[0]) or ENTRY_POINTS.get(module) == found[0]:
            continue
        if not any(is_in(module, guest) for guest in guests):
            return True
    return False


def layer(module: str) -> int | None:
    """The height of a module in its package, where that has layers."""
    package, _, rest = module.partition(".")
    return next((height for height, name in enumerate(LAYERS.get(package, ())) if is_in(rest, name)), None)


def above(module: str, imported: str) -> bool:
    """Whether both are modules of one package with layers, and the imported one is higher."""
    same_package = module.partition(".")[0] == imported.partition(".")[0]
    own, other = layer(module), layer(imported)
    return same_package and own is not None and other is not None and other > own


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_dependencies_point_one_way(package: str) -> None:
    ours = set(MAY_IMPORT)
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        module, imported = module_name(path), imports_in(path.read_text())
        wrong = {name.partition(".")[0] for name in imported} & ours - MAY_IMPORT[package] - {package}
        wrong |= {name for name in imported if forbidden(module, name) or above(module, name)}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"
        if package in LAYERS and path.name != "__init__.py":
            assert layer(module) is not None, f"in which layer is {module}?"


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("update_agent.slot.install", "from bootselect.cli.options import TEXT", True),
        ("update_agent.slot.install", "from bootselect import cli", True),
        ("update_agent.slot.install", "import bootselect.cli.main", True),
        ("update_agent.slot.install", "def f():\n    from bootselect.initramfs import selector", True),
        ("bootselect.cli.watchdog", "from bootselect.initramfs.watchdog import stop_watchdog", True),
        ("bootselect.slot_disk", "from bootselect.cli import options", True),
        ("image_builder.api", "import image_builder.cli.main", True),
        ("qemu_tests.plugin", "from bootselect.initramfs.config import OFF", True),
        ("update_agent.transport.medium", "from update_agent.slot.install import install", True),
        ("update_agent.errors", "from update_agent import cli", True),
        ("update_agent.payload.delta", "from update_agent.slot.writer import SlotWriter", True),
        ("update_agent.transport.http", "from update_agent.payload.index import Index", True),
        ("update_agent.payload.pipeline", "from update_agent.slot.writer import SlotWriter", True),
        ("update_agent.slot.stream", "from update_agent.payload.pipeline import transfer", False),
        ("update_agent.config.files", "from update_agent.state.store import Store", True),
        ("update_agent.state.facts", "from update_agent.cli.config import config", True),
        ("update_agent.repository.client", "from update_agent.publish.keys import Keyring", True),
        ("update_agent.install", "from update_agent import publish", True),
        ("update_agent.state.store", "from update_agent.agent.view import View", True),
        ("update_agent.cli.update_engine_client", "from update_agent.agent.bus_client import BusClient", False),
        ("update_agent.publish.check", "from update_agent.repository.client import Client", False),
        ("update_agent.cli", "from update_agent.publish.publisher import Publisher", False),
        ("bootselect.cli.next", "from bootselect.cli.options import TYPE", False),
        ("bootselect.initramfs.selector", "from bootselect.initramfs.log import Log", False),
        ("bootselect.integration.stage", "from bootselect.initramfs.config import OFF", False),
        ("image_builder.definition.load", "from bootselect.initramfs.config import OFF", False),
        ("update_agent.lock.queue", "from update_agent.agent.tick import tick", True),
        ("update_agent.omaha.answer", "from update_agent.agent.omaha import OmahaSelector", True),
        ("update_agent.lock.semaphore", "from update_agent.lock.etcd import Etcd", True),
        ("update_agent.cli", "from bootselect.click_support import say", False),
        ("update_agent.slot.install", "from update_agent.transport.medium import Update", False),
        ("update_agent.entry", "from update_agent.cli.main import main", False),
        ("update_agent.cli.main", "from bootselect.click_support import say", False),
    ],
)
def test_what_goes_across_subpackages_is_seen(module: str, source: str, wrong: bool) -> None:
    assert any(forbidden(module, name) or above(module, name) for name in imports_in(source)) == wrong


@pytest.mark.parametrize("library", IMPORTERS)
def test_few_rooms_know_the_libraries_that_verify_and_sign(library: str) -> None:
    files = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
    knowing = {
        module_name(path) for path in files if any(is_in(name, library) for name in imports_in(path.read_text()))
    }
    assert knowing
    assert not {module for module in knowing if not any(is_in(module, room) for room in IMPORTERS[library])}


def test_the_machine_loads_nothing_that_signs() -> None:
    program = (
        "import sys, json, update_agent.repository.repository, update_agent.repository.fetcher; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True)
    assert not {name for name in json.loads(out.stdout) if is_in(name, "update_agent.publish")}


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_of_the_builder_know_what_they_must_of_each_other(room: str) -> None:
    known = {f"image_builder.{name}" for name in ROOMS[room]}
    others = {f"image_builder.{name}" for name in ROOMS} - {f"image_builder.{room}"}
    for path in sorted((ROOT / "image_builder" / room).rglob("*.py")):
        imported = {name for name in imports_in(path.read_text()) if any(is_in(name, other) for other in others)}
        # "from package import module" names the package too.
        used = {name for name in imported if not any(is_in(more, name) for more in imported - {name})}
        assert not {name for name in used if not any(is_in(name, allowed) for allowed in known)}, path


def test_every_room_of_the_builder_has_its_place() -> None:
    rooms = {path.parent.name for path in (ROOT / "image_builder").glob("*/__init__.py")}
    assert rooms - {"cli"} == set(ROOMS)


def test_errors_become_exit_codes_in_one_click_group() -> None:
    files = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
    assert [module_name(path) for path in files if "(click.Group)" in path.read_text()] == ["bootselect.click_support"]


def loaded_by(module: str) -> set[str]:
    """Modules that an isolated interpreter has loaded after importing ``module``, above those it starts with."""
    search_path = [str(ROOT), str(Path(crcmod.__path__[0]).parent)]
    program = (
        "import sys; before = set(sys.modules); "
        f"sys.path[:0] = {search_path!r}; import {module}; after = set(sys.modules) - before; "
        "import json; print(json.dumps(sorted(after)))"
    )
    out = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, check=True)
    return set(json.loads(out.stdout))


@pytest.mark.parametrize("called", ["bin/gptctl", "link"])
def test_gptctl_finds_its_interpreter_where_the_path_is_no_shebang(tmp_path: Path, called: str) -> None:
    """pip would write ``#!/a path/python3`` into a script that it installs there, which no kernel starts."""
    programs = tmp_path / "my programs" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(ROOT / "bin/gptctl", programs / "gptctl")
    interpreter = programs / "python3"
    interpreter.write_text(f'#!/bin/sh\necho beside\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    (programs.parent / "link").symlink_to(programs / "gptctl")
    done = subprocess.run([programs.parent / called, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("beside\ngptctl (slotboot) ")


def test_gptctl_is_started_by_a_script_that_imports_nothing_else(slot_image: Callable[..., SlotImage]) -> None:
    """What pip writes for an entry point imports ``re``, which takes as long as all the rest of ``gptctl show``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (script,) = project["tool"]["setuptools"]["script-files"]
    assert "gptctl" not in project["project"]["scripts"]
    text = (ROOT / script).read_text()
    assert text.startswith("#!/bin/sh\n")
    search_path = [str(ROOT), str(Path(crcmod.__path__[0]).parent)]
    program = f"import sys; sys.path[:0] = {search_path!r}\n{text}"
    words = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        "-X",
        "importtime",
        "-c",
        program,
        "show",
        str(slot_image((1, 0, 1)).path),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 'Label: "USR-A"' in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "gptlib.cli.show" in imported
    assert not imported & TOO_EXPENSIVE


@pytest.mark.parametrize("module", BOOT_PATH)
def test_the_boot_path_loads_only_the_standard_library_crcmod_and_our_core(module: str) -> None:
    packages = {name.partition(".")[0] for name in loaded_by(module)}
    foreign = packages - set(sys.stdlib_module_names) - {"gptlib", "bootselect", "crcmod"}
    assert not foreign
    assert not packages & TOO_EXPENSIVE


def test_an_ordinary_boot_loads_nothing_that_it_does_not_need() -> None:
    loaded = loaded_by("bootselect.initramfs.selector")
    names = ("find", "uevents", "filesystems", "kexec", "verity", "rescue")
    others = {
        "_socket",
        "bootselect.verbs",
        "bootselect.formats.seal",
        "bootselect.formats.update",
        "bootselect.click_support",
    }
    assert not loaded & {*others, *(f"bootselect.initramfs.{name}" for name in names)}
    # The places of a table, the rule where it may be written, and the nodes of partitions are three of them; the rooms of gptlib
    # are four, the formats three (their room, the places in a slot, the file systems), and the rule of cgpt next and the types of
    # slots are one each. A boot also counts the try: what writes a table is loaded then.
    assert len(loaded) <= 65
    assert len(loaded_by("bootselect.initramfs.selector, gptlib.write.table")) <= 70


def test_reading_a_table_loads_nothing_that_writes_one() -> None:
    loaded = loaded_by("gptlib.cli.show")
    assert "gptlib.disk" in loaded
    assert not {name for name in loaded if name.startswith("gptlib.write") or name == "gptlib.linux.kernel"}


def test_a_watchdog_costs_nothing_where_it_is_off_and_its_registers_nothing_where_it_has_a_driver() -> None:
    assert not loaded_by("bootselect.initramfs.selector") & {"bootselect.watchdog", "bootselect.i6300esb"}
    assert "bootselect.i6300esb" not in loaded_by("bootselect.watchdog")


@pytest.mark.parametrize(
    "module", ["update_agent.slot.install", "update_agent.transport.medium", "bootselect.slot_disk"]
)
def test_a_library_loads_no_command_line_and_nothing_of_the_initramfs(module: str) -> None:
    loaded = loaded_by(module)
    assert not {name for name in loaded if is_in(name, "bootselect.initramfs") or ".cli" in name or name == "click"}


def test_media_are_installed_without_the_libraries_of_a_repository() -> None:
    """A tiny slot has those of the boot path and click."""
    extras = ("tuf", "securesystemslib", "backports", "yaml", "dbus_fast", "prometheus_client", "cryptography", "rich")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({extras!r}))\n"
        "import update_agent.cli.main, update_agent.agent.bringing, update_agent.agent.here, update_agent.agent.cancelling\n"
        "from update_agent.config.files import read_configuration\n"
        "from pathlib import Path\n"
        "print(read_configuration(Path('/nowhere'), {}).settings.group)"
    )
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert out == "stable\n"
