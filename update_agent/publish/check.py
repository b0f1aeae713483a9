"""Looks at a published repository as a machine would that has never seen it: from the first root on, every small file."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from update_agent.publish.errors import NoRepositoryError
from update_agent.repository.clock import Clock
from update_agent.repository.errors import MismatchError
from update_agent.repository.fetcher import LONGEST, HttpFetcher
from update_agent.repository.folder import FolderFetcher
from update_agent.repository.repository import METADATA, Repository, Trusted
from update_agent.transport.errors import TransportError
from update_agent.transport.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from update_agent.publish.payloads import Payloads
    from update_agent.repository.fetcher import Fetcher
    from update_agent.repository.release import Release, Target

    Judge = Callable[[bytes], Iterable[str]]

_NO_FLOOR = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Report:
    """What a machine sees. ``problems``: files that it would ask for in vain, or not believe, one line each."""

    trusted: Trusted
    files: int
    problems: tuple[str, ...]


def check(
    source: Path | str,
    bootstrap: bytes | None = None,
    clock: Clock | None = None,
    fetcher: Fetcher | None = None,
    payloads: Payloads | None = None,
) -> Report:
    """Check a repository in a folder or at a URL. ``bootstrap``: the root.json that is built into the machines.

    Without it the repository's own first root is believed, which says that the repository is whole, but not whose it is.
    ``payloads`` judges the indexes and what is behind them; without it one byte of each blob is asked for, as machines ask: a server has to
    know ranges, and says the length. Raises a TransportError, a TrustError.
    """
    clock = clock or Clock()
    with ExitStack() as closing:
        if isinstance(source, Path):
            if not source.is_dir():
                raise NoRepositoryError(source, "there is no such folder")
            url = source.resolve().as_uri()
        else:
            url = source.rstrip("/")
        fetcher = fetcher or closing.enter_context(_fetcher(source, clock))
        state = closing.enter_context(tempfile.TemporaryDirectory())
        if bootstrap is None:
            bootstrap = fetcher.download_bytes(f"{url}/{METADATA}/1.root.json", LONGEST)
        repository = Repository(url, Path(state), bootstrap, fetcher, floor=_NO_FLOOR, clock=clock)
        trusted = repository.refresh()
        problems = [str(error) for error in trusted.refused]
        files = 0
        for release in trusted.releases:
            for target, judge in _small_files(release, payloads):
                files += 1
                try:
                    data = repository.read(target)
                except (TransportError, MismatchError) as error:
                    problems.append(str(error))
                else:
                    problems += judge(data)
            problems += _blob_problems(repository, release)
    return Report(trusted, files, tuple(problems))


def _fetcher(source: Path | str, clock: Clock) -> Fetcher:
    if isinstance(source, Path):
        return FolderFetcher(source)
    return HttpFetcher(Network(now=clock.now, clock=clock.monotonic, sleep=clock.sleep))


def _small_files(release: Release, payloads: Payloads | None) -> Iterator[tuple[Target, Judge]]:
    """Each with what judges its content."""
    if payloads is None:
        yield from ((target, _believe) for target in (release.index, *(delta.index for delta in release.deltas)))
        return
    yield release.index, partial(payloads.of_release, release)
    for delta in release.deltas:
        yield delta.index, partial(payloads.of_delta, release, delta)


def _believe(_: bytes) -> Iterable[str]:
    return ()


def _blob_problems(repository: Repository, release: Release) -> Iterator[str]:
    for blob, size in ((release.blob, release.compressed), *((one.blob, one.compressed) for one in release.deltas)):
        try:
            found = repository.open_blob(blob).size()
        except TransportError as error:
            yield str(error)
        else:
            if found != size:
                yield f"{repository.blob_url(blob)}: it has {found} bytes, and the release {release.index.name} says {size}"
