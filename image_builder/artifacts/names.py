"""The names of the files of an update, such as ``shop_2.1_base.slot``.

``systemd-sysupdate`` reads the same folder with ``MatchPattern=shop_@v_base.slot`` (sysupdate.d(5)). It takes for ``@v`` everything
up to the first ``_base.slot``, underscores included, so ``os_@v_base.slot`` would match ``os_server_1_base.slot`` too, as version
"server_1": hence no part holds an underscore. Of versions it takes letters, digits and ``. , _ - +``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from image_builder.errors import BuildError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.,+-]*", re.ASCII)
_SLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*", re.ASCII)
_PARTS = {
    "name": (_NAME, "letters, digits, '.' and '-'"),
    "version": (_VERSION, "letters, digits, '.', ',', '+' and '-'"),
    "slot": (_SLOT, "letters, digits and '-'"),
}
_LONGEST = 255 - len(".spdx.json")
"""Bytes of a file name (NAME_MAX of Linux), less the longest ending."""


class ArtifactNameError(BuildError):
    """The files of an update cannot have names of which systemd-sysupdate would read the version."""

    def __init__(self, part: str, value: str, expected: str) -> None:
        super().__init__(f"the {part} {value!r} cannot be part of the file names of an update: expected {expected}")
        self.part, self.value = part, value


@dataclass(frozen=True, slots=True)
class ArtifactNames:
    """File names; ``packages`` is the list of the packages (SPDX), ``pattern`` what sysupdate.d(5) calls the slot's MatchPattern."""

    slot: str
    medium: str
    manifest: str
    packages: str
    pattern: str


def artifact_names(image_name: str, version: str, slot: str) -> ArtifactNames:
    """The names of the files of an update. Raises ArtifactNameError."""
    for part, value in (("name", image_name), ("version", version), ("slot", slot)):
        form, letters = _PARTS[part]
        if not form.fullmatch(value):
            raise ArtifactNameError(part, value, f"{letters}, a letter or digit first")
    stem = f"{image_name}_{version}_{slot}"
    if len(stem) > _LONGEST:
        raise ArtifactNameError("name", stem, f"at most {_LONGEST} characters, and these are {len(stem)}")
    return ArtifactNames(
        slot=f"{stem}.slot",
        medium=f"{stem}.update",
        manifest=f"{stem}.json",
        packages=f"{stem}.spdx.json",
        pattern=f"{image_name}_@v_{slot}.slot",
    )
