"""From definitions to bootable A/B disk images, initramfs and updates, without root: the library behind ``image-builder``.

``image_builder.api`` is what programs call: ``load_definition``, ``build_image``, ``build_artifact`` and ``build_initrd``. A
definition is a TOML file, read into frozen values with all its mistakes reported at once:

    >>> from pathlib import Path
    >>> from image_builder.api import load_definition
    >>> definition = load_definition(Path("examples/minimal.toml"))
    >>> definition.name
    'minimal'
    >>> [partition.label for partition in definition.partitions]
    ['EFI-SYSTEM', 'USR-A', 'USR-B', 'STATE']

    >>> from image_builder.errors import DefinitionError
    >>> try:
    ...     load_definition(Path("minimal.tml"))
    ... except DefinitionError as error:
    ...     print(error)
    minimal.tml: cannot be read: No such file or directory; give the path of a definition

Errors are ``BuildError``s (``image_builder.errors``). What is written appears whole or not at all.
"""

from __future__ import annotations

from gptlib import __version__ as __version__
