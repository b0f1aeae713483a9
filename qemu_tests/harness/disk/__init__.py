"""The disk behind a machine: it keeps unflushed writes apart, logs every write and flush, and fails where it is told to.

| module | what it has |
| --- | --- |
| ``machine_disk`` | ``MachineDisk``: the contents through all power cycles |
| ``session`` | ``Session``: from power on to power off, with faults |
| ``faults`` | what can be wrong: ``CutAt``, ``CutAtWrite``, ``CutAfter``, ``BadSector``, ``BadFlush``, ... |
| ``losses`` | what a power cut loses: ``AllLost``, ``NewestLost``, ``SomeLost``, ... |
| ``log`` | ``WriteLog``: every write and flush in order |
| ``recording`` | ``Recording``: what happened to a disk, and what was on its medium at any moment |
| ``overlay`` | ``Overlay``: the sectors that differ from an image |
| ``nbd`` | ``NbdServer``: how QEMU reaches it |
| ``image`` | ``image_info`` |
"""
