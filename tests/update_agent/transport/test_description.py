"""update.json comes from outside: whatever stands in it, the answer is an update or one line."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootselect.formats.update import LARGEST, Description, DescriptionError, parse_description
from tests.support import COREOS_USR
from tests.update_agent.updates import refusal, two_slots, updatectl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = b"slot"
GOOD: dict[str, object] = {
    "format": 1,
    "name": "demo",
    "version": "2",
    "slot-type": "coreos-usr",
    "size": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}


def text(**changes: object) -> str:
    return json.dumps({**GOOD, **changes})


BAD = {
    "not JSON": "hello",
    "empty": "",
    "cut off": text()[:-1],
    "two objects": text() * 2,
    "a list": "[1]",
    "a number": "1",
    "null": "null",
    "deep lists": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep and whole": "[" * 50_000 + "]" * 50_000,
    "a byte order mark": "\ufeff" + text(),
    "NaN": text(size=float("nan")),
    "Infinity": text(size=float("inf")),
    "a field twice": text()[:-1] + ', "size": 9}',
    "an inner field twice": text()[:-1] + ', "more": {"a": 1, "a": 2}}',
    "a huge exponent": text(size=0).replace('"size": 0', '"size": 1e400'),
    "a fraction": text(size=4.0),
    "a number of many digits": text(size=0).replace('"size": 0', f'"size": {"9" * 5000}'),
    "a large number": text(size=1 << 63),
    "no bytes": text(size=0),
    "a negative size": text(size=-4),
    "a size that is true": text(size=True),
    "a size in words": text(size="4"),
    "no size": text(size=None),
    "a format that is true": text(format=True),
    "a format with a point": text(format=1.0),
    "another format": text(format=2),
    "an empty name": text(name=""),
    "a name of two lines": text(name="de\nmo"),
    "a name with an escape": text(name="de\x1b[2Jmo"),
    "a name with a NUL": text(name="de\0mo"),
    "a name that turns around": text(name="de\u202emo"),
    "half a surrogate": text(name="de\ud800mo"),
    "a long name": text(name="m" * 256),
    "a name that is a number": text(name=7),
    "a version that is a number": text(version=2),
    "a version that is a list": text(version=["2"]),
    "a version of two lines": text(version="2\r3"),
    "no slot type": text(**{"slot-type": "floppy"}),
    "a slot type that is an object": text(**{"slot-type": {}}),
    "a short hash": text(sha256="00"),
    "a long hash": text(sha256="0" * 65),
    "a hash with other digits": text(sha256="g" * 64),
    "a hash of Arabic digits": text(sha256="\u0663" * 64),
    "a hash with a space": text(sha256=" " + "0" * 63),
    "a hash that is a number": text(sha256=0),
    "no hash": text(sha256=None),
    "long": text(more="m" * LARGEST),
    **{f"no {name}": json.dumps({key: value for key, value in GOOD.items() if key != name}) for name in GOOD},
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_description_is_refused_in_one_line(update: Callable[..., Path], disks: Path, case: str) -> None:
    data = BAD[case].encode("utf-8", "surrogatepass")
    with pytest.raises(DescriptionError) as caught:
        parse_description(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    folder, disk = update(CONTENT), disks / "disk.img"
    (folder / "update.json").write_bytes(data)
    disk.write_bytes(before := bytes(two_slots(20).gpt.image()))
    said = refusal(updatectl("install", folder, "--target", disk, "--slot", "2"))
    assert said == f"updatectl: {folder}/update.json: no usable update: {caught.value}\n"
    assert disk.read_bytes() == before


@pytest.mark.parametrize("data", [b"\xff\xfe{}", b'{"name": "\xe4"}', b"\x80" * 10, "{}".encode("utf-16")])
def test_what_is_not_utf_8_is_refused(data: bytes) -> None:
    with pytest.raises(DescriptionError, match=r"it is not UTF-8 \(.* at byte"):
        parse_description(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_description_or_an_error(data: bytes) -> None:
    with pytest.raises(DescriptionError):
        parse_description(data)


VALUES: list[object] = [
    *(None, True, False, 0, -1, 4, 1 << 63, 1 << 200, 0.5, 1e308, float("inf"), float("nan"), [], {}, [1], {"a": [{}]}),
    *("", " ", "4", "0" * 64, "f" * 64, "\n", "\0", "\x7f", "\ud800", "\u202e", "\u2028", "m" * 1000, COREOS_USR),
]


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_any_value_is_a_description_or_an_error(field: str, value: object) -> None:
    try:
        found = parse_description(text(**{field: value}).encode())
    except DescriptionError as error:
        assert str(error).isprintable()
    else:
        assert 0 < found.size < 1 << 63
        assert found.name.isprintable()
        assert found.version.isprintable()
        assert len(bytes.fromhex(found.sha256)) == 32


def test_a_good_description_is_what_it_says() -> None:
    told = parse_description(text(sha256="AB" * 32, name="d\u00e9mo \u65e5\u672c", behaviour="good").encode())
    assert isinstance(told, Description)
    assert (told.name, told.version, told.size, told.sha256) == ("d\u00e9mo \u65e5\u672c", "2", 4, "ab" * 32)
    assert str(told.slot_type).lower() == COREOS_USR


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize(
    ("spoil", "name", "message"),
    [
        (pipe, "update.json", "it is not a regular file"),
        (folder_instead, "update.json", "it is not a regular file"),
        (link_to_itself, "update.json", "Too many levels of symbolic links"),
        (lambda path: path.unlink(), "update.json", "No such file or directory"),
        (pipe, "slot.img", "it has 0 bytes, the description says 4"),
        (folder_instead, "slot.img", "the description says 4"),
        (link_to_itself, "slot.img", "Too many levels of symbolic links"),
        (lambda path: path.unlink(), "slot.img", "No such file or directory"),
        (grown, "slot.img", "it has 8 bytes, the description says 4"),
    ],
)
def test_files_that_are_no_files_are_refused(
    update: Callable[..., Path], disks: Path, spoil: Callable[[Path], None], name: str, message: str
) -> None:
    folder, disk = update(CONTENT), disks / "disk.img"
    spoil(folder / name)
    disk.write_bytes(before := bytes(two_slots(20).gpt.image()))
    said = refusal(updatectl("install", folder, "--target", disk, "--slot", "2"))
    assert said.startswith(f"updatectl: {folder}/{name}: no usable update: ")
    assert message in said
    assert disk.read_bytes() == before


def test_an_image_that_is_exchanged_before_it_is_read_is_refused(update: Callable[..., Path]) -> None:
    from update_agent.errors import MediumError
    from update_agent.transport.medium import read_update

    folder = update(CONTENT)
    told = read_update(folder)
    grown(folder / "slot.img")
    with pytest.raises(MediumError, match="it has 8 bytes, the description says 4"), told.open_image():
        pass
    pipe(folder / "slot.img")
    with pytest.raises(MediumError, match=r"slot\.img: no usable update: it is not a regular file"), told.open_image():
        pass
