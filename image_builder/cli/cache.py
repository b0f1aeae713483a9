"""The commands ``image-builder cache``."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say, warn
from image_builder.progress import progress_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from image_builder.cache import Kept

_DAY = 86400
_JSON = click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")


@click.group()
def cache() -> None:
    """See, check and clear away what builds keep in the cache: $SLOTBOOT_CACHE, else $XDG_CACHE_HOME/slotboot, else ~/.cache/slotboot."""


@cache.command("list")
@_JSON
def list_command(as_json: bool) -> None:
    """List the pieces: kind, name, size, age, and when a build used them last."""
    from image_builder.cache import cache_root, list_cache

    kept, now = list_cache(cache_root()), time.time()
    if as_json:
        click.echo(json.dumps({"root": str(cache_root()), "pieces": [_fields(piece) for piece in kept]}, indent=2))
        return
    rows = [("KIND", "NAME", "SIZE", "AGE", "LAST USED")]
    rows += [(p.kind, p.name, _mib(p.size), _ago(now - p.made), f"{_ago(now - p.used)} ago") for p in kept]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        say("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
    say(f"{len(kept)} pieces, {_mib(_total(kept))}, in {cache_root()}")


@cache.command()
@_JSON
@click.pass_context
def verify(context: click.Context, as_json: bool) -> None:
    """Read everything and compare it with what was stored. Exits 1 where something is damaged; the next build makes it again."""
    from image_builder.cache import cache_root, list_cache, verify_cache

    damaged = verify_cache(cache_root(), progress_for() if not as_json else None)
    unrecorded = [kept.path for kept in list_cache(cache_root()) if not kept.recorded]
    if as_json:
        found = [{"path": str(damage.path), "what": damage.what} for damage in damaged]
        click.echo(json.dumps({"damaged": found, "unrecorded": [str(path) for path in unrecorded]}, indent=2))
    else:
        for damage in damaged:
            say(f"{damage.path}: damaged: {damage.what}")
        say(f"{len(damaged) or 'nothing'} damaged")
    context.exit(1 if damaged else 0)


@cache.command()
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Only what no build has used for DAYS."
)
@click.option("--unused", is_flag=True, help="Only packages that were replaced, and what another version has made.")
@_JSON
def clean(older_than: float | None, unused: bool, as_json: bool) -> None:
    """Remove everything, or what the options name; never what a build is using at this moment.

    With both options, what either of them names is removed.
    """
    from image_builder.cache import cache_root
    from image_builder.cache import clean as clean_cache

    seconds = None if older_than is None else older_than * _DAY
    done = clean_cache(cache_root(), older_than=seconds, unused=unused)
    if as_json:
        answer = {"removed": [_fields(kept) for kept in done.removed], "held": [_fields(kept) for kept in done.held]}
        click.echo(json.dumps(answer, indent=2))
        return
    for kept in done.held:
        warn(f"{kept.path}: a build is using it; it stays")
    say(f"{len(done.removed)} pieces removed, {_mib(_total(done.removed))}")


def _fields(kept: Kept) -> dict[str, object]:
    return {**asdict(kept), "path": str(kept.path)}


def _total(pieces: Iterable[Kept]) -> int:
    return sum(kept.size for kept in pieces)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _ago(seconds: float) -> str:
    for unit, length in (("d", _DAY), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
