"""An update: the slot image, and ``update.json``, what it says of itself.

The builder writes it. For whoever installs it, it comes from outside, so everything about it is checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootselect.slots import slot_type
from gptlib.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.table.guid import Guid

DESCRIPTION, IMAGE = "update.json", "slot.img"
"""The files of an update."""
FORMAT = 1
"""The only one so far; what a later one adds to the fields is left alone."""
LARGEST = 1 << 20
"""Bytes of the longest description that is read; ours have a few hundred."""
_KINDS = {int: "a whole number", str: "a text", bool: "true or false", list: "a list"}
_LONGEST_TEXT = 255
_MAX_SIZE = (1 << 63) - 1
_SHA256_DIGITS = 64


class DescriptionError(ValueError):
    """The text is not a description of an update; the message says why, in one line."""


@dataclass(frozen=True)
class Description:
    """``size`` in bytes and ``sha256`` in lower-case hexadecimal are those of the slot image.

    ``releases`` are those of the kernels that it has modules for, None where the description does not say; ``own_kernel``:
    it brings a kernel of its own, which a boot chain with ``hand-over=kexec`` starts.
    """

    name: str
    version: str
    slot_type: Guid
    size: int
    sha256: str
    releases: tuple[str, ...] | None = None
    own_kernel: bool = False


def encode_description(
    *,
    name: str,
    version: str,
    slot_type: str,
    size: int,
    sha256: str,
    releases: Sequence[str] = (),
    own_kernel: bool = False,
) -> str:
    """The text of ``update.json``; ``slot_type`` by name or GUID, the others as in ``Description``."""
    fields = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "slot-type": slot_type,
        "size": size,
        "sha256": sha256,
        "kernel-releases": list(releases),
        "own-kernel": own_kernel,
    }
    return json.dumps(fields, indent=2) + "\n"


def parse_description(data: bytes) -> Description:
    """The description in these bytes; fields that are not known are left for later formats. Raises DescriptionError."""
    fields = _load(data)
    known = _field(fields, "format", int)
    if known != FORMAT:
        raise DescriptionError(f"its format is {_shown(known)}; this program knows {FORMAT}")
    size = _field(fields, "size", int)
    if not 0 < size <= _MAX_SIZE:
        raise DescriptionError(f"the field 'size' is {_shown(size)}; expected a number of bytes from 1 on")
    try:
        kind = slot_type(_text(fields, "slot-type"))
    except InvalidValueError as error:
        raise DescriptionError(f"the field 'slot-type' is not a slot type: {error}") from error
    return Description(
        _text(fields, "name"),
        _text(fields, "version"),
        kind,
        size,
        _sha256(fields),
        _releases(fields),
        bool(_field(fields, "own-kernel", bool)) if "own-kernel" in fields else False,
    )


def _releases(fields: dict[str, Any]) -> tuple[str, ...] | None:
    if "kernel-releases" not in fields:
        return None
    values = _field(fields, "kernel-releases", list)
    if not all(isinstance(value, str) and value.isprintable() and value for value in values):
        raise DescriptionError(f"the field 'kernel-releases' is {_shown(values)}; expected a list of releases")
    return tuple(values)


def _load(data: bytes) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise DescriptionError(f"it is longer than {LARGEST} bytes; a description has a few hundred")
    try:
        fields = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise DescriptionError(f"it is not UTF-8 ({error.reason} at byte {error.start})") from error
    except RecursionError as error:
        raise DescriptionError("it is nested too deeply") from error
    except DescriptionError:
        raise
    except ValueError as error:
        raise DescriptionError(f"it is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise DescriptionError("it is not a JSON object")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DescriptionError(f"the field {_shown(twice)} stands in it twice")
    return fields


def _no_number(name: str) -> None:
    raise DescriptionError(f"{name} is not a number that JSON knows")


def _field(fields: dict[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401  (what JSON holds)
    if name not in fields:
        raise DescriptionError(f"the field {name!r} is missing")
    value = fields[name]
    # Not isinstance: True is an int.
    if type(value) is not kind:
        raise DescriptionError(f"the field {name!r} is {_shown(value)}; expected {_KINDS[kind]}")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    text = str(_field(fields, name, str))
    # What is not printable is a control character, a line break, half a surrogate pair, or turns the direction of writing.
    if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise DescriptionError(
            f"the field {name!r} is {_shown(text)}; expected 1 to {_LONGEST_TEXT} printable characters"
        )
    return text


def _sha256(fields: dict[str, Any]) -> str:
    text = _text(fields, "sha256").lower()
    if len(text) != _SHA256_DIGITS or text.strip("0123456789abcdef"):
        raise DescriptionError(f"the field 'sha256' is {_shown(text)}; expected {_SHA256_DIGITS} hexadecimal digits")
    return text


def _shown(value: object) -> str:
    """A value in a line for people, cut off where it is long."""
    try:
        text = ascii(value)
    except ValueError:  # an int of more digits than Python prints
        return "a number of very many digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
