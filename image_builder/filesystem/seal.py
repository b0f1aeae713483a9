"""Seals a slot: behind the file system, the block that ``bootselect.formats.seal`` describes, and the hash tree of dm-verity."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootselect.formats.seal import BLOCK, Seal, encode_seal, seal_offset
from image_builder.cache import working_folder
from image_builder.errors import ToolFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner

_ROOT_HASH = re.compile(r"^Root hash:\s+([0-9a-f]{64})$", re.MULTILINE)


def seal_image(runner: Runner, image: Path, *, uuid: str, salt: bytes) -> Seal:
    """Append seal and hash tree to the image of a file system; same image, UUID and salt, same bytes.

    Raises what ``Runner.run`` raises, and ToolFailedError when veritysetup names no root hash.
    """
    with image.open("rb") as stream:
        end = seal_offset(stream.read(BLOCK))
    blocks = end // BLOCK
    with working_folder(image.parent) as folder:
        hashes = folder / "hashes"
        sizes = [f"--data-blocks={blocks}", f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}"]
        fixed = ["--hash=sha256", f"--uuid={uuid}", f"--salt={salt.hex()}"]
        argv: list[str | Path] = ["veritysetup", "format", image, hashes, *sizes, *fixed]
        with image.open("r+b") as stream:
            stream.truncate(end)
        said = runner.run(argv).decode()
        found = _ROOT_HASH.search(said)
        if found is None:
            raise ToolFailedError([str(word) for word in argv], 0, "it named no root hash")
        # The tree's own superblock stands in the block after the seal; its first hash block in the one after that.
        seal = Seal(blocks, blocks + 2, bytes.fromhex(found[1]), salt)
        with image.open("r+b") as stream:
            stream.seek(end)
            stream.write(encode_seal(seal))
            stream.write(hashes.read_bytes())
    return seal
