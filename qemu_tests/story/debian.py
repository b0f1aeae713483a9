"""A Debian of its own for the suites, made by mmdebstrap and thrown away once something was built of it.

What was built is kept in the cache by what went into it: the script, the packages, our sources, and the index of the archive.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.cache import cache_root, publish_folder
from qemu_tests.harness.tools import run_tool
from tests.test_package import tracked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROOT = Path(__file__).parents[2]
SOURCES = ("bootselect", "gptlib", "update_agent", "image_builder", "qemu_tests", "bin", "debian", "script", "docs/man")
INDEX = "http://deb.debian.org/debian/dists/bookworm/InRelease"
"""It names every version that can be installed, so its digest stands for all of them."""

COMPILED = (
    'chroot "$1" python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.11\n'
)
"""A line of a script: in a slot all files have one date, and Python takes what it compiled of others for stale."""


def build_in_debian(packages: Sequence[str], script: str, name: str, sources: Sequence[str] = SOURCES) -> Path:
    """Run a shell script in the checkout, outside of a new Debian with these packages: $1 is its root, $2 the folder for what it makes.

    That folder, in the cache; ``sources`` are what the script takes from the checkout. Raises ToolFailedError.
    """

    def fill(output: Path) -> None:
        hook = output / "install.sh"
        hook.write_text(script)
        run_tool(
            # Without an initramfs for the kernel that is installed, if any: who wants one makes it in the script.
            *("env", "INITRD=No"),
            *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"),
            *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*"),
            f'--customize-hook=cd "{ROOT}" && sh "{hook}" "$1" "{output}"',
            *("bookworm", "/dev/null"),
        )

    return kept(name, [*packages, script], sources, fill)


def kept(name: str, words: Iterable[str], folders: Sequence[str], fill: Callable[[Path], object]) -> Path:
    """The folder that ``fill`` makes of these words, of the tracked files in ``folders`` of the checkout, and of today's archive."""
    digest = hashlib.sha256()
    for word in words:
        digest.update(f"{word}\0".encode())
    for path in _tracked(folders):
        digest.update(f"{path}\0".encode() + (ROOT / path).read_bytes())
    target = cache_root() / "suites" / f"{name}-{_with_index(digest)[:20]}"
    return target if target.is_dir() else publish_folder(target, fill)


def _tracked(folders: Sequence[str]) -> list[str]:
    wanted = (*(f"{folder}/" for folder in folders), "pyproject.toml", "MANIFEST.in")
    return [name for name in tracked() if name.startswith(wanted)]


def _with_index(digest: hashlib._Hash) -> str:
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "InRelease")
        run_tool("/usr/lib/apt/apt-helper", "-qq", "-o", "APT::Sandbox::User=root", "download-file", INDEX, str(index))
        digest.update(index.read_bytes())
    return digest.hexdigest()
