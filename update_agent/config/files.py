"""Which files are read, the weakest first: those of the image below /usr, then those of the machine below /etc."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from update_agent.config.agent_toml import read_agent_toml
from update_agent.config.cloud_config import read_cloud_config
from update_agent.config.configuration import configure
from update_agent.config.environment import read_environment
from update_agent.config.fragment import LARGEST, Fragment
from update_agent.config.update_conf import read_update_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from update_agent.config.configuration import Configuration

    Reader = Callable[[str, bytes], Fragment]

PLACES: tuple[tuple[str, Reader], ...] = (
    ("usr/share/coreos/update.conf", read_update_conf),
    ("usr/share/flatcar/update.conf", read_update_conf),
    ("usr/share/slotboot/agent.toml", read_agent_toml),
    ("usr/share/slotboot/agent.d/*.toml", read_agent_toml),
    ("etc/coreos/update.conf", read_update_conf),
    ("etc/flatcar/update.conf", read_update_conf),
    ("etc/slotboot/agent.toml", read_agent_toml),
    ("etc/slotboot/agent.d/*.toml", read_agent_toml),
)
"""Each over those before it; drop-ins in the order of their names. On Flatcar two of the folders are one, which is read once."""
CLOUD_CONFIG = "etc/coreos/cloud-config.yml"
"""Over all files; only the environment is stronger."""


def read_configuration(root: Path, environ: Mapping[str, str], *, cloud_config: Path | None = None) -> Configuration:
    """The configuration of the system below ``root``; ``cloud_config`` is a file to be read in the place of the one there.

    Raises ConfigError with every mistake of every file; one that is not there is none, but for a cloud-config that was named.
    """
    return configure([*_fragments(root, cloud_config), read_environment(environ)])


def _fragments(root: Path, cloud_config: Path | None) -> Iterator[Fragment]:
    seen: set[tuple[int, int]] = set()
    for place, read in PLACES:
        if "*" in place:
            yield from _drop_ins(root / place, read, seen)
        else:
            yield from _read(root / place, read, seen)
    if cloud_config is not None:
        yield from _read(cloud_config, read_cloud_config, seen, named=True)
    else:
        yield from _read(root / CLOUD_CONFIG, read_cloud_config, seen)


def _drop_ins(pattern: Path, read: Reader, seen: set[tuple[int, int]]) -> Iterator[Fragment]:
    try:
        names = sorted(os.listdir(pattern.parent))  # noqa: PTH208  (names, and errors)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield _unreadable(pattern.parent, error)
        return
    for name in names:
        if name.endswith(pattern.suffix) and not name.startswith("."):
            yield from _read(pattern.parent / name, read, seen)


def _read(path: Path, read: Reader, seen: set[tuple[int, int]], *, named: bool = False) -> Iterator[Fragment]:
    """The fragment of a file, once, whatever names it has; none of a file that need not be there."""
    try:
        # A pipe that nobody writes to must not hold the agent.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:  # noqa: PTH123
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            data = file.read(LARGEST + 1)
    except OSError as error:
        if named or not isinstance(error, FileNotFoundError | NotADirectoryError):
            yield _unreadable(path, error)
        return
    identity = status.st_dev, status.st_ino
    if identity not in seen:
        seen.add(identity)
        yield read(str(path), data)


def _unreadable(path: Path, error: OSError) -> Fragment:
    fragment = Fragment(str(path))
    fragment.wrong(f"it cannot be read: {error.strerror or error}")
    return fragment
