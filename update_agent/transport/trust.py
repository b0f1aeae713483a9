"""Whom this machine believes to be the server that they say they are."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from update_agent.transport.errors import CaFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    Now = Callable[[], datetime]

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for."""


def utc_now() -> datetime:
    """The date that this machine has."""
    return datetime.now(UTC)


class Trust:
    """The authorities of ``ca_file`` (PEM), or those of the system where it is empty.

    ``floor`` is a date that has certainly passed, that of the build of the running system. A clock before it says nothing of
    certificates: their dates are not judged then, and all else is. What is signed has its own dates.
    """

    def __init__(self, ca_file: str = "", floor: datetime | None = None, now: Now = utc_now) -> None:
        self._ca_file, self._floor, self._now = ca_file, floor, now
        # Loading all authorities of a system takes longer than fetching all metadata.
        self._made: dict[bool, ssl.SSLContext] = {}

    def context(self) -> ssl.SSLContext:
        """That for a connection now. Raises CaFileError."""
        wrong = self._floor is not None and self._now() < self._floor
        if wrong not in self._made:
            self._made[wrong] = self._context(clock_is_wrong=wrong)
        return self._made[wrong]

    def _context(self, *, clock_is_wrong: bool) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:  # ssl.SSLError is one
            raise CaFileError(
                self._ca_file, f"no certificates can be read from it: {error.strerror or error}"
            ) from error
        if clock_is_wrong:
            context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
        return context
