"""What can be seen of the cluster from outside, all the time: who has a place in the lock, who serves the website, who answers for etcd."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from update_agent.lock.errors import LockError
from update_agent.lock.etcd import Access, Etcd
from update_agent.lock.group import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from update_agent.lock.group import View

ETCD, WEBSITE = 2379, 8080
"""Ports of the guests."""
EVERY = 1.0
_PATIENCE = 2.0
"""Seconds that a guest may take to answer."""


@dataclass(frozen=True)
class Sample:
    """One look, at a time of the monotonic clock. ``serving``: machines whose website answered; ``members``: those of etcd that know a leader.

    ``holders``: ids of the machines with a place; None where etcd did not answer.
    """

    at: float
    serving: tuple[str, ...]
    members: tuple[str, ...]
    holders: tuple[str, ...] | None


class Watch:
    """Looks every second, in a thread. ``etcd`` and ``websites`` are addresses by the names of the machines."""

    def __init__(self, etcd: Mapping[str, str], websites: Mapping[str, str]) -> None:
        self.samples: list[Sample] = []
        self._etcd, self._websites = etcd, websites
        self.client = Etcd(Access(tuple(etcd.values())), read=_PATIENCE, deadline=4 * _PATIENCE)
        self.group = Group(self.client)
        self._over = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.client.close()
        if self._problem is not None and error is None:
            raise self._problem

    def view(self, seconds: float) -> View:
        """What etcd has now, once it answers. Raises LockError."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.group.view_for_change()
            except LockError:
                if time.monotonic() > end:
                    raise
                time.sleep(EVERY)

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(max_workers=len(self._websites) + len(self._etcd)) as pool:
                while not self._over.wait(EVERY):
                    self._look(pool)
        except BaseException as error:  # noqa: BLE001  (raised again where the thread is waited for)
            self._problem = error

    def _look(self, pool: ThreadPoolExecutor) -> None:
        at = time.monotonic()
        sites = pool.map(self._serves, self._websites.items())
        members = pool.map(self._leads, self._etcd.items())
        try:
            holders = self.group.view_for_change().semaphore.holders
        except LockError:
            holders = None
        self.samples.append(Sample(at, tuple(filter(None, sites)), tuple(filter(None, members)), holders))

    @staticmethod
    def _serves(site: tuple[str, str]) -> str:
        name, address = site
        return name if _get(address) == f"{name}\n".encode() else ""

    @staticmethod
    def _leads(member: tuple[str, str]) -> str:
        name, address = member
        return name if b'"true"' in _get(f"{address}/health") else ""


def _get(address: str) -> bytes:
    """What is there; nothing where nobody answers in time."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.netloc, timeout=_PATIENCE)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().read()
    except (HTTPException, OSError):
        return b""
    finally:
        connection.close()


def longest_gap(samples: Sequence[Sample], good: Callable[[Sample], bool]) -> float:
    """Seconds from one good sample to the next at most, of all that lie between the first and the last good one."""
    times = [sample.at for sample in samples if good(sample)]
    return max((after - before for before, after in pairwise(times)), default=0.0)


def moves(samples: Sequence[Sample]) -> list[str]:
    """Where the website was, one machine after the other."""
    found: list[str] = []
    for sample in samples:
        found += [name for name in sample.serving if found[-1:] != [name]]
    return found


def holder_at(samples: Sequence[Sample], moment: float) -> tuple[str, ...]:
    """Who had a place in the lock at a moment, as far as etcd answered: of the last look that began before."""
    known = [sample.holders for sample in samples if sample.holders is not None and sample.at <= moment]
    return known[-1] if known else ()
