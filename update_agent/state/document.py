"""The two files of the state as bytes: the whole machine, and the verdicts, a copy of what must outlive it.

The state is read strictly: a field too many or too few, and it is damaged. The verdicts are read by every version of this
program, older ones too, so their format never changes; fields that are not known are left alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from update_agent.state.errors import InvalidStateError
from update_agent.state.machine import ON_TRIAL, KnownBad, Machine, Progress
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
_MACHINE = {
    "state": (str,),
    "event": (str,),
    "since": (str,),
    "version": (str, type(None)),
    "reason": (str,),
    "progress": (list, type(None)),
    "slot": (str, type(None)),
    "boot-id": (str, type(None)),
    "untried": (int,),
    "checked": (str, type(None)),
    "bad": (list,),
}
_BAD = {"version": (str,), "reason": (str,), "at": (str,)}
_TRIAL = {"version": (str,), "slot": (str,)}


class DocumentError(ValueError):
    """The bytes are no document of this kind; the message says why, in one line."""


class NewerFormatError(DocumentError):
    """The document has a format that only a newer version knows."""

    def __init__(self, found: int) -> None:
        super().__init__(f"its format is {found}; this program knows {FORMAT}")
        self.found = found


@dataclass(frozen=True)
class Trial:
    """The version that is about to be tried, or is being tried, and the partition UUID of its slot."""

    version: str
    slot: str


@dataclass(frozen=True)
class Verdicts:
    """What must outlive a damaged state: the versions known to be bad, and the one on trial, which is bad if it never proves itself."""

    bad: tuple[KnownBad, ...] = ()
    trial: Trial | None = None

    @classmethod
    def of(cls, machine: Machine) -> Verdicts:
        """Those of a machine."""
        if machine.state in ON_TRIAL and machine.version and machine.slot:
            return cls(machine.bad, Trial(machine.version, machine.slot))
        return cls(machine.bad)


def encode_machine(machine: Machine) -> bytes:
    """The text of the state."""
    progress = machine.progress
    return _encode(
        {
            "format": FORMAT,
            "state": machine.state,
            "event": machine.event,
            "since": moment(machine.since),
            "version": machine.version,
            "reason": machine.reason,
            "progress": None if progress is None else [progress.done, progress.total],
            "slot": machine.slot,
            "boot-id": machine.boot_id,
            "untried": machine.untried,
            "checked": None if machine.checked is None else moment(machine.checked),
            "bad": [_encoded_bad(bad) for bad in machine.bad],
        }
    )


def decode_machine(data: bytes) -> Machine:
    """The machine in these bytes. Raises NewerFormatError and DocumentError."""
    document = parse_object(data)
    _check_format(document)
    fields = _fields({name: value for name, value in document.items() if name != "format"}, _MACHINE, strict=True)
    checked, progress = fields["checked"], fields["progress"]
    try:
        return Machine(
            state=State(fields["state"]),
            event=Happening(fields["event"]),
            since=parse_moment(fields["since"]),
            version=fields["version"],
            reason=fields["reason"],
            progress=None if progress is None else _decoded_progress(progress),
            slot=fields["slot"],
            boot_id=fields["boot-id"],
            untried=fields["untried"],
            checked=None if checked is None else parse_moment(checked),
            bad=tuple(_decoded_bad(item, strict=True) for item in fields["bad"]),
        )
    except (InvalidStateError, ValueError) as error:
        raise DocumentError(str(error)) from error


def encode_verdicts(verdicts: Verdicts) -> bytes:
    """The text of the verdicts."""
    trial = verdicts.trial
    return _encode(
        {
            "format": FORMAT,
            "bad": [_encoded_bad(bad) for bad in verdicts.bad],
            "trial": None if trial is None else {"version": trial.version, "slot": trial.slot},
        }
    )


def decode_verdicts(data: bytes) -> Verdicts:
    """The verdicts in these bytes. Raises NewerFormatError and DocumentError."""
    document = parse_object(data)
    _check_format(document)
    fields = _fields(document, {"bad": (list,), "trial": (dict, type(None))}, strict=False)
    try:
        bad = tuple(_decoded_bad(item, strict=False) for item in fields["bad"])
        trial = None if fields["trial"] is None else Trial(**_fields(fields["trial"], _TRIAL, strict=False))
    except InvalidStateError as error:
        raise DocumentError(str(error)) from error
    return Verdicts(bad, trial)


def moment(time: datetime) -> str:
    """A time as RFC 3339 has it, in UTC and whole seconds."""
    return f"{time.year:04}-{time:%m-%dT%H:%M:%SZ}"


def parse_moment(text: str) -> datetime:
    """What ``moment`` writes. Raises ValueError for anything else."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def parse_object(data: bytes) -> dict[str, Any]:
    """One JSON object, in which each name stands once. Raises DocumentError."""
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8 ({error.reason} at byte {error.start})") from error
    except RecursionError as error:
        raise DocumentError("it is nested too deeply") from error
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"it is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DocumentError("it is not a JSON object")
    return found


def _encode(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DocumentError("a name stands in it twice")
    return found


def _no_number(name: str) -> None:
    raise DocumentError(f"{name} is not a number that JSON knows")


def _check_format(document: Mapping[str, Any]) -> None:
    found = document.get("format")
    if type(found) is not int or found < 1:
        raise DocumentError(f"its format is {ascii(found)[:40]}; expected {FORMAT}")
    if found > FORMAT:
        raise NewerFormatError(found)


def _fields(found: object, wanted: Mapping[str, tuple[type, ...]], *, strict: bool) -> dict[str, Any]:
    """The wanted fields of an object, each of one of its types; where it is strict, there must be no others."""
    if not isinstance(found, dict):
        raise DocumentError(f"{ascii(found)[:40]} is not an object")
    missing, unknown = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    if missing or (strict and unknown):
        wrong = [
            *(f"{name} is missing" for name in sorted(missing)),
            *(f"{name!a} is unknown" for name in sorted(unknown)),
        ]
        raise DocumentError(f"its fields are not those of a state: {', '.join(wrong)}"[:300])
    for name, kinds in wanted.items():
        if type(found[name]) not in kinds:
            raise DocumentError(f"the field {name} is {ascii(found[name])[:40]}")
    return {name: found[name] for name in wanted}


def _encoded_bad(bad: KnownBad) -> dict[str, str]:
    return {"version": bad.version, "reason": bad.reason, "at": moment(bad.at)}


def _decoded_bad(found: object, *, strict: bool) -> KnownBad:
    fields = _fields(found, _BAD, strict=strict)
    try:
        return KnownBad(fields["version"], fields["reason"], parse_moment(fields["at"]))
    except (InvalidStateError, ValueError) as error:
        raise DocumentError(str(error)) from error


def _decoded_progress(found: list[Any]) -> Progress:
    if len(found) != 2 or any(type(number) is not int for number in found):
        raise DocumentError(f"the progress is {ascii(found)[:40]}; expected two numbers of bytes")
    return Progress(*found)
