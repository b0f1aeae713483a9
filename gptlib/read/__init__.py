"""From the bytes of a disk to its table, and what is wrong with it."""
