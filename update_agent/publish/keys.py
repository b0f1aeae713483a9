"""Keys in files: ed25519, PKCS#8 in PEM, mode 0600. Which file is which role's key follows from the root, not from its name.

A file may have a passphrase. One that nobody gave is no mistake as long as the key in it is not needed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from update_agent.publish.errors import KeyFileError, KeyLockedError, KeysMissingError
from update_agent.publish.plan import ONLINE
from update_agent.repository.files import settle, store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tuf.api.metadata import Root

    from update_agent.repository.files import Files

TEXT_FILE = "KEYS.txt"
_LARGEST = 1 << 16


class Keyring:
    """The private keys that are at hand, from several folders: the pipeline's, and a disk that is plugged in for the occasion.

    ``passphrases`` open files, each any of them. With the first one, new keys are closed of roles that sign offline; a timer uses
    the others, and whoever reads its files would find its passphrase beside them.
    """

    def __init__(self, folders: Sequence[Path], files: Files, passphrases: Sequence[bytes] = ()) -> None:
        self._folders, self._files, self._passphrases = tuple(folders), files, tuple(passphrases)
        self._new: dict[Path, CryptoSigner] = {}
        self._closed: set[Path] = set()
        # By content, since a passphrase costs some tenths of a second each time.
        self._known: dict[bytes, CryptoSigner] = {}

    def signers(self, root: Root, role: str) -> list[CryptoSigner]:
        """The keys of a role that are here, as many as it needs or more. Raises KeysMissingError, KeyFileError."""
        found, wanted = self.available(root, role), root.roles[role]
        if len(found) < wanted.threshold:
            raise KeysMissingError(role, len(found), wanted.threshold, wanted.keyids, self._folders, self._locked())
        return found

    def available(self, root: Root, role: str) -> list[CryptoSigner]:
        """The keys of a role that are here, be they none. Raises KeyFileError."""
        here = {signer.public_key.keyid: signer for signer in self._signers().values()}
        return [here[keyid] for keyid in root.roles[role].keyids if keyid in here]

    def make(self, role: str, number: int) -> list[CryptoSigner]:
        """``number`` new keys for a role, which ``save`` puts into new files of the first folder."""
        return [self._made(self._unused(role), role) for _ in range(number)]

    def save(self) -> None:
        """Write the keys that were made; before the metadata that trust them. Raises KeyFileError."""
        for path, signer in self._new.items():
            self._store(path, self._encoded(path, signer), 0o600)
        self._new.clear()

    def forget(self) -> None:
        """Drop the keys that were made and not saved."""
        self._new.clear()

    def first(self, role: str, number: int) -> list[CryptoSigner]:
        """The keys of a repository that is made now: those of an --init that was cut off are used again."""
        paths = [self._folders[0] / f"{role}-{place}.pem" for place in range(1, number + 1)]
        return [self._opened(path) if path.exists() else self._made(path, role) for path in paths]

    def describe(self, text: str) -> None:
        """Lay a text beside the keys."""
        self._store(self._folders[0] / TEXT_FILE, text.encode(), 0o644)

    def names(self, keyids: Sequence[str]) -> list[str]:
        """The files that hold these keys, or will."""
        return [path.name for path, signer in self._signers().items() if signer.public_key.keyid in keyids]

    def _signers(self) -> Mapping[Path, CryptoSigner]:
        found = {}
        for path in self._paths():
            with suppress(KeyLockedError):
                found[path] = self._opened(path)
        return found | self._new

    def _locked(self) -> list[Path]:
        opened = self._signers()
        return [path for path in self._paths() if path not in opened]

    def _paths(self) -> list[Path]:
        return sorted(path for folder in self._folders for path in folder.glob("*.pem"))

    def _opened(self, path: Path) -> CryptoSigner:
        data = _content(path)
        if data not in self._known:
            self._known[data] = self._unlocked(path, data)
        return self._known[data]

    def _unlocked(self, path: Path, data: bytes) -> CryptoSigner:
        for passphrase in (None, *self._passphrases):
            try:
                key = load_pem_private_key(data, passphrase)
            except TypeError:  # it wants a passphrase
                continue
            except ValueError as error:
                if passphrase is None:
                    raise KeyFileError(path, f"no private key in PEM: {error}") from error
                continue
            if not isinstance(key, Ed25519PrivateKey):
                raise KeyFileError(path, "no ed25519 key")
            return CryptoSigner(key)
        raise KeyLockedError(path, given=bool(self._passphrases))

    def _unused(self, role: str) -> Path:
        place = 1
        while any((path := folder / f"{role}-{place}.pem").exists() or path in self._new for folder in self._folders):
            place += 1
        return self._folders[0] / f"{role}-{place}.pem"

    def _made(self, path: Path, role: str) -> CryptoSigner:
        self._new[path] = CryptoSigner(Ed25519PrivateKey.generate())
        if self._passphrases and role not in ONLINE:
            self._closed.add(path)
        return self._new[path]

    def _encoded(self, path: Path, signer: CryptoSigner) -> bytes:
        data = signer.private_bytes
        if path not in self._closed:
            return data
        key = load_pem_private_key(data, None)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(self._passphrases[0]))

    def _store(self, path: Path, data: bytes, mode: int) -> None:
        try:
            self._files.make_folder(path.parent, 0o700)
            store(self._files, path, data, mode)
            settle(self._files, path.parent)
        except OSError as error:
            raise KeyFileError(path, error.strerror or str(error)) from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise KeyFileError(path, error.strerror or str(error)) from error
