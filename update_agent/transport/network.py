"""How servers are asked, as the settings say: by which proxy, whom to trust, how fast, how long, how often."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from update_agent.transport.address import one_proxy
from update_agent.transport.http import HttpClient, HttpSource
from update_agent.transport.pace import Deadline, Limits, RateLimit
from update_agent.transport.retry import Attempts, Patience, RetryingSource
from update_agent.transport.trust import Trust, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from update_agent.config.settings import Settings
    from update_agent.transport.pace import Clock, Sleep
    from update_agent.transport.trust import Now


def _nobody(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Network:
    """Clients and sources that are alike. Times are seconds, rates bytes a second (0: no limit).

    ``proxy``: a URL, or empty for those of the environment; ``ca_file`` and ``floor``: see ``Trust``; ``metadata``: for all that is
    fetched in one refresh; ``payload``: for one blob, retries included; ``tell`` is given a line for each failure that is not the last.
    """

    proxy: str = ""
    ca_file: str = ""
    rate: int = 0
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    metadata: float = 600.0
    payload: float = 86400.0
    floor: datetime | None = None
    now: Now = utc_now
    clock: Clock = time.monotonic
    sleep: Sleep = time.sleep
    chance: Callable[[], float] = random.random
    tell: Callable[[str], None] = _nobody

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        floor: datetime,
        now: Now = utc_now,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        tell: Callable[[str], None] = _nobody,
    ) -> Network:
        """What the settings say."""
        return cls(
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            rate=settings.rate_limit,
            limits=Limits(
                settings.connect_deadline.total_seconds(),
                settings.minimum_rate,
                settings.minimum_rate_time.total_seconds(),
            ),
            patience=Patience(failures=settings.retries + 1),
            metadata=settings.metadata_deadline.total_seconds(),
            payload=settings.payload_deadline.total_seconds(),
            floor=floor,
            now=now,
            clock=clock,
            sleep=sleep,
            tell=tell,
        )

    def client(self) -> HttpClient:
        """One whose own deadline is that of metadata. Whoever asks for it closes it."""
        return HttpClient(
            Deadline(self.metadata, self.clock),
            limits=self.limits,
            rate=RateLimit(self.rate, self.clock, self.sleep) if self.rate else None,
            proxy=one_proxy(self.proxy),
            context=Trust(self.ca_file, self.floor, self.now).context,
            clock=self.clock,
        )

    def attempts(self, shown: str, deadline: Deadline) -> Attempts:
        """Tries for one thing."""
        return Attempts(shown, deadline, self.patience, sleep=self.sleep, chance=self.chance, tell=self.tell)

    def source(self, client: HttpClient, url: str) -> RetryingSource:
        """Bulk data; their deadline begins now."""
        deadline = Deadline(self.payload, self.clock)
        source = HttpSource(client, url, deadline)
        return RetryingSource(source, deadline, self.patience, sleep=self.sleep, chance=self.chance, tell=self.tell)
