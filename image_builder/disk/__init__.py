"""The disk: where partitions go, what is in them, and the file that holds them."""
