"""The command ``image-builder``."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bootselect.click_support import ErrorGroup
from image_builder import __version__
from image_builder.cli.cache import cache
from image_builder.cli.convert import convert
from image_builder.errors import BuildError
from image_builder.progress import progress_for
from image_builder.stop import stoppable


class _Group(ErrorGroup):
    errors = (*ErrorGroup.errors, BuildError)
    encoding = None  # a drawing shows whether the terminal can express it

    def main(self, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401  (click's own signature)
        """Run the program; a signal ends it without leaving anything half-written behind."""
        with stoppable("image-builder"):
            return super().main(*args, **keywords)

    def lines_of(self, error: Exception) -> list[str]:
        """The error of a tool quotes what the tool said, line by line."""
        if isinstance(error, OSError):
            return [f"{error.filename or 'the build'}: {error.strerror or error}"]
        return str(error).split("\n") if isinstance(error, BuildError) else super().lines_of(error)


def _files_by_path(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Path]:
    files = {}
    for text in given:
        path, _, file = text.partition("=")
        if not path or not file:
            raise click.BadParameter(f"{text!r} is not /PATH/IN/SLOT=FILE.", context, parameter)
        files[path] = Path(file)
    return files


_DEFINITION = click.argument("definition", type=click.Path(path_type=Path))
_OUTPUT = click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
_VERSION = click.option("--version", help="Version of the slot, in place of the definition's.")
_SLOT = click.option("--slot", metavar="NAME", help="The slot that is meant, where the definition has several.")
_FILES = click.option(
    "--file",
    "files",
    multiple=True,
    callback=_files_by_path,
    metavar="/PATH/IN/SLOT=FILE",
    help="Lay FILE over the slot, beside the definition's [slot.NAME.files]; can be given more than once.",
)
_REFRESH = click.option("--refresh", is_flag=True, help="Look for newer packages of the target distribution.")
_JSON = click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")


@click.group("image-builder", cls=_Group)
@click.version_option(__version__)
def main() -> None:
    """Build disk images with A/B slots, and updates for them, without root.

    Exit codes: 0 done, 1 refused or failed, 2 usage.
    """


main.add_command(convert)
main.add_command(cache)


@main.command()
@_DEFINITION
@_OUTPUT
@_SLOT
@_VERSION
@_FILES
@_REFRESH
@_JSON
def build(
    definition: Path,
    output: Path,
    slot: str | None,
    version: str | None,
    files: dict[str, Path],
    refresh: bool,
    as_json: bool,
) -> None:
    """Build the disk image of DEFINITION, a TOML file, as NAME.raw and in the formats that it asks for.

    What the image needs of its target distribution (kernel, interpreter, BusyBox) is fetched with apt into a cache and never
    installed. The cache is $SLOTBOOT_CACHE, else $XDG_CACHE_HOME/slotboot, else ~/.cache/slotboot.
    """
    from image_builder.api import build_image

    built = build_image(
        definition, output, slot=slot, version=version, files=files, progress=progress_for(), refresh=refresh
    )
    if not as_json:
        for path in built.outputs.values():
            click.echo(path)
        return
    outputs = {name: str(path) for name, path in built.outputs.items()}
    fields = {"path": str(built.path), "name": built.name, "version": built.version, "size": built.size}
    _answer({**fields, "outputs": outputs, "sha256": built.sha256}, as_json=True)


@main.command()
@_DEFINITION
@_OUTPUT
@_SLOT
@_VERSION
@_FILES
@_REFRESH
@_JSON
def artifacts(
    definition: Path,
    output: Path,
    slot: str | None,
    version: str | None,
    files: dict[str, Path],
    refresh: bool,
    as_json: bool,
) -> None:
    """Build an update for machines that run DEFINITION: of the very bytes that 'build' puts into its slots.

    NAME_VERSION_SLOT.slot is the slot, .update its medium for 'updatectl install', .json its manifest, .spdx.json the list of its
    packages where that is known; SHA256SUMS holds their checksums.
    """
    from image_builder.api import build_artifact

    built = build_artifact(
        definition, output, slot=slot, version=version, files=files, progress=progress_for(), refresh=refresh
    )
    fields: dict[str, object] = {
        "slot": str(built.slot),
        "medium": str(built.medium),
        "manifest": str(built.manifest),
        "packages": str(built.packages) if built.packages else None,
        "checksums": str(built.checksums),
        "name": built.name,
        "version": built.version,
        "size": built.size,
        "sha256": built.sha256,
        "fill": built.fill,
    }
    _answer(fields, as_json=as_json)


@main.command("initrd")
@_DEFINITION
@_OUTPUT
@_REFRESH
@_JSON
def initrd(definition: Path, output: Path, refresh: bool, as_json: bool) -> None:
    """Write kernel, initramfs and command line of DEFINITION, for another boot loader, as NAME.vmlinuz, .initramfs, .cmdline."""
    from image_builder.api import build_initrd

    built = build_initrd(definition, output, progress=progress_for(), refresh=refresh)
    if as_json:
        click.echo(json.dumps({name: str(path) for name, path in asdict(built).items()}, indent=2))
    else:
        for path in asdict(built).values():
            click.echo(path)


@main.command("grub-cfg")
@_DEFINITION
@click.option("--gptprio", is_flag=True, help="For a GRUB that chooses the slot itself (CoreOS's and Flatcar's).")
def grub_cfg(definition: Path, gptprio: bool) -> None:
    """Print a grub.cfg that boots DEFINITION's kernel and initramfs from /slotboot on its EFI system partition."""
    from image_builder.definition.load import load_definition
    from image_builder.loader.grub import grub_cfg_for

    click.echo(grub_cfg_for(load_definition(definition), gptprio=gptprio), nl=False)


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--svg", "as_svg", is_flag=True, help="For documents: a drawing as SVG.")
@_JSON
def show(image: Path, as_svg: bool, as_json: bool) -> None:
    """Draw the partitions of IMAGE, a disk or an image file."""
    from image_builder.show import draw, examine, without_boxes

    if as_svg and as_json:
        raise click.UsageError("--svg and --json are two answers; give one of them.")
    disk = examine(image)
    if as_svg:
        from image_builder.svg import draw_svg

        click.echo(draw_svg(disk).encode(), nl=False)
    elif as_json:
        click.echo(json.dumps(disk.to_json(), indent=2))
    else:
        text = draw(disk, shutil.get_terminal_size().columns)
        click.echo(text if _can_show(text) else without_boxes(text))


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _answer(fields: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    for name, value in fields.items():
        if name in {"slot", "medium", "manifest", "packages", "checksums"} and value:
            click.echo(value)
