"""The values: what a table says, in UEFI's words. Nothing here touches a disk."""
