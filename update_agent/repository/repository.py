"""The machine's half of a repository: what it offers, as far as that is signed, current and complete."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from tuf.api import exceptions as wrong
from tuf.api.metadata import TargetFile

from update_agent.errors import UpdateError
from update_agent.repository.client import ROLES, Client
from update_agent.repository.clock import Clock
from update_agent.repository.errors import (
    BootstrapError,
    ExpiredError,
    MetadataError,
    MismatchError,
    ReleaseError,
    RollbackError,
    SignatureError,
    StateError,
)
from update_agent.repository.files import Files, locked
from update_agent.repository.release import INDEX_SUFFIX, Release, Target, parse_release

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from update_agent.repository.fetcher import Fetcher
    from update_agent.transport.source import Source

METADATA, TARGETS, BLOBS = "metadata", "targets", "blobs"
"""The folders of a repository."""
BLOCK = "slotboot"
"""The key in the custom block of a target."""
_HASH = 64


@dataclass(frozen=True)
class Trusted:
    """What a repository says now. ``refused``: targets that are no release for this program, each with the reason.

    ``expires``: for each role the date (UTC) until which it is believed; ``versions``: of the metadata, by role.
    """

    releases: tuple[Release, ...]
    refused: tuple[ReleaseError, ...]
    expires: Mapping[str, datetime]
    versions: Mapping[str, int]


class Repository:
    """A repository at ``url`` (the folder that holds metadata/, targets/ and blobs/), seen from ``bootstrap`` on.

    ``state`` may be empty, wiped or damaged: all that is in it is checked against ``bootstrap``, the root.json that the system was
    built with, and fetched anew where it is missing. ``floor`` is a date that has certainly passed, that of the build: a clock that
    is before it does not count. ``wait``: seconds to wait for another process in ``state``. Whoever made ``fetcher`` closes it.
    """

    def __init__(
        self,
        url: str,
        state: Path,
        bootstrap: bytes,
        fetcher: Fetcher,
        *,
        floor: datetime,
        clock: Clock | None = None,
        files: Files | None = None,
        wait: float = 300,
    ) -> None:
        self._url, self._state, self._bootstrap, self._fetcher = url.rstrip("/"), state, bootstrap, fetcher
        self._floor, self._clock, self._files, self._wait = floor, clock or Clock(), files or Files(), wait

    def refresh(self) -> Trusted:
        """Fetch what is new and check all of it. Raises a TransportError, a TrustError, StateError, BusyError.

        On the disk afterwards, whatever was raised: metadata that were checked, each file the old or the new one.
        """
        now = max(self._clock.now(), self._floor)
        try:
            self._files.make_folder(self._state)
            with locked(self._state, self._wait, self._clock):
                self._fetcher.begin()
                client = self._client(now)
                with self._explained(client, now):
                    client.refresh()
                return self._trusted(client)
        except OSError as error:
            raise StateError(str(error.filename or self._state), error.strerror or str(error)) from error

    def read(self, target: Target) -> bytes:
        """The bytes of a small signed file: an index. Raises a TransportError, MismatchError."""
        # Quoted: there are servers for which + is a space.
        url = f"{self._url}/{TARGETS}/{target.sha256}.{quote(target.name, safe='')}"
        self._fetcher.begin()
        data = self._fetcher.download_bytes(url, target.length)
        try:
            _tuf_target(target).verify_length_and_hashes(data)
        except wrong.LengthOrHashMismatchError as error:
            raise MismatchError(url, str(error)) from error
        return data

    def blob_url(self, blob: str) -> str:
        """Where the bulk data of a release or a delta are. Nothing that comes from there is to be believed but by its index."""
        return f"{self._url}/{BLOBS}/{blob}"

    def open_blob(self, blob: str) -> Source:
        """Those data, with the patience of the network. Raises a TransportError, here or while they are read."""
        return self._fetcher.source(self.blob_url(blob))

    def _client(self, now: datetime) -> Client:
        url = f"{self._url}/{METADATA}/"
        try:
            return Client(self._state, url, self._fetcher, self._bootstrap, now, self._files)
        except wrong.RepositoryError as error:
            raise BootstrapError(self._url, _one_line(error)) from error

    @contextmanager
    def _explained(self, client: Client, now: datetime) -> Iterator[None]:
        """The errors of tuf as ours."""
        try:
            yield
        except UpdateError:
            raise
        except wrong.ExpiredMetadataError as error:
            raise self._expired(client, now) from error
        except wrong.UnsignedMetadataError as error:
            raise SignatureError(self._url, f"{error}; nothing of it is believed") from error
        except wrong.BadVersionNumberError as error:
            raise RollbackError(self._url, f"versions that do not follow those of before: {error}") from error
        except wrong.LengthOrHashMismatchError as error:
            raise MismatchError(self._url, f"metadata that do not belong together: {error}") from error
        except wrong.RepositoryError as error:
            raise MetadataError(self._url, f"no usable metadata: {_one_line(error)}") from error

    def _expired(self, client: Client, now: datetime) -> ExpiredError:
        for role in ROLES:
            signed = client.signed(role)
            if signed is not None and signed.is_expired(now):
                return ExpiredError(self._url, role, signed.expires, now)
        # Only targets are not kept where they have expired, and so their date is not known.
        return ExpiredError(self._url, "targets", None, now)

    def _trusted(self, client: Client) -> Trusted:
        targets, releases, refused = {}, [], []
        found = client.trusted_targets()
        for name, file in found.items():
            try:
                targets[name] = _checked(name, file)
            except ReleaseError as error:
                refused.append(error)
        for name, target in targets.items():
            if not name.endswith(INDEX_SUFFIX):
                continue
            try:
                releases.append(parse_release(target, _block(found[name]), targets))
            except ReleaseError as error:
                refused.append(error)
        signed = {role: client.signed(role) for role in ROLES}
        return Trusted(
            tuple(sorted(releases, key=lambda release: release.index.name)),
            tuple(refused),
            {role: one.expires for role, one in signed.items() if one is not None},
            {role: one.version for role, one in signed.items() if one is not None},
        )


def _checked(name: str, file: TargetFile) -> Target:
    """A target whose name is that of a file in one folder. Raises ReleaseError."""
    if "/" in name or name.startswith(".") or not name.isascii() or not name.isprintable():
        raise ReleaseError(name, "that is no name of a file in the folder targets/")
    sha256 = file.hashes.get("sha256", "")
    if len(sha256) != _HASH or sha256.strip("0123456789abcdef"):
        raise ReleaseError(name, "it has no SHA-256")
    # Not isinstance: True is an int.
    if type(file.length) is not int:
        raise ReleaseError(name, "it has no length in bytes")
    return Target(name, file.length, sha256)


def _block(file: TargetFile) -> object:
    custom = file.custom
    return custom.get(BLOCK) if isinstance(custom, dict) else None


def _tuf_target(target: Target) -> TargetFile:
    return TargetFile(target.length, {"sha256": target.sha256}, target.name)


def _one_line(error: Exception) -> str:
    cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return " ".join(f"{error}{cause}".split())[:300]
