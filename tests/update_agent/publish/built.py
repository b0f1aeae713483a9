"""Folders as ``image-builder artifacts`` writes them, by its own writers, and the command that publishes them."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from image_builder.artifacts.manifest import Manifest
from image_builder.artifacts.names import artifact_names
from image_builder.artifacts.sums import update_sums
from tests.update_agent.updates import updatectl
from update_agent.payload.delta import apply_segment
from update_agent.payload.index import DeltaIndex, Index

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from update_agent.repository.release import Delta, Release
    from update_agent.repository.repository import Repository

KERNEL = "6.1.0-42-cloud-amd64"


def image(seed: int, size: int = 100_000) -> bytes:
    """Bytes that do not compress, with zeros behind them, which do."""
    return random.Random(seed).randbytes(size) + bytes(size // 2)


def patched(content: bytes, seed: int) -> bytes:
    """The same image one point release later: a few bytes differ."""
    new = bytearray(content)
    new[1000:1100] = random.Random(seed).randbytes(100)
    return bytes(new)


def build(folder: Path, version: str, content: bytes, **changes: Any) -> Path:  # noqa: ANN401
    """An update in a folder; returns the folder."""
    folder.mkdir(exist_ok=True)
    fields: dict[str, Any] = {
        "name": "os",
        "version": version,
        "slot": "usr",
        "slot_type": "coreos-usr",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "filesystem": "erofs",
        "compression": "none",
        "root_hash": None,
        "limit": 1 << 30,
        "kernels": (KERNEL,),
        "own_kernel": False,
        "packages": 3,
        "tools": {"mkfs.erofs": "1.5"},
        "epoch": 1_700_000_000,
        **changes,
    }
    names = artifact_names(fields["name"], version, fields["slot"])
    files = {
        names.slot: content,
        names.manifest: Manifest(**fields).to_json().encode(),
        names.packages: b'{"spdxVersion": "SPDX-2.3"}\n',
        names.medium: b"a medium",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    update_sums(folder, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    return folder


def publish(*words: object) -> Result:
    """``updatectl publish`` with these words, which has to succeed."""
    result = updatectl("publish", *words)
    assert result.exit_code == 0, result.output
    return result


def answer(*words: object) -> Any:  # noqa: ANN401
    """What it says with --json."""
    return json.loads(publish(*words, "--json").stdout)


def process(*words: object, before: str = "", **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
    """``updatectl publish`` in a process of its own, in which ``before`` runs first."""
    program = f"import sys\n{before}\nfrom update_agent.entry import main\nsys.argv[0] = 'updatectl'\nmain()"
    argv = [sys.executable, "-c", program, "publish", *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(argv, text=True, check=False, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a repository."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(machine: Repository, folder: Path, release: Release) -> bytes:
    """The image that a machine makes of the frames."""
    index, blob = Index.parse(machine.read(release.index)), (folder / "blobs" / release.blob).read_bytes()
    return b"".join(apply_segment(one, blob[one.offset : one.end], nothing) for one in index.segments)


def nothing(offset: int, length: int) -> bytes:
    raise AssertionError(f"{length} bytes from {offset} of an old image are asked for")


def made_of(machine: Repository, folder: Path, delta: Delta, old: bytes) -> bytes:
    """The image that a machine makes of a difference and its old image."""
    index, blob = DeltaIndex.parse(machine.read(delta.index)), (folder / "blobs" / delta.blob).read_bytes()
    return b"".join(
        apply_segment(one, blob[one.offset : one.end], lambda offset, length: old[offset : offset + length])
        for one in index.segments
    )
