"""The boot path: what runs in the initramfs, from finding the disk to the mounted slot.

Imports little: each module here is loaded on every boot (``tests/test_imports.py`` measures what comes with it).
"""
