"""Kernel, interpreter and programs of the target system, from its distribution's packages; nothing is installed."""
