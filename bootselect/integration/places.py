"""Where the tools of other people look for our files, and what stands in them there."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_PYTHON = "/usr/bin/python3 -m "
_PROGRAMS = {name: f"ExecStart=/usr/bin/{name}" for name in ("bootselect", "updatectl")}
_STAMP = "Put here by {by} integrate, which replaces and removes it while this is the SHA-256 of what is above: "
_UNIT_LINKS = {"WantedBy": "wants", "RequiredBy": "requires"}


@dataclass(frozen=True)
class Tool:
    """A tool that is extended by files in its folders.

    ``source`` lies in this package, ``target`` below the root of a system; a package of the distribution has the same files
    in ``packaged``. ``then`` is what a person does next. ``own_folders``: made for us alone, and removed when empty. ``home``: the
    folder that ``source`` lies in. ``comment``: what stands before and behind a comment there.
    """

    name: str
    source: str
    target: str
    packaged: str
    then: str
    own_folders: tuple[str, ...] = ()
    home: Path | None = None
    comment: tuple[str, str] = ("# ", "")
    by: str = "bootselect"
    """The command that puts it there."""

    @property
    def stamp(self) -> str:
        """What stands before the digest in the last line."""
        return self.comment[0] + _STAMP.format(by=self.by)


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "initramfs-tools",
            "initramfs-tools",
            "etc/initramfs-tools",
            "usr/share/initramfs-tools",
            "update-initramfs -u; put boot=bootselect on the kernel's command line",
        ),
        Tool(
            "dracut",
            "dracut",
            "usr/lib/dracut/modules.d",
            "usr/lib/dracut/modules.d",
            "dracut --add bootselect --force; put root=bootselect on the kernel's command line",
            ("*/90bootselect",),
        ),
        Tool(
            "systemd",
            "systemd",
            "etc/systemd/system",
            "usr/lib/systemd/system",
            "nothing: the units are enabled from the next boot on",
            ("*.wants", "*.requires"),
        ),
    )
}


@dataclass(frozen=True)
class Programs:
    """The interpreter that the hooks run, and the command that the units run, as the system itself names them."""

    python: str = "/usr/bin/python3"
    bootselect: str = "/usr/bin/bootselect"
    updatectl: str = "/usr/bin/updatectl"


@dataclass(frozen=True)
class Place:
    """One file or, where ``link`` says what it leads to, one link. ``path`` and ``packaged`` are below the root of a system."""

    tool: Tool
    path: PurePosixPath
    packaged: PurePosixPath
    text: str = ""
    link: str = ""

    @property
    def mode(self) -> int:
        """What has an interpreter is run; the rest is read."""
        return 0o755 if self.text.startswith("#!") else 0o644

    @property
    def command(self) -> str:
        """The name of the command of ours that this starts, where it is a unit; else empty."""
        return next((name for name, start in _PROGRAMS.items() if start in self.text), "")

    def content(self, programs: Programs) -> str:
        """What is written: the text with the programs of this system, and the stamp by which it is known to be unchanged."""
        text = self.text.replace(_PYTHON, f"{shlex.quote(programs.python)} -m ")
        for name, start in _PROGRAMS.items():
            text = text.replace(start, f"ExecStart={_unit_word(getattr(programs, name))}")
        return f"{text}{self.tool.stamp}{_digest(text)}{self.tool.comment[1]}\n"


def places(tool: Tool) -> Iterator[Place]:
    """All that the tool needs: its files and, for units, the links by which systemd starts them."""
    source = (tool.home or _HERE) / tool.source
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name, text = file.relative_to(source).as_posix(), file.read_text(encoding="utf-8")
        unit = PurePosixPath(tool.target, name)
        yield Place(tool, unit, PurePosixPath(tool.packaged, name), text=text)
        for kind, wanting in _unit_links(text):
            link = f"{wanting}.{kind}/{name}"
            yield Place(tool, PurePosixPath(tool.target, link), PurePosixPath(tool.packaged, name), link=f"/{unit}")


def is_stamped(content: str, tool: Tool) -> bool:
    """Whether this was put there by us, whichever version, and nobody has changed it since."""
    text, stamp, digest = content.rpartition(tool.stamp)
    return bool(stamp) and digest == f"{_digest(text)}{tool.comment[1]}\n"


def _unit_links(text: str) -> Iterator[tuple[str, str]]:
    """The folder and the unit for each unit that [Install] names: what ``systemctl enable`` makes of it."""
    section = text.partition("[Install]\n")[2]
    for key, units in re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE):
        for unit in units.split():
            yield _UNIT_LINKS[key], unit


def _unit_word(path: str) -> str:
    """A path as ExecStart= takes it (systemd.service(5), COMMAND LINES)."""
    path = path.replace("%", "%%")
    if not re.search(r"[\s\"'\\;$]", path):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
