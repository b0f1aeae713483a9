"""Puts the hooks, the dracut module and the units into a system, takes them out again, and says what is where."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.errors import BootselectError
from bootselect.integration.places import Place, Programs, is_stamped, places

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bootselect.integration.places import Tool

_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/bin")


class State(StrEnum):
    """What is found where one of our files belongs."""

    ABSENT = "not there"
    CURRENT = "in place"
    OUTDATED = "of another version"
    """Put there by us for another version or another interpreter, and unchanged since."""
    PACKAGED = "in place, by a package or by hand"
    """What we would put there, but without our stamp: we leave it to who put it there."""
    CHANGED = "changed"
    """Anything else. Never written over, never removed."""


@dataclass(frozen=True)
class Found:
    """A place and what is there. ``path`` is where it was found, or would be put."""

    place: Place
    path: Path
    state: State


class ChangedError(BootselectError):
    """Files that are not ours, or that somebody has changed, stand where ours belong. They are as they were."""

    def __init__(self, paths: Sequence[Path]) -> None:
        names = ", ".join(map(str, paths))
        super().__init__(f"{names}: changed or not put there by bootselect; compare, move it away, then run this again")
        self.paths = tuple(paths)


class OutsideError(BootselectError):
    """A link leads out of the root. Nothing was written."""

    def __init__(self, path: Path, root: Path) -> None:
        super().__init__(f"{path}: leads out of {root}; expected a folder in it")
        self.path, self.root = path, root


class NoProgramError(BootselectError):
    """The units would start a program that is not there, and no slot would ever be marked good. Nothing was written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: not there; the units start this command, so install slotboot there first")
        self.path = path


class PlaceError(BootselectError):
    """A file cannot be read, written or removed. Each file is as it was or complete; those named before it are done."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror}; expected a place that can be read and written")
        self.path = path


def programs_of(root: Path) -> Programs:
    """The programs that the files are made for: this interpreter, or with another root the one that is usual there."""
    python = Path(sys.executable) if os.path.realpath(root) == "/" else Path(Programs.python)
    found = {}
    for name in ("bootselect", "updatectl"):
        for folder in (str(python.parent), *_PROGRAM_FOLDERS):
            if name not in found and os.path.lexists(_below(root, f"{folder}/{name}")):
                found[name] = f"{folder}/{name}"
    return Programs(str(python), **found)


def look(tool: Tool, root: Path, programs: Programs) -> list[Found]:
    """What is where, for one tool. Raises PlaceError and OutsideError."""
    return [_look(place, root, programs) for place in places(tool)]


def integrate(tools: Iterable[Tool], root: Path, programs: Programs) -> list[Found]:
    """Put everything into place; returns what was missing or of another version, and is written now.

    Each file appears whole or not at all, and none is written when one of them was changed. Raises ChangedError,
    NoProgramError, PlaceError and OutsideError.
    """
    found = [one for tool in tools for one in look(tool, root, programs)]
    for command in sorted({one.place.command for one in found} - {""}):
        program = _below(root, getattr(programs, command))
        if not os.path.lexists(program):
            raise NoProgramError(program)
    changed = [one.path for one in found if one.state is State.CHANGED]
    if changed:
        raise ChangedError(changed)
    todo = [one for one in found if one.state in {State.ABSENT, State.OUTDATED}]
    for one in todo:
        try:
            _put(one, programs)
        except OSError as error:
            raise PlaceError(one.path, error) from error
    return todo


def remove(tools: Iterable[Tool], root: Path, programs: Programs) -> tuple[list[Found], list[Found]]:
    """Take out what is ours and unchanged. Returns what was removed, and what is there still.

    Links go first, so that systemd never finds one to a unit that is gone. Raises PlaceError and OutsideError.
    """
    found = [one for tool in tools for one in look(tool, root, programs) if one.state is not State.ABSENT]
    ours = [one for one in found if one.state in {State.CURRENT, State.OUTDATED}]
    for one in sorted(ours, key=lambda one: not one.place.link):
        try:
            one.path.unlink()
        except OSError as error:
            raise PlaceError(one.path, error) from error
        folder = one.path.parent
        if any(folder.match(pattern) for pattern in one.place.tool.own_folders):
            with contextlib.suppress(OSError):  # somebody else's files are in it
                folder.rmdir()
    return ours, [one for one in found if one not in ours]


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _look(place: Place, root: Path, programs: Programs) -> Found:
    path, packaged = root / place.path, root / place.packaged
    if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root)):
        raise OutsideError(path.parent, root)
    try:
        if path != packaged and not os.path.lexists(path) and packaged.is_file():
            return Found(place, packaged, State.PACKAGED)
        return Found(place, path, _link_state(place, path) if place.link else _file_state(place, path, programs))
    except OSError as error:
        raise PlaceError(path, error) from error


def _link_state(place: Place, path: Path) -> State:
    if not os.path.lexists(path):
        return State.ABSENT
    leads_to = str(path.readlink()) if path.is_symlink() else ""
    if leads_to == place.link:
        return State.CURRENT
    # A package's unit is enabled; Debian 12 has it in /lib, which is a link to /usr/lib.
    packaged = {f"/{place.packaged}", f"/{place.packaged}".removeprefix("/usr")}
    return State.PACKAGED if leads_to in packaged else State.CHANGED


def _file_state(place: Place, path: Path, programs: Programs) -> State:
    if not os.path.lexists(path):
        return State.ABSENT
    if path.is_symlink() or not path.is_file():
        return State.CHANGED
    if bool(path.stat().st_mode & 0o100) != bool(place.mode & 0o100):
        # What initramfs-tools finds without this bit it leaves out: somebody has switched the hook off.
        return State.CHANGED
    content = path.read_bytes().decode("utf-8", "replace")
    if content == place.content(programs):
        return State.CURRENT
    if is_stamped(content, place.tool):
        return State.OUTDATED
    return State.PACKAGED if content == place.text else State.CHANGED


def _put(found: Found, programs: Programs) -> None:
    path, place = found.path, found.place
    path.parent.mkdir(parents=True, exist_ok=True)
    if place.link:
        path.symlink_to(place.link)
        return
    # A name that none of the tools reads, should the power fail in between.
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(place.content(programs))
        os.fchmod(file.fileno(), place.mode)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
