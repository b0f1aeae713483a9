"""Root's view without being root: programs that believe in the owners, device nodes and attributes that they set.

``fakeroot`` does it: its daemon remembers what the programs of one session have set, and a library that they are started with asks
it. Root uses the same way, because then the bytes are the same for everybody and no CAP_MKNOD is needed.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from image_builder.run import Runner

SESSION_TOOLS = ("fakeroot",)
_LIBRARY = ("LD_PRELOAD", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class _SessionRunner:
    """A Runner whose programs all share one view."""

    runner: Runner
    environment: Mapping[str, str]

    def tool(self, name: str) -> str:
        """See ``Runner.tool``."""
        return self.runner.tool(name)

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> bytes:
        """See ``Runner.run``."""
        return self.runner.run(argv, stdin=stdin, env={**self.environment, **(env or {})}, cwd=cwd)


@contextmanager
def root_session(runner: Runner) -> Iterator[Runner]:
    """A Runner whose programs seem to be root's, until the block ends; what nobody has set in the session is seen as it is.

    Extended attributes are the exception: those that files had before are not seen. Raises what ``Runner.run`` raises.
    """
    # The daemon is ours and not that of the `fakeroot` script, which would leave it behind when the script is killed.
    said = runner.run(["fakeroot", "--", "printenv", *_LIBRARY]).decode().splitlines()
    environment = dict(zip(_LIBRARY, said, strict=True))
    daemon = environment["LD_PRELOAD"].replace("libfakeroot", "faked").removesuffix(".so")
    key, process = runner.run([daemon, "--unknown-is-real"]).decode().split(":")
    try:
        yield _SessionRunner(runner, {**environment, "FAKEROOTKEY": key})
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGTERM)
