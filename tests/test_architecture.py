"""docs/architecture.md: what it names is there, and a change goes where its table says, and nowhere else."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bootselect.integration import places
from gptlib import Disk
from gptlib.cli.main import main as gptctl
from gptlib.table import types
from gptlib.table.guid import ZERO
from image_builder.cli.main import main as image_builder
from tests.documentation import ROOT, blocks, table
from tests.test_imports import MAY_IMPORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

ARCHITECTURE = ROOT / "docs/architecture.md"
PRODUCT = ("gptlib", "bootselect", "update_agent", "image_builder", "qemu_tests")
CHANGES = table(ARCHITECTURE, "## Where a change goes")


def named() -> set[str]:
    """Everything in the page that looks like a path of ours, or a folder."""
    text = re.sub(r"\]\([^)]*\)", "", ARCHITECTURE.read_text())
    words = re.findall(r"(?<![\w./])(?:\w+/)+(?:[\w-]+\.\w+)?|(?<![\w./])\w+\.py\b", text)
    return {word for word in words if not word.startswith("out/")}


def where(name: str) -> list[Path]:
    """The files that a word of the page can mean: a path from the root, from a package, or the name of a module."""
    if (ROOT / name).exists():
        return [ROOT / name]
    inside = [ROOT / package / name for package in PRODUCT if (ROOT / package / name).exists()]
    return inside or [path for package in PRODUCT for path in (ROOT / package).rglob(name)]


@pytest.mark.parametrize("name", sorted(named()))
def test_what_the_page_names_is_there(name: str) -> None:
    assert where(name)


def test_the_floor_plan_has_every_room() -> None:
    rows = " ".join(row[0] for row in table(ARCHITECTURE, "## The floor plan"))
    rooms = {
        path.parent.relative_to(ROOT).as_posix()
        for package in PRODUCT
        for path in (ROOT / package).glob("*/__init__.py")
    }
    assert {room for room in rooms if f"`{room}/`" not in rows} == set()


def test_the_arrows_of_the_drawing_are_the_imports_that_are_enforced() -> None:
    (drawing,) = [block for block in blocks(ARCHITECTURE, "mermaid") if block.startswith("graph")]
    arrows = re.findall(r"(\w+) --> (\w+)", drawing)

    def reached(package: str) -> set[str]:
        return {to for begin, end in arrows if begin == package for to in (end, *reached(end))}

    assert {package: reached(package) for package in MAY_IMPORT} == MAY_IMPORT


def test_each_change_has_one_place() -> None:
    assert len(CHANGES) == 16
    for change, place, _ in CHANGES:
        assert re.fullmatch(r"`[\w/.-]+`", place), change
        assert (ROOT / place.strip("`")).exists(), change


def constants(text: str) -> set[str]:
    """Product files in which a text stands as a whole constant."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PRODUCT[:4]
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == text
    }


def test_a_new_name_of_a_type_is_known_everywhere(
    monkeypatch: pytest.MonkeyPatch, slot_image: Callable[..., SlotImage], tmp_path: Path
) -> None:
    guid = "6D1D0B8A-3B0C-4F0E-9D6E-0F5C6A3B7E21"
    monkeypatch.setitem(types._GUIDS, "acme-data", guid.lower())
    monkeypatch.setattr(types, "_BY_GUID", {ZERO: "unused"})
    image = slot_image((1, 0, 1)).path
    with Disk.open(image) as disk:
        (number, *_) = disk.table().partitions
    assert gptctl(["add", "-i", str(number), "-t", "acme-data", str(image)]) == 0
    with Disk.open(image) as disk:
        assert str(disk.table().partition(number).type_guid) == guid
    definition = tmp_path / "data.toml"
    definition.write_text('[image]\nname = "data"\n[[partition]]\nlabel = "D"\ntype = "acme-data"\nsize = "1M"\n')
    result = CliRunner().invoke(image_builder, ["build", str(definition), "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    with Disk.open(tmp_path / "data.raw") as disk:
        assert [str(partition.type_guid) for partition in disk.table().partitions.values()] == [guid]


def test_the_name_of_a_slot_type_stands_in_one_file() -> None:
    assert constants("bottlerocket-boot") == {"gptlib/table/slot_types.py"}


@pytest.mark.parametrize("policy", ["gptprio", "cgpt-next", "chromeos"])
def test_the_name_of_a_policy_stands_in_one_file(policy: str) -> None:
    assert constants(policy) == {"bootselect/policy.py"}


def test_the_folders_of_health_checks_stand_in_one_file() -> None:
    assert constants("/etc/bootselect/health.d") == {"bootselect/health.py"}


def test_a_unit_is_taken_along_by_being_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "bootselect/integration/systemd", tmp_path / "systemd")
    (tmp_path / "systemd/acme.timer").write_text("[Timer]\nOnBootSec=1h\n\n[Install]\nWantedBy=timers.target\n")
    monkeypatch.setattr(places, "_HERE", tmp_path)
    found = {str(place.path) for place in places.places(places.TOOLS["systemd"])}
    assert {"etc/systemd/system/acme.timer", "etc/systemd/system/timers.target.wants/acme.timer"} <= found
    # So the Debian package and the wheel take it, too.
    rules = subprocess.run(
        ["make", "-n", "-f", "debian/rules", "execute_after_dh_install"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "bootselect/integration/systemd/*" in rules.stdout
    assert '"integration/**/*"' in (ROOT / "pyproject.toml").read_text()
