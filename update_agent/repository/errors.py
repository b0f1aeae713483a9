"""What can go wrong with what a repository says: one class per situation. What keeps files from coming is a TransportError.

Whatever is raised here, the slots are as they were; of the state folder each file is the old or the new one, whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuf.api.exceptions import DownloadHTTPError

from update_agent.errors import UpdateError
from update_agent.transport.errors import ForbiddenError, MissingError

if TYPE_CHECKING:
    from datetime import datetime


class AbsentError(MissingError, DownloadHTTPError):
    """There is no such file: status 404, or none in a folder. Of the next root it says that there is no newer one."""

    def __init__(self, shown: str, problem: str) -> None:
        _for_tuf(self, shown, problem, 404)


class WithheldError(ForbiddenError, DownloadHTTPError):
    """Status 403, by which stores of objects say that there is no such file."""

    def __init__(self, shown: str, problem: str) -> None:
        _for_tuf(self, shown, problem, 403)


def _for_tuf(error: AbsentError | WithheldError, shown: str, problem: str, status: int) -> None:
    # Not super(): the classes of tuf want other arguments than ours.
    Exception.__init__(error, f"{shown}: {problem}")
    error.shown, error.problem, error.status, error.status_code = shown, problem, status, status


TUF_KNOWS = {404: AbsentError, 403: WithheldError}
"""Statuses that ``tuf`` takes for the end of the chain of roots, and the errors by which it knows them."""


class NotConfiguredError(UpdateError):
    """No setting says where updates are published."""

    def __init__(self) -> None:
        super().__init__(
            "the setting update.repository is empty: say at which address, or in which folder, updates are published"
        )


class TrustError(UpdateError):
    """Base of everything for which what a repository says is not believed. The trusted metadata are those of before."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}")
        self.url, self.problem = url, problem


class BootstrapError(TrustError):
    """The root that the machine was built with is none, or not signed by its own keys."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, f"the root that this system was built with cannot be used: {problem}")


class ExpiredError(TrustError):
    """Metadata have expired: the repository is not kept, someone holds newer ones back, or the clock is wrong."""

    def __init__(self, url: str, role: str, expires: datetime | None, now: datetime) -> None:
        on = "" if expires is None else f" on {expires:%Y-%m-%d %H:%M} UTC"
        super().__init__(
            url,
            f"its {role} expired{on}, and it is {now:%Y-%m-%d %H:%M} UTC here: publish a new one, look "
            "whether newer ones are held back on the way, or set the clock",
        )
        self.role, self.expires, self.now = role, expires, now


class SignatureError(TrustError):
    """Metadata are not signed by as many trusted keys as they must be."""


class RollbackError(TrustError):
    """Metadata are older than those that were seen before, or than those that name them."""


class MismatchError(TrustError):
    """A file has another length or hash than the metadata say."""


class MetadataError(TrustError):
    """What should be metadata are none, or do not fit each other."""


class ReleaseError(UpdateError):
    """What the metadata say of a release cannot be used. ``target`` is the name that stands there."""

    refusal = True

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(f"the release {ascii(target)[:200]}: {problem}")
        self.target, self.problem = target, problem


class StateError(UpdateError):
    """The state folder cannot be read or written. Each file in it is the old or the new one; try again when there is space."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: the repository's state cannot be kept: {problem}")
        self.path = path


class BusyError(UpdateError):
    """Another process holds the folder's lock. Nothing was fetched or written."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(f"{path}: another process has been at work on it for {seconds:g} s; wait for its end")
        self.path, self.seconds = path, seconds
