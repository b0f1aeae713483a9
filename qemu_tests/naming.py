"""Names of files and machines, made from the names of tests: readable, short, and never twice."""

from __future__ import annotations

import hashlib
import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 100
"""Characters of a name. A file system takes 255 bytes, and what is made of a name is longer than the name."""
LONGEST_MACHINE = 40
_ODD = re.compile(r"[^A-Za-z0-9_]+")
_HASH = 8


def readable(text: str, longest: int = LONGEST) -> str:
    """``text`` in letters, digits, ``_`` and ``-``. What is longer than ``longest`` is cut and ends in a hash of all of it."""
    name = _ODD.sub("-", text).strip("-")
    return name if 0 < len(name) <= longest else _cut(name, text, longest)


def _cut(name: str, of: str, longest: int) -> str:
    digest = hashlib.sha256(of.encode(errors="surrogatepass")).hexdigest()[:_HASH]
    return f"{name[: longest - _HASH - 1].strip('-')}-{digest}".lstrip("-")


def name_of_node(node_id: str) -> str:
    """The name of a test, a module or a session, of what pytest calls it by: ``test_a.py::TestB::test_c[1]``."""
    if not node_id:
        return "session"
    path, colons, test = node_id.partition("::")
    name = readable(path.removesuffix(".py") + colons + test, len(node_id))
    if len(name) <= LONGEST:
        return name
    module = path.rpartition("/")[2].removesuffix(".py")  # the folders go first
    return _cut(readable(module + colons + test, len(node_id)), node_id, LONGEST)


def name_of_machine(node_id: str) -> str:
    """What a machine of a test or module is called where nobody gave it a name."""
    name = node_id.partition("::")[2].rpartition("::")[2] or node_id.rpartition("/")[2].removesuffix(".py")
    return readable(name.removeprefix("test_"), LONGEST_MACHINE) if name else "machine"


def claim(folder: Path, name: str) -> str:
    """``name``, or ``name-2`` and so on where it was claimed before, by any process. ``folder`` holds what is claimed."""
    folder.mkdir(exist_ok=True)
    for number in itertools.count(1):
        free = name if number == 1 else f"{name}-{number}"
        try:
            (folder / free).touch(exist_ok=False)
        except FileExistsError:
            continue
        return free
    raise AssertionError  # pragma: no cover  # the count does not end
