"""docs/images.md has every key of a definition, as the code reads it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from image_builder.definition import manual
from image_builder.definition.load import load_definition, parse_definition
from image_builder.definition.manual import ManualError, asked_keys, render, with_tables
from image_builder.definition.texts import SECTIONS, TEXTS, Text
from image_builder.errors import DefinitionError
from tests.documentation import ROOT, table

PAGE = ROOT / "docs/images.md"
KINDS = ("tree", "tar", "image", "debian", "tiny")


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    page = PAGE.read_text()
    assert with_tables(page, render()) == page, "run python -m image_builder.definition.manual"


def known(fields: dict[str, object], place: str) -> set[str]:
    """The keys that a mistake at a key of this place says are known: what a user is told."""
    with pytest.raises(DefinitionError) as caught:
        parse_definition(Path("own.toml"), fields)
    (message,) = [str(mistake) for mistake in caught.value.mistakes if f" {place}.zzzzzz: " in str(mistake)]
    return set(message.partition("known are ")[2].split(", "))


ZZ = {"zzzzzz": 1}


@pytest.mark.parametrize(
    ("fields", "place", "sections"),
    [
        ({"image": ZZ}, "image", ["image"]),
        ({"boot": ZZ}, "boot", ["boot"]),
        ({"esp": ZZ}, "esp", ["esp"]),
        ({"state": {"a": ZZ}}, "state.a", ["state.NAME"]),
        ({"partition": [ZZ]}, "partition[1]", ["partition"]),
        *(
            ({"slot": {"a": {"kind": kind, **ZZ}}}, "slot.a", ["slot.NAME", f"slot.NAME, kind {kind}"])
            for kind in KINDS
            if kind != "image"
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_page_has_the_keys_that_a_mistake_says_are_known(
    fields: dict[str, object], place: str, sections: list[str]
) -> None:
    assert known(fields, place) == {key for section in sections for key in TEXTS[section]}


def test_a_finished_file_system_lacks_the_keys_that_the_page_says_it_lacks() -> None:
    found = known({"slot": {"a": {"kind": "image", **ZZ}}}, "slot.a")
    lacking = {*TEXTS["slot.NAME"], *TEXTS["slot.NAME, kind image"]} - found
    (sentence,) = re.findall(r"so the keys (.*) are not there", SECTIONS["slot.NAME, kind image"])
    assert set(re.findall(r"`(.*?)`", sentence)) == lacking


def test_there_are_no_sections_but_those_of_the_page() -> None:
    with pytest.raises(DefinitionError, match=r"zzzzzz: is not a setting; known are (.*)") as caught:
        parse_definition(Path("own.toml"), {"zzzzzz": {}})
    told = str(caught.value).partition("known are ")[2].split("\n")[0]
    assert set(told.split(", ")) == {re.split(r"[.,]", section)[0] for section in SECTIONS}


def test_the_page_has_all_keys_of_the_example_with_every_setting() -> None:
    fields = tomllib.loads((ROOT / "examples/reference.toml").read_text())
    for section in ("image", "boot"):
        assert set(fields[section]) <= set(TEXTS[section])
    assert {key for partition in fields["partition"] for key in partition} <= set(TEXTS["partition"])


@pytest.mark.parametrize("name", ["minimal", "coreos"])
def test_what_an_example_leaves_out_has_the_default_that_the_page_says(name: str) -> None:
    definition = load_definition(ROOT / f"examples/{name}.toml")
    boot = definition.boot
    assert boot is not None
    rows = {key: default for key, _, default, _ in table(PAGE, "### [boot]")}
    read = {"policy": boot.policy, "compression": boot.compression, "verity": boot.verity, "hand-over": boot.hand_over}
    assert {key: rows[f"`{key}`"] for key in read} == {key: f'`"{value}"`' for key, value in read.items()}


def test_a_key_without_a_text_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, "image", {key: text for key, text in TEXTS["image"].items() if key != "seed"})
    with pytest.raises(ManualError, match=r"keys of \[image\]: without a text \['seed'\], text without one \[\]"):
        render()


def test_a_text_without_a_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS["boot"], "splash", Text("A picture."))
    with pytest.raises(ManualError, match=r"keys of \[boot\]: without a text \[\], text without one \['splash'\]"):
        render()


def test_a_default_that_is_no_single_value_wants_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS["partition"], "uuid", Text("Its GUID."))
    with pytest.raises(ManualError, match=r"partition\.uuid: its default is .*; expected a text"):
        render()


def test_a_page_without_the_comments_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "images.md"
    page.write_text("# Images\n")
    monkeypatch.setattr(manual, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["manual"])
    with pytest.raises(SystemExit, match="are not both there"):
        manual.main()
    assert page.read_text() == "# Images\n"


def test_writing_the_page_twice_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "images.md"
    page.write_text("# Images\n<!-- keys: here -->\nthe table of 1999\n<!-- end -->\ntail\n")
    monkeypatch.setattr(manual, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["manual"])
    manual.main()
    once = page.read_text()
    manual.main()
    assert page.read_text() == once
    assert "1999" not in once
    assert once.endswith("<!-- end -->\ntail\n")


def test_nothing_is_asked_for_that_says_not_what_it_expects() -> None:
    assert [
        (section, key)
        for section, keys in asked_keys().items()
        for key, asked in keys.items()
        if not (asked.expected or TEXTS[section][key].value)
    ] == []
