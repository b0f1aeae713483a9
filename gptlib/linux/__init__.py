"""Disks, partitions and their nodes as Linux has them."""
