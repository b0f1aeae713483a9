"""The journal: what was said comes back, and nothing that was not said, whatever became of the file."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from update_agent.slot.errors import JournalError
from update_agent.slot.journal import LARGEST, Binding, Journal, Piece, merged, read_journal, remove_journal

if TYPE_CHECKING:
    from pathlib import Path

BINDING = Binding("ab" * 32, "6D1D0B8A-3B0C-4F0E-9D6E-0F5C6A3B7E21", "00000000-0000-4000-8000-000000000001")
PIECES = [Piece(number * 1000, 500) for number in range(20)]


def written(path: Path) -> bytes:
    journal = Journal.begin(path, BINDING, PIECES[:3])
    for first in (3, 7, 8):
        journal.append(PIECES[first : {3: 7, 7: 8, 8: 20}[first]])
    journal.close()
    return path.read_bytes()


def test_what_was_said_comes_back(tmp_path: Path) -> None:
    written(tmp_path / "journal")
    assert read_journal(tmp_path / "journal", BINDING) == PIECES
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]
    remove_journal(tmp_path / "journal")
    assert read_journal(tmp_path / "journal", BINDING) == []
    remove_journal(tmp_path / "journal")


@pytest.mark.parametrize("field", ["update", "partition", "disk"])
def test_it_is_of_one_update_and_one_place(tmp_path: Path, field: str) -> None:
    written(tmp_path / "journal")
    other = Binding(**{**{name: getattr(BINDING, name) for name in ("update", "partition", "disk")}, field: "cd" * 32})
    assert read_journal(tmp_path / "journal", other) == []


def test_wherever_it_is_torn_the_lines_before_are_good(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    data = written(path)
    for end in range(len(data)):
        path.write_bytes(data[:end])
        whole = data[:end].count(b"\n")
        assert read_journal(path, BINDING) == PIECES[: max(0, whole - 1)]


def test_whatever_is_damaged_nothing_is_read_that_was_not_said(tmp_path: Path) -> None:
    path, chance = tmp_path / "journal", random.Random(8)
    data = written(path)
    for _ in range(2000):
        damaged = bytearray(data)
        at = chance.randrange(len(damaged))
        damaged[at] = chance.choice([damaged[at] ^ 1 << chance.randrange(8), ord(" "), ord("\n"), ord("0"), 0, 255])
        path.write_bytes(damaged)
        found = read_journal(path, BINDING)
        assert found == PIECES[: len(found)]
        assert len(found) <= len(PIECES)


@given(st.binary(max_size=300))
def test_anything_can_stand_there(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "journal"
    path.write_bytes(data)
    assert read_journal(path, BINDING) == []


def test_lines_of_another_journal_are_none_of_this_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    other = Journal.begin(path, Binding("cd" * 32, BINDING.partition, BINDING.disk), PIECES)
    other.close()
    foreign = path.read_bytes().splitlines(keepends=True)[1:]
    data = written(path)
    path.write_bytes(data + b"".join(foreign))
    assert read_journal(path, BINDING) == PIECES


def test_it_is_never_read_without_end(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    data = written(path)
    with path.open("ab") as file:
        file.truncate(LARGEST * 4)
    assert read_journal(path, BINDING) == PIECES
    assert data


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="writing the journal of the installation failed: No such file"):
        Journal.begin(tmp_path / "none" / "journal", BINDING, [])
    with pytest.raises(JournalError, match="reading"):
        read_journal(tmp_path, BINDING)


def test_pieces_that_touch_are_one() -> None:
    assert merged([Piece(5, 5), Piece(0, 5), Piece(20, 1), Piece(7, 2), Piece(20, 3)]) == [Piece(0, 10), Piece(20, 3)]
