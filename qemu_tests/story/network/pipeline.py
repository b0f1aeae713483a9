"""Who builds the system and publishes it, with the commands of the docs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qemu_tests.story.network.web import Web

DEFINITION = """
[image]
name = "fleet"

[boot]
kind = "uki"
kernel = "slot.os"

[slot.os]
kind = "tar"
source = "root.tar"

[slot.os.files]
"/usr/share/slotboot/root.json" = "keys/root.json"
"/usr/share/slotboot/agent.toml" = "agent.toml"
{more}
[[partition]]
label = "EFI-SYSTEM"
type = "esp"
size = "64M"
content = "esp"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "auto"
content = "slot.os"
priority = 1
successful = true

[[partition]]
label = "USR-B"
type = "coreos-usr"
size = "auto"

[[partition]]
label = "STATE"
type = "linux-data"
size = "{state}"
content = "state"
"""
AGENT = """
[update]
repository = "{url}"
tries = 1

[check]
first = "1s"
interval = "1m"
jitter = "0s"

[reboot]
strategy = "reboot"
"""
NEVER = "/etc/bootselect/health.d/required.d/50-never"


@dataclass(frozen=True)
class Recipe:
    """What one fleet has that another has not: settings of the agent, files of the slot by their paths, the size of what lasts."""

    agent: str = AGENT
    files: Mapping[str, str] = field(default_factory=dict)
    state: str = "32M"


@dataclass
class Pipeline:
    """Builds and publishes, as docs/publishing.md says it is done."""

    place: Path
    web: Web
    recipe: Recipe = field(default_factory=Recipe)

    def call(self, program: str, *words: object) -> None:
        """Run a program of ours. Raises ToolFailedError."""
        path = Path(sys.executable).with_name(program)
        run_tool(*_with_cache(self.place / "cache"), str(path), *map(str, words))

    def begin(self, tarball: Path, version: str = "1.0") -> Path:
        """A repository, and the disk with its first version."""
        (self.place / "root.tar").symlink_to(tarball)
        more = "\n".join(f'"{path}" = "{self._file(path, text)}"' for path, text in self.recipe.files.items())
        (self.place / "fleet.toml").write_text(DEFINITION.format(more=more, state=self.recipe.state))
        (self.place / "agent.toml").write_text(self.recipe.agent.format(url=self.web.url))
        self.call("updatectl", "publish", "init", self.web.folder, "--keys", self.place / "keys")
        (self.place / "keys/root.json").write_bytes((self.web.folder / "metadata/1.root.json").read_bytes())
        self.build("build", version)
        return self.place / "fleet.raw"

    def _file(self, path: str, text: str) -> str:
        name = path.strip("/").replace("/", "-")
        (self.place / name).write_text(text)
        return name

    def build(self, command: str, version: str, *files: str) -> None:
        """Call image-builder for a version. Raises ToolFailedError."""
        release = self.place / f"os-release-{version}"
        release.write_text(f'ID=debian\nPRETTY_NAME="Fleet {version}"\nIMAGE_ID=fleet\nIMAGE_VERSION={version}\n')
        chosen = [f"--file={file}" for file in (f"/etc/os-release={release}", *files)]
        words = (command, self.place / "fleet.toml", f"--output={self.place}", f"--version={version}")
        self.call("image-builder", *words, *chosen)

    def release(self, version: str, *, broken: bool = False) -> None:
        """Build and publish a version; one that is ``broken`` never gets healthy."""
        never = self.place / "never"
        if broken:
            never.write_text("#!/bin/sh\nexit 1\n")
            never.chmod(0o755)
        self.build("artifacts", version, *([f"{NEVER}={never}"] if broken else []))
        manifest = self.place / f"fleet_{version}_os.json"
        self.call(
            "updatectl", "publish", "add", self.web.folder, manifest, "--keys", self.place / "keys", "--group", "stable"
        )

    def slot(self, version: str) -> Path:
        """The image of a version that was built."""
        return self.place / f"fleet_{version}_os.slot"


def _with_cache(cache: Path) -> tuple[str, ...]:
    return ("env", f"SLOTBOOT_CACHE={cache}")
