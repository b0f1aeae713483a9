"""Readers of the metadata of file-system images: no root, no mount, no program; one module a kind, each with ``read_listing``.

They read what a kernel would show of an image and trust nothing in it: a pointer beyond its end, a folder inside of itself
or a name that cannot be are a BadFileSystemError, and a damaged image costs no more time than a sound one of its size.
"""
