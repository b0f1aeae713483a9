"""The lock of a fleet: which machines may reboot now."""
