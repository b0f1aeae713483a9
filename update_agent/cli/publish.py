"""``updatectl publish``: the pipeline's side, which makes and changes a repository in a folder.

What signs is imported where it is needed: it is not on the machines.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say, show_what_was_done, warn
from update_agent.cli import publish_options as options
from update_agent.cli import publish_shown as shown
from update_agent.cli.progress import progress

if TYPE_CHECKING:
    from update_agent.publish.publisher import Publisher
    from update_agent.stop import Stopper

_HOLDS = "readers see the repository of before or the new one"
_SHORTEST = 8
"""Digits of a key's id that stand for it."""


@click.group("publish", cls=options.VerbGroup)
@click.pass_obj
def publish(stopper: Stopper | None) -> None:
    """Make and change a repository of updates: a signed folder for any web server.

    REPOSITORY is the folder that the web server serves. Whatever happens, machines see the repository of before or the new one. Each
    command may be written as an option, too: publish REPOSITORY --check.
    """
    if stopper is not None:
        stopper.now(_HOLDS)


@publish.command()
@options.repository
@options.keys()
@click.option(
    "--role",
    "roles",
    type=options.role,
    multiple=True,
    metavar="ROLE=KEYS/THRESHOLD/DAYS",
    help="Other numbers of keys than root=3/2/730, targets=1/1/365, snapshot=1/1/30, timestamp=1/1/7.",
)
def init(
    repository: Path,
    keys: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    roles: tuple[tuple[str, int, int, int], ...],
) -> None:
    """Make keys and an empty repository, and say where each key belongs.

    With a passphrase, the keys of root and targets are closed with it; a timer uses the others.
    """
    publisher = options.open_publisher(repository, keys, passphrase_files)
    text = publisher.init(options.plan_of(roles))

    def show() -> None:
        for line in text.splitlines():
            say(line)

    show_what_was_done(show)


@publish.command()
@options.repository
@click.argument("artifacts", type=options.FOLDER)
@options.keys()
@click.option("--group", "groups", multiple=True, required=True, help="Who is offered it; may be given several times.")
@options.waves
@click.option("--minimum-version", metavar="VERSION", help="Machines below this version must take another one first.")
@click.option(
    "--deltas",
    type=click.IntRange(0, 20),
    default=3,
    show_default=True,
    help="Differences, from so many of the releases before.",
)
@options.as_json
def add(
    repository: Path,
    artifacts: Path,
    keys: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    groups: tuple[str, ...],
    waves: tuple[dict[str, object], ...],
    minimum_version: str | None,
    deltas: int,
    as_json: bool,
) -> None:
    """Publish the update that image-builder artifacts wrote.

    ARTIFACTS is the folder, or the manifest (NAME_VERSION_SLOT.json) where the folder has several updates. The same update again changes
    nothing.
    """
    publisher = options.open_publisher(repository, keys, passphrase_files)
    api = options.publishing()
    update, terms = api.read_artifacts(artifacts), api.Terms(groups, waves, minimum_version)
    with progress(quiet=as_json) as report:
        added = api.ReleaseMaker(repository, publisher, report).add(update, terms, deltas)
    for version, reason in added.left_out.items():
        warn(f"no delta from {version}: {reason}")
    show_what_was_done(lambda: shown.added(added, as_json=as_json))


@publish.command()
@options.repository
@click.argument("version")
@click.argument("group")
@options.name
@options.keys()
@options.waves
@options.as_json
def promote(
    repository: Path,
    version: str,
    group: str,
    name: str | None,
    keys: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    waves: tuple[dict[str, object], ...],
    as_json: bool,
) -> None:
    """Offer a release to one more group. Nothing is uploaded again. Waves replace those that the release has."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    changed = publisher.promote(_name(publisher, repository, name, version), version, group, waves or None)
    show_what_was_done(lambda: shown.releases(changed, as_json=as_json))


@publish.command()
@options.repository
@click.argument("version")
@click.argument("group", required=False)
@options.name
@options.keys()
@options.as_json
def withdraw(
    repository: Path,
    version: str,
    group: str | None,
    name: str | None,
    keys: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Offer a release no more, to a group or to nobody. Machines that run it are not touched; prune removes its files."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    gone = publisher.withdraw(_name(publisher, repository, name, version), version, group)
    show_what_was_done(lambda: shown.withdrawn(gone, group, as_json=as_json))


@publish.command()
@options.repository
@options.keys()
@options.as_json
def refresh(repository: Path, keys: tuple[Path, ...], passphrase_files: tuple[Path, ...], as_json: bool) -> None:
    """Sign again what would expire: for a timer, every day. Needs the keys of timestamp and snapshot only."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    expiries = publisher.refresh()
    for one in expiries:
        if one.due:
            warn(f"{one.role} holds until {one.expires:%Y-%m-%d}: run refresh with its keys soon")
    show_what_was_done(lambda: shown.expiries(expiries, as_json=as_json))


@publish.command()
@options.repository
@click.argument("role", type=click.Choice(["root", "targets", "snapshot", "timestamp"]))
@click.option("--key", "keyid", metavar="ID", help="This key only, by its id or the first 8 digits of it.")
@options.keys()
@options.as_json
def rotate(
    repository: Path,
    role: str,
    keyid: str | None,
    keys: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Replace the keys of ROLE by new ones: where one was lost or stolen, and for routine."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    done = publisher.rotate(role, None if keyid is None else _keyid(publisher, keyid))
    show_what_was_done(lambda: shown.rotations([done], publisher.key_files(), as_json=as_json))


@publish.command()
@options.repository
@click.argument("keyid", metavar="KEYID")
@options.keys()
@options.as_json
def revoke(
    repository: Path, keyid: str, keys: tuple[Path, ...], passphrase_files: tuple[Path, ...], as_json: bool
) -> None:
    """Take a key from every role that has it. KEYID is its id or the first 8 digits of it; list shows them."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    done = publisher.revoke(_keyid(publisher, keyid))
    show_what_was_done(lambda: shown.rotations(done, {}, as_json=as_json))


@publish.command("list")
@options.repository
@options.keys(required=False)
@options.as_json
def list_(repository: Path, keys: tuple[Path, ...], passphrase_files: tuple[Path, ...], as_json: bool) -> None:
    """Show releases, until when each role holds, and the ids of the keys; with --keys also the files that hold these."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    shown.repository(
        publisher.releases(), publisher.expiries(), publisher.keys(), publisher.key_files(), as_json=as_json
    )


@publish.command()
@click.argument("repository")
@click.option("--root", type=options.FOLDER, help="The root.json that is built into the machines.")
@click.option("--deep", is_flag=True, help="Read all bulk data, too: frames, images and SHA-256.")
@options.as_json
def check(repository: str, root: Path | None, deep: bool, as_json: bool) -> None:
    """Verify a repository as a machine would that has never seen it. REPOSITORY is a folder or a URL.

    Without --root its own first root is believed, which says that it is whole, but not whose it is. Exits 1 where something is wrong.
    """
    api = options.publishing()
    is_url = repository.startswith(("http://", "https://"))
    place: Path | str = repository if is_url else Path(repository)
    bootstrap = None if root is None else root.read_bytes()
    with progress(quiet=as_json) as report, api.sources(place) as source_of:
        payloads = api.Payloads(source_of if deep else None, report)
        found = api.check(place, bootstrap, payloads=payloads)
    shown.checked(found, deep=deep, as_json=as_json)
    for problem in found.problems:
        warn(problem)
    if found.problems:
        click.get_current_context().exit(1)


@publish.command()
@options.repository
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="First withdraw all but the last N releases of each group, name and slot. Needs --keys.",
)
@click.option(
    "--grace",
    type=click.IntRange(0, 3650),
    default=14,
    show_default=True,
    metavar="DAYS",
    help="What metadata named within so many days stays.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@options.keys(required=False)
@options.as_json
def prune(
    repository: Path,
    keep: int | None,
    grace: int,
    dry_run: bool,
    keys: tuple[Path, ...],
    passphrase_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Remove bulk data and indexes that no machine can ask for any more. Roots and other metadata stay."""
    publisher = options.open_publisher(repository, keys, passphrase_files)
    api = options.publishing()
    if keep is not None and dry_run:
        gone = api.surplus(publisher.releases(), keep)
    else:
        gone = publisher.keep(keep) if keep is not None else ()
    pruned = api.prune(repository, grace=timedelta(days=grace), dry_run=dry_run, as_if_withdrawn=gone)
    show_what_was_done(lambda: shown.pruned(pruned, gone, dry_run=dry_run, as_json=as_json))


def _name(publisher: Publisher, repository: Path, name: str | None, version: str) -> str:
    """The name that is meant: the one that has this version. Raises NoReleaseError, and click.UsageError where it must be given."""
    if name is not None:
        return name
    names = sorted({one.name for one in publisher.releases() if one.version == version})
    if not names:
        raise options.publishing().NoReleaseError(repository, "of any name", version)
    if len(names) > 1:
        raise click.UsageError(f"there is a {version} of {', '.join(names)}: say which with --name")
    return names[0]


def _keyid(publisher: Publisher, text: str) -> str:
    """The whole id of the key that is meant; the text itself where there is none, or more than one."""
    every = {keyid for keyids in publisher.keys().values() for keyid in keyids}
    with suppress(ValueError):
        (found,) = [keyid for keyid in every if keyid.startswith(text) and len(text) >= _SHORTEST]
        return found
    return text
