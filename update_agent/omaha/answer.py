"""What a server says: which version this machine may take now, and with which hashes.

Whoever answers may be anybody, so a document type is refused before anything of it is expanded: without one XML knows five entities,
each of one character, and no other file.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers import expat

from update_agent.omaha.errors import OmahaAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST = 256 << 10
"""Bytes of an answer; real ones have about one thousand."""
OK, NO_UPDATE = "ok", "noupdate"
_DEEPEST = 16
_APP = ("response", "app")
_CHECK = (*_APP, "updatecheck")
_MANIFEST = (*_CHECK, "manifest")
_PACKAGE = (*_MANIFEST, "packages", "package")
_ACTION = (*_MANIFEST, "actions", "action")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.,+_-]{0,254}", re.ASCII)
_STATUS = re.compile(r"[A-Za-z0-9_. -]{1,80}", re.ASCII)
_DIGEST = 32
_PORTAL = re.compile(rb"\s*(<!doctype\s+html|<html)", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """A version, and the SHA-256 that the server names for it, in lower-case hexadecimal: that of its first package, of its action, or both."""

    version: str
    sha256: frozenset[str]


@dataclass(frozen=True)
class Answer:
    """What is said of one application. ``app``: its status; ``check``: that of the update check, None where there was none.

    ``events``: how many reports the server has taken. ``named``: the version, where the check is ok.
    """

    app: str
    check: str | None
    events: int
    named: Named | None

    def took(self, events: int) -> bool:
        """Whether the server has taken all of so many reports."""
        return self.app == OK or self.events >= events


def parse_answer(shown: str, data: bytes, app_id: str) -> Answer:
    """What the server at ``shown`` says of the application. Raises OmahaAnswerError."""
    if _PORTAL.match(data):
        raise OmahaAnswerError(shown, "a web page came: is there a portal where one has to log in?")
    reader = _Reader()
    try:
        reader.read(data)
        apps = [app for app in reader.apps if _same(app.fields.get("appid", ""), app_id)]
        if len(apps) != 1:
            raise ValueError(f"it speaks {len(apps)} times of the application {app_id}, and should once")
        return _answer(apps[0])
    except (ValueError, expat.ExpatError) as error:
        raise OmahaAnswerError(shown, str(error)) from error


class _Reader:
    """The elements with their attributes, by the path that they stand at; one list for each application."""

    def __init__(self) -> None:
        self.apps: list[_App] = []
        self._path: list[str] = []

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._begin, self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.Parse(data, True)

    def _begin(self, name: str, fields: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if len(self._path) == 1 and (name != "response" or not fields.get("protocol", "").startswith("3.")):
            raise ValueError(f"it begins with {name!r:.40} of the protocol {fields.get('protocol')!r:.40}")
        path = tuple(self._path)
        if path == _APP:
            self.apps.append(_App(fields, []))
        elif path[:2] == _APP:
            self.apps[-1].elements.append((path, fields))

    def _end(self, _name: str) -> None:
        self._path.pop()

    def _doctype(self, *_: object) -> None:
        raise ValueError("it has a document type, and with that could hold anything")


@dataclass(frozen=True)
class _App:
    fields: Mapping[str, str]
    elements: list[tuple[tuple[str, ...], Mapping[str, str]]]

    def all(self, path: tuple[str, ...]) -> Sequence[Mapping[str, str]]:
        return [fields for found, fields in self.elements if found == path]


def _answer(app: _App) -> Answer:
    checks = app.all(_CHECK)
    if len(checks) > 1:
        raise ValueError("it has more than one answer to the update check")
    status = _status("app", app.fields)
    check = _status("updatecheck", checks[0]) if checks else None
    events = sum(fields.get("status") == OK for fields in app.all((*_APP, "event")))
    return Answer(status, check, events, _named(app) if (status, check) == (OK, OK) else None)


def _status(name: str, fields: Mapping[str, str]) -> str:
    status = fields.get("status", "")
    if _STATUS.fullmatch(status) is None:
        raise ValueError(f"the status of {name} is {status!r:.40}")
    return status


def _named(app: _App) -> Named:
    """As update_engine: the first manifest and package count, and the action "postinstall"."""
    manifests = app.all(_MANIFEST)
    version = manifests[0].get("version", "") if manifests else ""
    if _VERSION.fullmatch(version) is None:
        raise ValueError(f"it names the version {version!r:.40}")
    packages = [fields.get("hash_sha256") for fields in app.all(_PACKAGE)[:1]]
    actions = [fields.get("sha256") for fields in app.all(_ACTION) if fields.get("event") == "postinstall"][:1]
    hashes = frozenset(_hexadecimal(text) for text in (*packages, *actions) if text)
    if not hashes:
        raise ValueError(f"it names no SHA-256 of version {version}")
    return Named(version, hashes)


def _hexadecimal(text: str) -> str:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{text!r:.60} is no SHA-256 in base64") from error
    if len(digest) != _DIGEST:
        raise ValueError(f"{text!r:.60} is no SHA-256 in base64")
    return digest.hex()


def _same(one: str, other: str) -> bool:
    """Servers write the id with braces or without."""
    return one.strip("{}").lower() == other.strip("{}").lower()
