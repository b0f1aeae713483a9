"""What is owed to others, on the disk."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from update_agent.reboot.errors import PromiseError
from update_agent.reboot.promise import NAME, Book, Promise, Verdict, note_verdict
from update_agent.state.files import SystemFiles

if TYPE_CHECKING:
    from pathlib import Path

FULL = Promise("1.1", "etcd-lock", True, Verdict.ROLLED_BACK, "2/0/0", True)


@pytest.mark.parametrize("promise", [Promise("1.1"), FULL, Promise("\u00fc\n", "fleet-lock", verdict=Verdict.GOOD)])
def test_what_is_written_is_read(tmp_path: Path, promise: Promise) -> None:
    book = Book(tmp_path / "state")
    assert book.read() is None
    book.write(promise)
    assert book.read() == promise
    book.write(None)
    book.write(None)
    assert book.read() is None


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"version":1}', '{"version":"1"}', '{"version":"1","kind":"","undrain":0,"verdict":"","reason":"","kept":false}',
     '{"version":"1","kind":"","undrain":false,"verdict":"perhaps","reason":"","kept":false}', "\xff"],
)  # fmt: skip
def test_one_that_cannot_be_read_is_told_and_is_none(tmp_path: Path, text: str) -> None:
    told: list[str] = []
    (tmp_path / NAME).write_text(text, encoding="latin-1")
    assert Book(tmp_path, tell=told.append).read() is None
    assert len(told) == 1
    assert "locksmithctl status" in told[0]


def test_the_verdict_is_noted_beside_what_was_owed(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(Promise("1.1", "etcd-lock", undrain=True))
    note_verdict(book, "1.1", Verdict.ROLLED_BACK, "2/0/0")
    assert book.read() == Promise("1.1", "etcd-lock", True, Verdict.ROLLED_BACK, "2/0/0")
    note_verdict(book, "1.2", Verdict.GOOD, "")
    assert book.read() == Promise("1.2", "etcd-lock", True, Verdict.GOOD)
    book.write(None)
    note_verdict(book, "1.3", Verdict.ROLLED_BACK, "2/0/0")
    assert book.read() == Promise("1.3", verdict=Verdict.ROLLED_BACK, reason="2/0/0")


def test_one_that_is_good_still_owes_its_hooks_and_an_older_rollback_is_over(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(Promise("1.1", "etcd-lock", False, Verdict.ROLLED_BACK, "2/0/0", kept=True))
    note_verdict(book, "1.2", Verdict.ROLLED_BACK, "2/0/0")
    assert book.read() == Promise("1.2", "etcd-lock", False, Verdict.ROLLED_BACK, "2/0/0")
    note_verdict(book, "1.3", Verdict.GOOD, "")
    assert book.read() == Promise("1.3", "etcd-lock", True, Verdict.GOOD)


class Full(SystemFiles):
    def write(self, fd: int, data: bytes) -> int:
        del fd, data
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_promise(tmp_path: Path) -> None:
    Book(tmp_path).write(FULL)
    with pytest.raises(PromiseError, match="No space left"):
        Book(tmp_path, Full()).write(Promise("1.2"))
    assert Book(tmp_path).read() == FULL
