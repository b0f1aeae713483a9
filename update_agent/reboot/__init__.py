"""When a machine may reboot into a version that is installed: strategies, windows, the warning, inhibitors, hooks, and their order."""
