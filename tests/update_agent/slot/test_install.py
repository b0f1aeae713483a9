"""Installing an update into an image file: the order, and what is on the disk when it fails."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from tests.support import COREOS_USR
from update_agent.cli.main import main
from update_agent.slot import writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

CONTENTS = bytes(range(256)) * 3000 + b"the end"


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    folder = tmp_path / "medium"
    folder.mkdir()
    (folder / "slot.img").write_bytes(CONTENTS)
    describe(folder)
    return folder


def describe(folder: Path, **changes: object) -> None:
    sha256 = hashlib.sha256(CONTENTS).hexdigest()
    fields = {
        "format": 1,
        "name": "demo",
        "version": "2",
        "slot-type": COREOS_USR,
        "size": len(CONTENTS),
        "sha256": sha256,
    }
    (folder / "update.json").write_text(json.dumps({**fields, **changes}))


def install(medium: Path, image: SlotImage, *options: str) -> Result:
    argv = ["install", str(medium), "--target", str(image.path), "--slot", "USR-B", *options]
    result = CliRunner().invoke(main, argv, prog_name="updatectl")
    assert "Traceback" not in result.output
    return result


def slot_b(image: SlotImage) -> bytes:
    return image.path.read_bytes()[4096 * 512 : 6144 * 512]


def test_the_update_is_written_verified_and_armed(medium: Path, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (0, 0, 1))
    result = install(medium, image, "--json")
    told = {"outcome": "installed", "version": "2", "label": "USR-B", "partition": 4, "tries": 3}
    assert json.loads(result.stdout) == told
    assert slot_b(image).startswith(CONTENTS)
    assert image.attributes() == [(1, 0, 1), (2, 3, 0)]
    assert "No problems found" in image.verify()


def test_the_slot_is_out_of_use_before_its_first_byte_changes(
    medium: Path, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = slot_image((1, 0, 1), (2, 0, 1))
    seen = []
    write = writer.SlotWriter.write

    def look_first(self: writer.SlotWriter, *arguments: object) -> str:
        seen.append(image.attributes())
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writer.SlotWriter, "write", look_first)
    assert install(medium, image).exit_code == 0
    assert seen == [[(1, 0, 1), (0, 0, 0)]]


def test_a_disk_that_stores_something_else_is_found_out(
    medium: Path, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    monkeypatch.setattr("os.pwrite", lambda _fd, data, _offset: len(data))
    result = install(medium, image)
    assert (result.exit_code, image.attributes()) == (1, [(1, 0, 1), (0, 0, 0)])
    assert "what the slot holds has the SHA-256" in result.stderr


def test_a_write_error_leaves_the_slot_out_of_use(
    medium: Path, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(writer.SlotWriter, "_write_all", fail)
    result = install(medium, image)
    assert (result.exit_code, image.attributes()) == (1, [(1, 0, 1), (0, 0, 0)])
    assert "writing the slot failed at byte 0: Input/output error" in result.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 9}, "its format is 9"),
        ({"sha256": "00"}, "expected 64 hexadecimal digits"),
        ({"sha256": "00" * 32}, "has the SHA-256"),
        ({"size": 5}, "the description says 5"),
        ({"slot-type": "floppy"}, "floppy"),
        ({"size": "many"}, "many"),
    ],
)
def test_a_medium_that_does_not_fit_its_description_is_refused(
    medium: Path, slot_image: Callable[..., SlotImage], changes: dict[str, object], message: str
) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    describe(medium, **changes)
    result = install(medium, image)
    assert result.exit_code == 1
    assert message in result.stderr
    assert image.attributes() == [(1, 0, 1), (0, 0, 0)]


def test_an_image_larger_than_the_slot_is_refused_before_anything_is_written(
    medium: Path, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), (2, 0, 1))
    (medium / "slot.img").write_bytes(bytes((1 << 20) + 1))
    describe(medium, size=(1 << 20) + 1)
    before = image.path.read_bytes()
    result = install(medium, image)
    assert result.exit_code == 1
    assert "has 1048577 bytes but slot USR-B has only 1048576" in result.stderr
    assert image.path.read_bytes() == before


def test_an_update_that_could_not_be_rolled_back_is_refused_before_anything_is_written(
    medium: Path, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 2, 0), (0, 0, 0))
    before = image.path.read_bytes()
    result = install(medium, image)
    assert result.exit_code == 1
    assert "no other slot is known to boot" in result.stderr
    assert image.path.read_bytes() == before


def test_without_a_medium_nothing_happens(medium: Path, slot_image: Callable[..., SlotImage]) -> None:
    (medium / "update.json").unlink()
    image = slot_image((1, 0, 1), (2, 0, 1))
    for path in (medium, medium.with_name("missing")):
        result = install(path, image)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert image.attributes() == [(1, 0, 1), (2, 0, 1)]


def test_what_the_medium_and_the_disk_say_is_shown_escaped(medium: Path, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    describe(medium, version="2\n3\x1b[2J\ud800")
    result = install(medium, image)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert r"2\n3\x1b[2J\ud800" in result.stderr
    describe(medium, **{"slot-type": "usb\n\x1b"})
    refused = install(medium, image)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert r"usb\n\x1b" in refused.stderr
