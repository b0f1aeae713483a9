r"""``SHA256SUMS`` of a folder, for ``sha256sum -c`` and systemd-sysupdate.

The format is that of coreutils ("cksum output modes" of its manual): digest, two blanks, name; where the name holds a backslash, a
line feed or a carriage return, these are ``\\``, ``\n``, ``\r`` and the line begins with a backslash.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from image_builder.cache import replacing
from image_builder.errors import BuildError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SUMS = "SHA256SUMS"
_LINE = re.compile(r"(\\?)([0-9A-Fa-f]{64}) [ *](.+)", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_LETTERS = {escape: letter for letter, escape in _ESCAPES.items()}


class SumsError(BuildError):
    """A file of checksums that was there is not one. It was left as it is."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        super().__init__(f"{path}: line {line} is {text!r}; expected what sha256sum prints: move the file away")
        self.path, self.line = path, line


def merge(existing: str, digests: Mapping[str, str]) -> str:
    """The lines of ``existing`` and of ``digests`` (name -> hexadecimal SHA-256), which win, sorted by the bytes of the names.

    Raises ValueError, whose only argument is the number of the first line that is none of sha256sum's.
    """
    return _text({**_parsed(existing), **digests})


def update_sums(folder: Path, digests: Mapping[str, str]) -> Path:
    """Put the digests into the ``SHA256SUMS`` of a folder and drop those of files that are gone; returns its path.

    It appears whole or not at all. Builds into the same folder wait for each other here, so none loses the lines of another.
    Raises SumsError, OutputError and OSError.
    """
    path = folder / SUMS
    with _only_one(folder):
        # Names are bytes; what is not UTF-8 comes through as it is.
        existing = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
        try:
            known = _parsed(existing)
        except ValueError as error:
            number = int(error.args[0])
            raise SumsError(path, number, existing.split("\n")[number - 1]) from error
        there = {name: digest for name, digest in known.items() if os.path.lexists(folder / name)}
        with replacing(path) as temporary:
            temporary.write_bytes(_text({**there, **digests}).encode(errors="surrogateescape"))
    return path


def _parsed(text: str) -> dict[str, str]:
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(number)
        escaped, digest, name = match.groups()
        found[_unescaped(name) if escaped else name] = digest.lower()
    return found


def _text(digests: Mapping[str, str]) -> str:
    lines = []
    for name in sorted(digests, key=lambda name: name.encode(errors="surrogateescape")):
        escaped = "".join(_ESCAPES.get(letter, letter) for letter in name)
        lines.append(f"{'' if escaped == name else chr(92)}{digests[name]}  {escaped}\n")
    return "".join(lines)


def _unescaped(name: str) -> str:
    return re.sub(r"\\[\\nr]", lambda match: _LETTERS[match[0]], name)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """A lock on the folder itself: nothing is left in it, and it ends with the process at the latest."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputError(folder, error.strerror or str(error)) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
