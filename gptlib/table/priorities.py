"""The renumbering of ``cgpt prioritize`` (vboot and seismograph), and the choice of ``cgpt next`` (seismograph)."""

from __future__ import annotations

from gptlib.errors import InvalidValueError, TableError
from gptlib.table.attributes import MAX_PRIORITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.attributes import Attributes
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table

_FRONT = MAX_PRIORITY + 1


def prioritize(
    table: Table, kind: Guid, *, index: int | None = None, highest: int | None = None, friends: bool = False
) -> Table:
    """Renumber the priorities of the partitions of type ``kind``, keeping their order.

    ``index`` comes out on top, with ``friends`` together with those that shared its priority. The top becomes ``highest``
    (1 to 15), by default the number of different priorities; from there on each level is one less, never below 1. Priority 0
    stays 0. Raises TableError when ``index`` is not of that type, InvalidValueError for an impossible ``highest``.

        >>> from gptlib import Attributes, Guid, Partition, Table, type_guid
        >>> kind, good = type_guid("coreos-usr"), Attributes(0).with_slot(priority=1, successful=True)
        >>> table = Table.new(total_sectors=8192)
        >>> for number, label in ((3, "USR-A"), (4, "USR-B")):
        ...     first = number * 1024
        ...     table = table.add(Partition(kind, Guid.random(), first, first + 1023, good, label), number)
        >>> [str(one.attributes) for one in prioritize(table, kind, index=4).partitions.values()]
        ['priority=1 tries=0 successful=1', 'priority=2 tries=0 successful=1']
    """
    if highest is not None and not 1 <= highest <= MAX_PRIORITY:
        raise InvalidValueError(f"the highest priority is {highest}; it must be between 1 and {MAX_PRIORITY}")
    levels = {n: p.attributes.priority for n, p in table.partitions.items() if p.type_guid == kind}
    if index is not None:
        if index not in levels:
            raise TableError(f"partition {index} is not of the type {kind}, whose priorities are to be reordered")
        before = levels[index]
        raised = [n for n in levels if n == index or (friends and levels[n] == before)]
        levels.update(dict.fromkeys(raised, _FRONT))
    ranks = sorted(set(levels.values()) - {0}, reverse=True)
    top = highest or min(len(ranks), MAX_PRIORITY)
    new = {level: max(top - place, 1) for place, level in enumerate(ranks)}
    for number, level in levels.items():
        if level:
            table = table.with_slot(number, priority=new[level])
    return table


def rank(number: int, attributes: Attributes) -> tuple[int, int]:
    """What slots are sorted by: priority, highest first, and then number."""
    return -attributes.priority, number


def may_boot(attributes: Attributes) -> bool:
    """Whether the slot has tries left or is successful. ``cgpt next`` asks for nothing else."""
    return bool(attributes.tries or attributes.successful)


def count_try(attributes: Attributes) -> Attributes:
    """The attributes once the slot has been chosen for one boot: one try less, where it has any."""
    return attributes.with_slot(tries=attributes.tries - 1) if attributes.tries else attributes


def next_root(table: Table, kind: Guid) -> int | None:
    """The partition of type ``kind`` that ``cgpt next`` would boot, or None when there is none.

    It is the first in rank of those that may boot, priority 0 included, and the first of all where none may.
    """
    candidates = {n: p.attributes for n, p in table.partitions.items() if p.type_guid == kind}
    fit = [rank(n, bits) for n, bits in candidates.items() if may_boot(bits)]
    return min(fit)[1] if fit else min(candidates, default=None)
