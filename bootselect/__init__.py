"""Which slot of an A/B disk boots, and the verbs that change it: the library behind the command ``bootselect``.

What decides is pure: it takes a ``gptlib.Table`` or slots, and gives a new table or a choice. Only ``selection`` writes.

| module | what it has |
| --- | --- |
| ``bootselect.policy`` | ``choose``: the slot that boots next; ``POLICIES``: the three policies, each a value with its rules |
| ``bootselect.slots`` | ``slot_type``, ``slots_of``, ``find_slot``: from names and tables to slots |
| ``bootselect.selection`` | ``select``: choose, account for the try with one durable write, repair the table |
| ``bootselect.verbs`` | ``arm``, ``mark_good``, ``mark_bad``, ``prioritize``, ``rollback``: table to table |
| ``bootselect.simulation`` | ``simulate``: what the next boots would do |
| ``bootselect.status``, ``bootselect.verify`` | each slot in words; what is wrong |
| ``bootselect.health`` | ``check_health``: the checks that make a slot good |
| ``bootselect.active`` | ``find_active``: the slot that the running system came from |
| ``bootselect.slot_disk`` | ``SlotDisk``: a disk or image, its slots, and which of them is meant |
| ``bootselect.formats`` | what one program writes and another reads: seal, decision, description of an update |
| ``bootselect.watchdog`` | ``arm_watchdog``, ``stop_watchdog`` |
| ``bootselect.click_support`` | what the click programs of the project share; nothing else imports it |
| ``bootselect.errors`` | ``BootselectError`` and one class for each situation |

An update that is armed and never healthy, under GRUB's policy:

    >>> from bootselect.policy import GPTPRIO, Slot
    >>> from bootselect.simulation import DIES, simulate
    >>> from gptlib import Attributes
    >>> old = Slot(2, Attributes(0).with_slot(priority=1, successful=True))
    >>> new = Slot(3, Attributes(0).with_slot(priority=2, tries=3))
    >>> [boot.number for boot in simulate(GPTPRIO, [old, new], {3: DIES})]
    [3, 3, 3, 2]
"""

from __future__ import annotations

from gptlib import __version__ as __version__
