"""What a cloud-config says about updates, written into update.conf, where other programs of CoreOS look, as coreos-cloudinit did.

The lines of update.conf stay, but for those of the names that the cloud-config sets: the first of them gets the new value, further
ones go, since the last one would count. What it does not set stays as it is. Where /etc has no update.conf, the image's is the
beginning of it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from update_agent.config.cloud_config import read_cloud_config
from update_agent.config.errors import ConfigError, Mistake
from update_agent.config.files import CLOUD_CONFIG, read_configuration
from update_agent.config.settings import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from update_agent.config.fragment import Assignment
    from update_agent.config.settings import Row

FOLDERS = ("coreos", "flatcar")
"""Below /etc and /usr/share; the first one that is there below /etc."""
_NAME = "update.conf"
_PLAIN = re.compile(r"[A-Za-z0-9._:/,@%+-]*")
_READABLE, _SECRET = 0o644, 0o600


def write_through(root: Path, cloud_config: Path | None = None) -> tuple[Path, list[str]]:
    """Write it; the file, and the names that were set, none where nothing is to be changed.

    Raises ConfigError with all that is wrong with the configuration as it would be, and OSError. The file is the old one then, or
    the new one: it is replaced whole. A password in it makes it readable for its owner only.
    """
    read_configuration(root, {}, cloud_config=cloud_config)
    source = cloud_config or root / CLOUD_CONFIG
    try:
        fragment = read_cloud_config(str(source), source.read_bytes())
    except FileNotFoundError:
        fragment = read_cloud_config(str(source), b"#cloud-config\n")
    # The last one of a key counts, and there is one line for each.
    said = list({one.key: one for one in fragment.assignments if ROWS[one.key].conf}.values())
    target, base = _place(root)
    before = base.read_text(encoding="utf-8") if base is not None else ""
    after = merged(before, said)
    if not said or (base == target and after == before):
        return target, []
    mode = target.stat().st_mode & 0o777 if target.exists() else _READABLE
    secret = any(ROWS[one.key].secret for one in said)
    _replace(target, after.encode(), mode & _SECRET if secret else mode)
    return target, [ROWS[one.key].conf[0] for one in said]


def merged(text: str, said: Iterable[Assignment]) -> str:
    """An update.conf with these values. Raises ConfigError for a value that no program would read back as it is."""
    left = {row.key: (row, _written(row, one)) for one in said if (row := ROWS[one.key]).conf}
    names = {name: key for key, (row, _) in left.items() for name in row.conf}
    lines, done = [], set()
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        key = names.get(name) if "=" in line else None
        if key is None:
            lines.append(line)
        elif key not in done:
            done.add(key)
            lines.append(f"{name}={left[key][1]}")
    lines += sorted(f"{row.conf[0]}={value}" for key, (row, value) in left.items() if key not in done)
    return "".join(f"{line}\n" for line in lines)


def _written(row: Row, one: Assignment) -> str:
    """A value for a shell, for systemd's EnvironmentFile= and for us: in single quotes nothing has a meaning."""
    if _PLAIN.fullmatch(one.value):
        return one.value
    if "'" in one.value or not one.value.isprintable():
        shown = "it" if row.secret else repr(row.kind.hide(one.value))
        raise ConfigError(
            Mistake(one.origin, f"{one.name}: {shown} cannot be written into {_NAME}: it has a quote in it")
        )
    return f"'{one.value}'"


def _place(root: Path) -> tuple[Path, Path | None]:
    """The file to be written, and the one that is its beginning."""
    there = [name for name in FOLDERS if (root / "etc" / name).is_dir()]
    target = root / "etc" / (there or FOLDERS)[0] / _NAME
    images = [root / "usr/share" / name / _NAME for name in FOLDERS]
    return target, next((path for path in (target, *images) if path.is_file()), None)


def _replace(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:  # noqa: PTH123
            os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            os.fsync(fd)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
