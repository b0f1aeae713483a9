"""locksmith's document: how many machines may reboot at once, and which ones do. Values only, nothing here asks a server."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from update_agent.lock.errors import DocumentError, HolderExistsError, MaxError, NoHolderError, NoPlaceError

_GO_ESCAPES = re.compile(r"[<>&\u2028\u2029]|\\(.)")
"""What Go may write in another way than Python: letters of HTML, two line ends of JavaScript, and one of the escapes."""
_GO_ONLY = {"b": r"\u0008", "f": r"\u000c"}


@dataclass(frozen=True)
class Semaphore:
    """``max`` machines at once; ``listed`` are the holders, sorted, None where there has never been one (``null`` in JSON).

    The count of free places is not a field: it is what the holders leave of ``max``, whatever somebody wrote, and never negative.
    """

    max: int = 1
    listed: tuple[str, ...] | None = None

    @property
    def holders(self) -> tuple[str, ...]:
        """The machines that have a place."""
        return self.listed or ()

    @property
    def available(self) -> int:
        """Free places. 0 where more machines hold one than may: they are waited for."""
        return max(0, self.max - len(self.holders))

    def locked(self, machine: str) -> Semaphore:
        """With a place for this machine. Raises HolderExistsError before NoPlaceError: who holds it needs no free one."""
        if machine in self.holders:
            raise HolderExistsError
        if self.available < 1:
            raise NoPlaceError(self.available)
        return replace(self, listed=tuple(sorted((*self.holders, machine))))

    def unlocked(self, machine: str) -> Semaphore:
        """Without that place. Raises NoHolderError."""
        if machine not in self.holders:
            raise NoHolderError
        return replace(self, listed=tuple(one for one in self.holders if one != machine))

    def with_max(self, number: int) -> Semaphore:
        """With so many places. Raises MaxError below 1; below the holders, nobody is let in until enough of them are gone."""
        if number < 1:
            raise MaxError(number)
        return replace(self, max=number)

    def to_bytes(self) -> bytes:
        """As locksmith writes it.

        >>> Semaphore().to_bytes()
        b'{"semaphore":1,"max":1,"holders":null}'
        >>> Semaphore(4).locked("b").locked("a").to_bytes()
        b'{"semaphore":2,"max":4,"holders":["a","b"]}'
        """
        fields = {"semaphore": self.available, "max": self.max, "holders": self.listed}
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return _GO_ESCAPES.sub(_as_go, text).encode()


def parse(key: str, data: bytes) -> Semaphore:
    """The document at a key. Order and repetition of the holders, and the count of free places, are not relied on.

    Raises DocumentError.
    """
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise DocumentError(key, f"no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise DocumentError(key, "no JSON object")
    number, listed = fields.get("max"), fields.get("holders")
    if not isinstance(number, int) or isinstance(number, bool):
        raise DocumentError(key, f"max is {number!r}; expected a number")
    if listed is None:
        return Semaphore(number, None)
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise DocumentError(key, f"holders is {listed!r}; expected a list of machine ids")
    return Semaphore(number, tuple(sorted(set(listed))))


def _as_go(found: re.Match[str]) -> str:
    if found[1]:
        return _GO_ONLY.get(found[1], found[0])
    return f"\\u{ord(found[0]):04x}"
