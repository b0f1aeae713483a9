"""``image-builder convert``: a disk image in the formats that machines and clouds take."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from image_builder.output.kinds import OUTPUTS

_FORMATS = "\b\n" + "\n".join(f"{output.name:6} {output.about}" for output in OUTPUTS.values())


@click.command(epilog=_FORMATS)
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "-f",
    "--format",
    "formats",
    required=True,
    multiple=True,
    type=click.Choice(list(OUTPUTS)),
    help="What to write; can be given more than once.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")
def convert(image: Path, formats: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Write IMAGE, a disk image that 'image-builder build' made, in other formats, as NAME and the ending of each.

    Same image, same bytes: what a format has of times is $SOURCE_DATE_EPOCH, else that of the builder.
    """
    from image_builder.output.convert import convert_image
    from image_builder.run import SystemRunner

    written = convert_image(SystemRunner(), image, formats, output, environ=os.environ)
    if as_json:
        click.echo(json.dumps({name: str(path) for name, path in written.items()}, indent=2))
    else:
        for path in written.values():
            click.echo(path)
