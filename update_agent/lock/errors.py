"""Errors of the lock of a fleet. After any of them the machine does not reboot: what it holds or waits for, it still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Mapping


class LockError(UpdateError):
    """Base of the errors of the lock."""


class LockUnreachableError(LockError):
    """No endpoint answers, or none can say what holds in its cluster. Nothing was changed."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        told = (
            "; ".join(f"{endpoint}: {problem}" for endpoint, problem in problems.items()) or "no endpoint is configured"
        )
        super().__init__(f"the lock cannot be reached: {told}")
        self.problems = dict(problems)


class LockAmbiguousError(LockError):
    """A change was asked for, and the answer stayed away: it may have been made, or be made later. Read before it is repeated."""

    def __init__(self, endpoint: str, problem: str) -> None:
        super().__init__(
            f"{endpoint}: it is not known whether the lock was changed: {problem}; the next try looks first"
        )
        self.endpoint, self.problem = endpoint, problem


class LockBusyError(LockError):
    """The document was changed by others between each look and each change, for as long as there was time. Nothing was changed."""

    def __init__(self, key: str, tries: int) -> None:
        super().__init__(f"{key}: others changed it during each of {tries} tries; try again")
        self.key, self.tries = key, tries


class LockDeniedError(LockError):
    """The user, the password, or the rights of the user do not suffice. Nothing was changed."""

    def __init__(self, endpoint: str, message: str, remedy: str) -> None:
        super().__init__(f"{endpoint}: {message}; {remedy}")
        self.endpoint, self.message = endpoint, message


class LockCertificateError(LockError):
    """A file of certificates cannot be used, or the server is not whom it should be. Nothing was sent."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class CommonNameError(LockError):
    """The client certificate has a common name, and etcd's authentication is on. Nothing was changed."""

    def __init__(self, endpoint: str, certificate: str) -> None:
        super().__init__(
            f"{endpoint}: etcd does not take the certificate {certificate or 'of this client'}: with authentication on, one that has "
            "a common name (CN) is refused by its JSON gateway; use a certificate without CN, and locksmith.etcd-username with its "
            "password"
        )
        self.endpoint, self.certificate = endpoint, certificate


class LockRefusedError(LockError):
    """The server answers, and refuses. Nothing was changed."""

    def __init__(self, endpoint: str, message: str) -> None:
        super().__init__(f"{endpoint}: {message}")
        self.endpoint, self.message = endpoint, message


class LeaseGoneError(LockRefusedError):
    """The lease has ended, and with it what was bound to it. Nothing was changed."""


class EndpointError(LockError):
    """What is configured is no endpoint. Nothing was sent."""

    def __init__(self, endpoint: str, problem: str) -> None:
        super().__init__(f"{endpoint!r}: {problem}; expected an address such as http://10.0.0.1:2379")
        self.endpoint = endpoint


class GroupError(LockError):
    """The group cannot be a part of a key. Nothing was sent."""

    def __init__(self, group: str) -> None:
        super().__init__(f"{group!r} is no name of a group; expected any text but '.' and '..'")
        self.group = group


class DocumentError(LockError):
    """What stands at a key is no document of a lock. It is left as it is."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(
            f"{key}: no document of a lock: {problem}; look at it with 'etcdctl get', and remove or mend it"
        )
        self.key, self.problem = key, problem


class HolderExistsError(LockError):
    """The machine has a place already."""

    def __init__(self) -> None:
        super().__init__("holder exists")


class NoHolderError(LockError):
    """The machine has no place."""

    def __init__(self) -> None:
        super().__init__("holder does not exist")


class NoPlaceError(LockError):
    """All places are taken."""

    def __init__(self, available: int) -> None:
        super().__init__(f"semaphore is at {available}")
        self.available = available


class MaxError(LockError):
    """So many machines cannot be let in at once. Nothing was changed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{number} is no number of machines that may reboot at once; expected 1 or more")
        self.number = number


class NotStoppedError(LockError):
    """Nobody has stopped this version. Nothing was changed."""

    def __init__(self, version: str) -> None:
        super().__init__(f"version {version} is not stopped; 'locksmithctl status' names those that are")
        self.version = version
