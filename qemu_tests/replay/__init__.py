"""Every state that a power cut can leave of a recorded life of a machine, and whether it boots in each of them.

A machine's disk logs all writes and flushes (``qemu_tests.harness.disk.log``). ``crashes`` makes the states of the log, ``tables``
and ``contents`` keep what is on the disk in each of them, ``store`` what is in the variable store of the firmware, ``places`` says where the slots
are, ``verdicts`` lets the selector and the readers look at it, and ``explore`` counts. ``reporting`` makes a replay of the report of that, and
``chosen`` picks some states that are then booted.
"""
