"""Programs of the machine, run in a fixed environment so that what they make does not depend on who runs them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from image_builder import stop
from image_builder.errors import MissingToolError, ToolFailedError
from image_builder.room import no_space_of

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
    "mksquashfs": "squashfs-tools",
    "debugfs": "e2fsprogs",
    "cp": "coreutils",
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
_UMASK = 0o022
"""Modes of files that programs make get into images, and must not depend on who builds them."""
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
        ``cwd`` does not change what it means. Texts are passed as they are. ``env`` is added to the fixed environment.
        Raises MissingToolError, and when it does not exit with 0, NoSpaceError where it says that this was the reason, or else
        ToolFailedError with the last line of its standard error.
        """
        ...


class SystemRunner:
    """The Runner that really runs programs: found in PATH, /usr/sbin and /sbin; TZ=UTC, LC_ALL=C, umask 022, little else."""

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
        stop.check()
        words = [word if isinstance(word, str) else str(Path(word).absolute()) for word in argv]
        environment = {**self._environment, **(env or {})}
        code, out, errors = self._to_the_end([self.tool(words[0]), *words[1:]], stdin or b"", environment, cwd)
        if code:
            paths = [Path(word) for word in argv if not isinstance(word, str)]
            places = [*paths, cwd or Path.cwd(), Path(environment.get("TMPDIR") or "/tmp")]  # noqa: S108  (as programs do)
            raise no_space_of(words[0], errors + out, places) or ToolFailedError(
                words, code, _last_line(errors) or _last_line(out)
            )
        return out

    def _to_the_end(
        self, argv: list[str], stdin: bytes, env: Mapping[str, str], cwd: Path | None
    ) -> tuple[int, bytes, bytes]:
        """Exit code and both outputs. An exception, of a signal as a rule, ends the program and all that it has started."""
        process = None
        try:
            with stop.entering() as groups:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=env,
                    cwd=cwd,
                    pass_fds=self._pass_fds,
                    umask=_UMASK,
                    process_group=0,
                )
                groups.add(process.pid)
            out, errors = process.communicate(stdin)
            stop.check()
        except BaseException:
            if process is not None:
                _end(process)
            raise
        finally:
            if process is not None:
                stop.left(process.pid)
        return process.returncode, out, errors


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program, and kill what is left of its process group."""
    with process, suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(stop.GRACE)
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(output: bytes) -> str:
    """The last line that says something; indented ones only explain the one before them."""
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    whole = [line for line in lines if not line[0].isspace()] or lines
    return whole[-1].strip() if whole else ""
