"""A disk image in several formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.disk import Disk
from image_builder.epoch import build_epoch
from image_builder.output.kinds import output_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from image_builder.run import Runner


def convert_image(
    runner: Runner, image: Path, formats: Iterable[str], folder: Path, *, environ: Mapping[str, str]
) -> dict[str, Path]:
    """Write ``image``, a raw disk with a GPT, into ``folder`` in each of the formats; returns the files by their formats.

    All programs are looked for before anything is written. Raises UnknownOutputError, MissingToolError, EpochError, gptlib's errors for what
    is no disk image, and what ``Output.write`` raises: the formats before that one are then there, whole.
    """
    outputs = [output_of(name) for name in dict.fromkeys(formats)]
    epoch = build_epoch(environ)
    for output in outputs:
        for tool in output.tools:
            runner.tool(tool)
    with Disk.open(image) as disk:
        disk.table()
    written = {output.name: folder / f"{_stem(image)}{output.ending}" for output in outputs}
    for output in outputs:
        output.write(runner, image, written[output.name], epoch=epoch)
    return written


def _stem(image: Path) -> str:
    return image.name.removesuffix(".raw").removesuffix(".img")
