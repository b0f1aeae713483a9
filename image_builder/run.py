"""Programs of the machine, run in a fixed environment so that what they make does not depend on who runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from image_builder.errors import MissingToolError, ToolFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEBIAN_PACKAGES = {
    "/usr/lib/apt/apt-helper": "apt",
    "sfdisk": "fdisk",
    "apt-cache": "apt",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mcopy": "mtools",
    "mkfs.erofs": "erofs-utils",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mmd": "mtools",
    "objcopy": "binutils",
    "objdump": "binutils",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "readelf": "binutils",
    "setpriv": "util-linux",
    "sgdisk": "gdisk",
    "sh": "dash",
    "veritysetup": "cryptsetup-bin",
}
"""Program -> Debian package, where the two differ: for everything that the builder and the harness run."""

_KEPT = (
    "HOME",
    "TMPDIR",
    "APT_CONFIG",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where mkfs.* and sgdisk are; not in the PATH of an ordinary user."""


class Runner(Protocol):
    """Runs programs. Passed in everywhere, so that tests can give one that only records."""

    def tool(self, name: str) -> str:
        """The path of a program. Raises MissingToolError."""
        ...

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> bytes:
        """Run ``argv`` to its end and return its standard output.

        A path (``os.PathLike``) reaches the program as an absolute one: no name is taken for an option, a drive or a pattern, and
        ``cwd`` does not change what it means. Texts are passed as they are. ``env`` is added to the fixed environment. Raises MissingToolError, and ToolFailedError with the last line of its
        standard error when it does not exit with 0.
        """
        ...


class SystemRunner:
    """The Runner that really runs programs: found in PATH, /usr/sbin and /sbin; TZ=UTC, LC_ALL=C, little else."""

    def __init__(self, environ: Mapping[str, str] | None = None, *, pass_fds: Sequence[int] = ()) -> None:
        """``pass_fds`` are descriptors that the programs inherit."""
        self._pass_fds = pass_fds
        environ = os.environ if environ is None else environ
        self._path = os.pathsep.join(filter(None, (environ.get("PATH"), *_SYSTEM_FOLDERS)))
        self._environment = {
            **{name: environ[name] for name in _KEPT if name in environ},
            "PATH": self._path,
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    def tool(self, name: str) -> str:
        """See ``Runner.tool``."""
        found = shutil.which(name, path=self._path)
        if found is None:
            raise MissingToolError(name, DEBIAN_PACKAGES.get(name, name))
        return found

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> bytes:
        """See ``Runner.run``."""
        words = [word if isinstance(word, str) else str(Path(word).absolute()) for word in argv]
        done = subprocess.run(
            [self.tool(words[0]), *words[1:]],
            input=b"" if stdin is None else stdin,
            env={**self._environment, **(env or {})},
            cwd=cwd,
            capture_output=True,
            check=False,
            pass_fds=self._pass_fds,
        )
        if done.returncode:
            raise ToolFailedError(words, done.returncode, _last_line(done.stderr) or _last_line(done.stdout))
        return done.stdout


def _last_line(output: bytes) -> str:
    """The last line that says something; indented ones only explain the one before them."""
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    whole = [line for line in lines if not line[0].isspace()] or lines
    return whole[-1].strip() if whole else ""
