"""Single values of a definition. Each parser takes what stood in the TOML file and raises ValueError with what it expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootselect.slots import slot_type
from gptlib.errors import InvalidValueError
from gptlib.table.guid import Guid
from gptlib.table.slot_types import SLOT_TYPES
from gptlib.table.types import type_guid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KINDS: dict[type, str] = {dict: "table", list: "list"}
_NO_LABEL = frozenset("\"'\\")
MAX_LABEL_UNITS = 36
"""UTF-16 code units of a partition's name (UEFI 2.10 table 5.6)."""


def show(value: object) -> str:
    """A value as it stands in a TOML file; a table or list, which may be long, by its kind."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (str, int, float)) else f"a {_KINDS.get(type(value), type(value).__name__)}"


def _matching(pattern: str, expected: str) -> Callable[[object], str]:
    compiled = re.compile(pattern, re.ASCII)

    def parse(value: object) -> str:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise ValueError(f"is {show(value)}; expected {expected}")
        return value

    return parse


image_name = _matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit"
)
slot_version = _matching(
    r"[a-z0-9][a-z0-9._-]{0,63}",
    'a text of lower-case letters, digits, ".", "_" and "-", as os-release(5) has VERSION_ID',
)
section_name = _matching(
    r"[a-z0-9][a-z0-9-]{0,31}", "a name of lower-case letters, digits and '-' that starts with a letter or digit"
)
word = _matching(r"[A-Za-z0-9][A-Za-z0-9._+:~-]*", "a word of letters, digits, '.', '_', '+', ':', '~' and '-'")
mount_point = _matching(r"(/[A-Za-z0-9._-]+)+", "an absolute path, such as /var")
_RELEASE_FIELD = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)
one_line = _matching(r"[ -~]*", "one line of printable ASCII characters")
kernel_module = _matching(r"[a-z0-9][A-Za-z0-9_-]*", "the name of a kernel module, such as virtio_net")


def release_value(field: str) -> Callable[[object], str]:
    """A value of os-release(5) for a field of this name."""

    def parse(value: object) -> str:
        if _RELEASE_FIELD.fullmatch(field) is None:
            raise ValueError(
                "is not a field name of os-release(5); expected capital letters, digits and '_', such as ID"
            )
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError(f"is {show(value)}; expected one line of text")
        return value

    return parse


def sector_size(value: object) -> int:
    """Bytes of a logical sector."""
    if not isinstance(value, int) or value not in {512, 4096}:
        raise ValueError(f"is {show(value)}; expected 512 or 4096")
    return value


def guid(value: object) -> Guid:
    """A GUID that is not zero."""
    parsed = _guid(value)
    if parsed.is_zero:
        raise ValueError("is the zero GUID; expected one that identifies something")
    return parsed


def _guid(value: object) -> Guid:
    try:
        return Guid.parse(value if isinstance(value, str) else show(value))
    except InvalidValueError as error:
        raise ValueError(str(error)) from error


def partition_type(value: object) -> Guid:
    """A partition type by name or GUID."""
    try:
        found = type_guid(value if isinstance(value, str) else show(value))
    except InvalidValueError as error:
        raise ValueError(f"{error}; expected a name such as esp, coreos-usr or linux-data, or a GUID") from error
    if found.is_zero:
        raise ValueError("is the type of unused entries; expected the type of a partition")
    return found


def slot_type_name(value: object) -> str:
    """A partition type that slots can have, as it was written."""
    text = value if isinstance(value, str) else show(value)
    try:
        slot_type(text)
    except InvalidValueError as error:
        raise ValueError(f"is {text!r}; expected a GUID or one of {', '.join(SLOT_TYPES)}") from error
    return text


def partition_label(value: object) -> str:
    """The name of a partition. Consoles and scripts name slots by their labels."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or _NO_LABEL.intersection(value):
        raise ValueError(f"is {show(value)}; expected a text without quotes and backslashes")
    if value != value.strip():
        raise ValueError(f"is {show(value)}; expected a text that does not begin or end with a blank")
    units = len(value.encode("utf-16-le")) // 2
    if units > MAX_LABEL_UNITS:
        raise ValueError(f"is {value!r}: {units} UTF-16 units; at most {MAX_LABEL_UNITS} fit into a partition entry")
    return value


def number_between(low: int, high: int) -> Callable[[object], int]:
    """A whole number in a range, both ends included."""

    def parse(value: object) -> int:
        # bool is a kind of int in Python, but "tries = true" is a mistake.
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"is {show(value)}; expected a whole number from {low} to {high}")
        return value

    return parse


def existing_file(folder: Path) -> Callable[[object], Path]:
    """The path of a regular file that can be read; relative ones begin at ``folder``."""

    def parse(value: object) -> Path:
        path = _path(value, folder, "a file")
        if not path.is_file():
            raise ValueError(f"is {value!r}; expected the path of a file, and {path} {_missing(path)}")
        return path

    return parse


def existing_folder(folder: Path) -> Callable[[object], Path]:
    """The path of a folder; relative ones begin at ``folder``."""

    def parse(value: object) -> Path:
        path = _path(value, folder, "a folder")
        if not path.is_dir():
            raise ValueError(f"is {value!r}; expected the path of a folder, and {path} {_missing(path)}")
        return path

    return parse


def _path(value: object, folder: Path, what: str) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"is {show(value)}; expected the path of {what}")
    return folder / value


def _missing(path: Path) -> str:
    return "is not one" if path.exists() else "does not exist"


def list_of(parser: Callable[[object], str], what: str) -> Callable[[object], tuple[str, ...]]:
    """A list whose values ``parser`` takes; ``what`` they are, for the message."""

    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, list):
            return tuple(parser(item) for item in value)
        raise ValueError(f"is {show(value)}; expected a list of {what}")

    return parse
