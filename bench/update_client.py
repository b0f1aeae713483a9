"""One installation from a web server, as the agent does it: ``python -m bench.update_client DISK URL [OLD]``.

Below URL are ``full.index`` and ``full.frames``, and ``delta.index`` and ``delta.blob``, which are used where OLD, the number of the old
slot, is given. Prints the seconds that the installation took, those of the processor, and the seconds until this program was loaded.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bootselect.slot_disk import SlotDisk
from gptlib import type_guid
from update_agent.config.settings import Settings
from update_agent.payload.index import DeltaIndex, Index
from update_agent.repository.fetcher import HttpFetcher
from update_agent.slot.install import Voice
from update_agent.slot.stream import Published, install_published
from update_agent.transport.network import Network

SLOT_TYPE = "coreos-usr"
_LARGEST = 8 << 20


def main() -> None:
    """Entry point."""
    disk, url, *old = sys.argv[1:]
    loaded = time.process_time()
    network = Network.of(Settings(), floor=datetime(2024, 1, 1, tzinfo=UTC))
    fetcher, begin = HttpFetcher(network), time.monotonic()
    index = Index.parse(fetcher.download_bytes(f"{url}/full.index", _LARGEST))
    delta = None
    if old:
        difference = DeltaIndex.parse(fetcher.download_bytes(f"{url}/delta.index", _LARGEST))
        delta = difference, fetcher.source(f"{url}/delta.blob")
    update = Published("new", "new", index, fetcher.source(f"{url}/full.frames"), delta)
    found = SlotDisk(disk, type_guid(SLOT_TYPE))
    number = int(old[0]) if old else None
    install_published(update, found, "USR-B", 3, Path(f"{disk}.journal"), Voice(), old=number)
    end = time.monotonic()
    fetcher.close()
    sys.stdout.write(f"{end - begin} {time.process_time() - loaded} {loaded}\n")


if __name__ == "__main__":
    main()
