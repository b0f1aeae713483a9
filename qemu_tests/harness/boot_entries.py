"""The Boot Loader Specification, as far as it says which kernel an image starts: pure, from names and texts."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COUNTER = re.compile(r"\+(\d+)(?:-\d+)?$")


@dataclass(frozen=True)
class BootEntry:
    """``name`` is that of its file. An entry of type 2 is the one file ``linux``, which holds its options."""

    name: str
    linux: str
    initrds: tuple[str, ...] = ()
    options: str = ""
    version: str = ""
    sort_key: str = ""

    @property
    def title(self) -> str:
        """The name without suffix and boot counter, as ``default`` of loader.conf matches it."""
        return _COUNTER.sub("", self.name.rpartition(".")[0])

    @property
    def exhausted(self) -> bool:
        """Whether its boot counter has come to zero, so that it is taken last."""
        found = _COUNTER.search(self.name.rpartition(".")[0])
        return found is not None and int(found[1]) == 0


def parse_entry(name: str, text: str) -> BootEntry | None:
    """An entry of type 1; None for one without a kernel, such as that of an EFI program."""
    words = [line.split(None, 1) for line in text.splitlines() if not line.lstrip().startswith("#")]
    values: dict[str, list[str]] = {}
    for pair in words:
        if len(pair) == 2:
            values.setdefault(pair[0], []).append(pair[1].strip())
    if "linux" not in values:
        return None
    initrds = tuple(path for line in values.get("initrd", ()) for path in line.split())
    last: Mapping[str, str] = {key: found[-1] for key, found in values.items()}
    options = " ".join(values.get("options", ()))
    return BootEntry(name, last["linux"], initrds, options, last.get("version", ""), last.get("sort-key", ""))


def default_of(loader_conf: str) -> str:
    """The pattern of ``default`` in loader.conf, or nothing."""
    found = re.findall(r"^default[ \t]+(\S+)", loader_conf, re.MULTILINE)
    return str(found[-1]) if found else ""


def choose(entries: Sequence[BootEntry], default: str) -> BootEntry:
    """The first that matches ``default``, else the first, in the order of the specification's menu."""
    ordered = _menu(entries)
    for entry in ordered:
        if default and any(fnmatch.fnmatchcase(name.lower(), default.lower()) for name in (entry.name, entry.title)):
            return entry
    return ordered[0]


def _menu(entries: Sequence[BootEntry]) -> list[BootEntry]:
    newest = sorted(entries, key=lambda entry: version_key(entry.title), reverse=True)
    newest.sort(key=lambda entry: version_key(entry.version) if entry.sort_key else (), reverse=True)
    return sorted(newest, key=lambda entry: (entry.exhausted, not entry.sort_key, entry.sort_key))


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts versions: numbers by value and after words, ``~`` before everything, even the end."""
    words = re.findall(r"\d+|[A-Za-z]+|~", version)
    return (*(_word_key(word) for word in words), (1, 0, ""))


def _word_key(word: str) -> tuple[int, int, str]:
    if word == "~":
        return 0, 0, ""
    return (3, int(word), "") if word.isdigit() else (2, 0, word)
