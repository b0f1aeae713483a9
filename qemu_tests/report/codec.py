"""A run as JSON and back. The names are those of the model; bytes are base64; an unknown version is refused."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import types
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from qemu_tests.report.errors import ReportFormatError
from qemu_tests.report.model import FORMAT, VERSION, Run


def to_json(run: Run) -> str:
    """The text, in ASCII, ending with a newline."""
    fields = {"format": FORMAT, "version": VERSION, **_encode(run)}
    return json.dumps(fields, indent=1, allow_nan=False) + "\n"


def _encode(value: Any) -> Any:  # noqa: ANN401  # from values of the model to what JSON holds
    if dataclasses.is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_encode(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def from_json(text: str, path: object = "report") -> Run:
    """The inverse of ``to_json``; ``path`` is named in errors. Raises ReportFormatError."""
    source = str(path)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportFormatError(source, "no JSON", str(error)) from error
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise ReportFormatError(source, "format", f"the top is not an object with the format {FORMAT!r}")
    if (version := fields.pop("version", None)) != VERSION:
        raise ReportFormatError(source, "version", f"{version!r}; this slotboot reads version {VERSION}")
    run: Run = _Decoder(source).decode(Run, fields, "")
    return run


_MOST = 1e300
_EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", bytes: "base64"}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


class _Decoder:
    def __init__(self, source: str) -> None:
        self._source = source

    def _wrong(self, where: str, found: str) -> ReportFormatError:
        return ReportFormatError(self._source, where.lstrip(".") or "top", found)

    def decode(self, kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401  # driven by the annotations of the model
        if isinstance(kind, types.UnionType):
            (kind,) = (each for each in get_args(kind) if each is not type(None))
            return None if value is None else self.decode(kind, value, where)
        if get_origin(kind) is tuple:
            if not isinstance(value, list):
                raise self._wrong(where, f"expected a list, found {_short(value)}")
            return tuple(self.decode(get_args(kind)[0], each, f"{where}[{at}]") for at, each in enumerate(value))
        if dataclasses.is_dataclass(kind):
            return self._object(kind, value, where)
        return self._scalar(kind, value, where)

    def _object(self, kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            raise self._wrong(where, f"expected an object, found {_short(value)}")
        hints = _hints(kind)
        unknown = sorted(set(value) - set(hints))
        required = {field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
        missing = sorted(required - set(value))
        if unknown or missing:
            what, names = ("unknown", unknown) if unknown else ("missing", missing)
            raise self._wrong(where, f"{what}: {_short(names[0])}")
        decoded = {name: self.decode(hints[name], each, f"{where}.{name}") for name, each in value.items()}
        try:
            return kind(**decoded)
        except ValueError as error:
            raise self._wrong(where, str(error)) from error

    def _scalar(self, kind: type, value: Any, where: str) -> Any:  # noqa: ANN401
        if kind is float and type(value) in {int, float}:
            return float(value) if abs(value) < _MOST else self._refuse(kind, value, where)
        if kind is bytes and isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                self._refuse(kind, value, where)
        if type(value) is not kind:
            self._refuse(kind, value, where)
        return value

    def _refuse(self, kind: type, value: object, where: str) -> Any:  # noqa: ANN401
        raise self._wrong(where, f"expected {_EXPECTED[kind]}, found {_short(value)}")


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
