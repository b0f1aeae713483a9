"""Suites that boot machines: real firmware, real kernel, real disks."""
