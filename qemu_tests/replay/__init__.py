"""Every state that a power cut can leave of a recorded life of a machine, and whether it boots in each of them.

A machine's disk logs all writes and flushes (``qemu_tests.harness.disk.log``). ``crashes`` makes the states of the log, ``tables``
and ``contents`` keep what is on the disk in each of them, ``places`` says where the slots are, ``verdicts`` lets the selector and the readers look at it, and
``explore`` counts and reports.
"""
