"""Where finished pieces are kept, and how they appear there: whole or not at all, and checked each time that they are used.

Everything is made in a temporary folder beside its final place and renamed. A builder that dies leaves such a folder, which
the next builder there removes (``temporary``). Builders of the same piece wait for each other (``flock`` on a file beside it), and
the second one takes what the first has made. Beside each piece stands a record of what it holds (``record``): what is damaged
is made again (``store``). ``upkeep`` lists, checks and clears away for ``image-builder cache``.
"""

from __future__ import annotations

from image_builder.cache.store import (
    Cache,
    cache_root,
    only_builder,
    publish_file,
    publish_folder,
)
from image_builder.cache.temporary import replacing, working_folder, write_note
from image_builder.cache.upkeep import Cleaned, Damage, Kept, clean, list_cache, verify_cache

__all__ = [
    "Cache",
    "Cleaned",
    "Damage",
    "Kept",
    "cache_root",
    "clean",
    "list_cache",
    "only_builder",
    "publish_file",
    "publish_folder",
    "replacing",
    "verify_cache",
    "working_folder",
    "write_note",
]
