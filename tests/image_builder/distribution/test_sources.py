"""Whatever code can change the bytes of an image is in the keys of the cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from image_builder.distribution.sources import builder_digest, digest_of_code

ROOT = Path(__file__).parents[3]
SAY_ONLY = {
    *(f"image_builder/cli/{name}.py" for name in ("__init__", "cache", "convert", "main")),
    *(f"image_builder/{name}.py" for name in ("progress", "show", "svg")),
}
PACKAGES = ("bootselect", "gptlib", "image_builder")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    leave = shutil.ignore_patterns("__pycache__")
    return {name: shutil.copytree(ROOT / name, folder / name, ignore=leave) for name in PACKAGES}


def files_of(packages: dict[str, Path]) -> list[tuple[str, Path]]:
    return [
        (f"{name}/{path.relative_to(folder)}", path)
        for name, folder in packages.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "py.typed"
    ]


def test_the_digest_does_not_depend_on_the_place(copy: dict[str, Path]) -> None:
    assert digest_of_code(copy) == builder_digest()


@pytest.mark.slow
def test_a_change_in_any_file_but_those_that_talk_to_people_is_another_digest(copy: dict[str, Path]) -> None:
    before = digest_of_code(copy)
    same = set()
    for name, path in files_of(copy):
        content = path.read_bytes()
        path.write_bytes(content + b"#")
        if digest_of_code(copy) == before:
            same.add(name)
        path.write_bytes(content)
    assert same == SAY_ONLY
    assert digest_of_code(copy) == before


def test_a_new_file_and_another_name_are_another_digest(copy: dict[str, Path]) -> None:
    before = digest_of_code(copy)
    data = copy["image_builder"] / "data/tiny/new"
    data.write_text("")
    one = digest_of_code(copy)
    data = data.rename(data.with_name("other"))
    other = digest_of_code(copy)
    data.unlink()
    assert len({before, one, other}) == 3
    assert digest_of_code(copy) == before


def test_what_talks_to_people_decides_on_no_bytes() -> None:
    """Nothing but the command line and the annotations of types imports it: of the progress, only the silent one."""
    names = [name.removesuffix(".py").replace("/", ".") for name in SAY_ONLY]
    for name, path in files_of({"image_builder": ROOT / "image_builder"}):
        if name in SAY_ONLY or path.suffix != ".py":
            continue
        for line in path.read_text().splitlines():
            said = line.strip()
            if said.startswith(("from ", "import ")) and any(word in said for word in names):
                assert said in {
                    "from image_builder.progress import Progress",
                    "from image_builder.progress import SilentProgress",
                }, (name, said)
