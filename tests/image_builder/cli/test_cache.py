"""``image-builder cache`` for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from image_builder.cache import Cache
from image_builder.cli.main import main


@pytest.fixture
def piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one piece of the cache that the commands use."""
    monkeypatch.setenv("SLOTBOOT_CACHE", str(tmp_path))
    return Cache(tmp_path).publish_file(Path("uki/1.efi"), lambda path: path.write_bytes(bytes(3 << 20)))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["cache", *words], prog_name="image-builder")


def test_list_shows_a_line_for_each_piece(piece: Path) -> None:
    done = run("list")
    assert done.exit_code == 0
    head, line, total = done.stdout.splitlines()
    assert head.split() == ["KIND", "NAME", "SIZE", "AGE", "LAST", "USED"]
    assert line.split()[:4] == ["uki", "1.efi", "3.0", "MiB"]
    assert total == f"1 pieces, 3.0 MiB, in {piece.parents[1]}"


def test_list_for_scripts(piece: Path) -> None:
    shown = json.loads(run("list", "--json").stdout)
    assert shown["root"] == str(piece.parents[1])
    (found,) = shown["pieces"]
    assert (found["path"], found["kind"], found["size"], found["recorded"]) == (str(piece), "uki", 3 << 20, True)


def test_verify_exits_1_and_names_what_is_damaged(piece: Path) -> None:
    assert (run("verify").exit_code, run("verify").stdout) == (0, "nothing damaged\n")
    piece.write_bytes(bytes((3 << 20) - 1) + b"x")
    done = run("verify")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [f"{piece}: damaged: 1.efi has other content", "1 damaged"]
    shown = run("verify", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["damaged"] == [{"path": str(piece), "what": "1.efi has other content"}]


def test_clean_removes_what_it_is_told_to_and_says_how_much(piece: Path) -> None:
    assert run("clean", "--older-than", "1").stdout == "0 pieces removed, 0.0 MiB\n"
    assert piece.exists()
    assert run("clean").stdout == "1 pieces removed, 3.0 MiB\n"
    assert not piece.exists()


def test_clean_says_what_stays_because_a_build_uses_it(piece: Path) -> None:
    cache = Cache(piece.parents[1])
    assert cache.intact(piece)
    done = run("clean")
    assert (done.exit_code, done.stdout) == (0, "0 pieces removed, 0.0 MiB\n")
    assert done.stderr == f"image-builder: {piece}: a build is using it; it stays\n"
    assert piece.exists()
    assert [held["path"] for held in json.loads(run("clean", "--json").stdout)["held"]] == [str(piece)]


@pytest.mark.parametrize("words", [["clean", "--older-than", "-1"], ["clean", "--older-than", "soon"], ["lits"]])
def test_wrong_usage_exits_2(words: list[str]) -> None:
    assert run(*words).exit_code == 2
