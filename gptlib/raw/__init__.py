"""Every field of what belongs to a table, as it stands on a disk: what people open a hex editor for.

The structures are taken apart by their construct declarations, which nothing else does while it runs: to import construct takes
longer than all the rest of a command. Nothing here is imported by the boot path.
"""
