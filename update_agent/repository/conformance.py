"""The command line that the public suite ``tuf-conformance`` runs a client by: ours, with its fetcher, clock and state folder.

``--metadata-dir D init ROOT``, ``--metadata-url U refresh``, ``--metadata-url U --target-name T --target-base-url B --target-dir TD
download``; exit code 0 where all of it succeeded, else 1 with one line on standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api import exceptions as wrong

from update_agent.errors import UpdateError
from update_agent.repository.client import Client
from update_agent.repository.clock import Clock
from update_agent.repository.fetcher import HttpFetcher
from update_agent.repository.files import Files, locked, settle, store
from update_agent.transport.network import Network
from update_agent.transport.retry import Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOOTSTRAP = "bootstrap"
"""The root that ``init`` was given. Without ``.json``: the suite takes files with that for metadata that are trusted."""
_WAIT = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "init":
            _init(options.metadata_dir, options.trusted_root)
        else:
            _client_command(options)
    except (UpdateError, wrong.RepositoryError, wrong.DownloadError, OSError) as error:
        sys.stderr.write(f"{options.command}: {type(error).__name__}: {error}\n")
        return 1
    return 0


def _init(folder: Path, root: Path) -> None:
    files = Files()
    files.make_folder(folder)
    store(files, folder / _BOOTSTRAP, root.read_bytes())
    store(files, folder / "root.json", root.read_bytes())
    settle(files, folder)


def _client_command(options: argparse.Namespace) -> None:
    clock, folder = Clock(), options.metadata_dir
    with locked(folder, _WAIT, clock), HttpFetcher(Network(patience=Patience(failures=1))) as fetcher:
        client = Client(
            folder,
            options.metadata_url,
            fetcher,
            (folder / _BOOTSTRAP).read_bytes(),
            clock.now(),
            Files(),
            target_dir=options.target_dir,
            target_base_url=options.target_base_url,
        )
        client.refresh()
        if options.command == "download":
            _download(client, options.target_name)


def _download(client: Client, name: str) -> None:
    target = client.get_targetinfo(name)
    if target is None:
        raise wrong.RepositoryError(f"there is no target {name!r}")
    if client.find_cached_target(target) is None:
        client.download_target(target)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m update_agent.repository.conformance", description=__doc__)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name")
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser


if __name__ == "__main__":
    sys.exit(main())
