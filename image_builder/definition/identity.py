"""GUIDs that follow from the definition, so that building twice gives the same bytes."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from gptlib.table.guid import Guid


def derived_uuid(seed: str, what: str) -> str:
    """A version 5 UUID (RFC 9562 section 5.5) of the seed and of what it is for, such as ``partition USR-A``."""
    return str(uuid5(uuid5(NAMESPACE_OID, seed), what))


def derived_guid(seed: str, what: str) -> Guid:
    """``derived_uuid`` as a GUID of gptlib."""
    return Guid.parse(derived_uuid(seed, what))
