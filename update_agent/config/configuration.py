"""Fragments, one over the other, and the settings that come out, each with where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from update_agent.config.errors import ConfigError, Mistake
from update_agent.config.kinds import show_duration
from update_agent.config.periods import limit_of, parse_length, parse_start
from update_agent.config.settings import FIELDS, ROWS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from update_agent.config.fragment import Assignment, Fragment
    from update_agent.config.settings import Row

HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Configuration:
    """``settings``, and for each key that is set anywhere its assignments: the last one holds, the others are overridden by it."""

    settings: Settings
    inputs: Mapping[str, tuple[Assignment, ...]]

    def value(self, key: str) -> Any:  # noqa: ANN401  (of the kind of the setting)
        """The value of a setting."""
        return getattr(self.settings, FIELDS[key])

    def shown(self, key: str) -> str:
        """The value as it would be written, without what is secret in it: a password, who logs in to an address."""
        row = ROWS[key]
        value = self.value(key)
        return HIDDEN if row.secret and value else row.kind.hide(row.kind.show(value))


def configure(fragments: Iterable[Fragment]) -> Configuration:
    """The settings of these fragments, the weakest first.

    Raises ConfigError with every mistake: each name that is not known, and each value that holds and cannot be used. A value that
    another one overrides is not judged: what the image brings must not stand in the way of who corrects it.
    """
    fragments = list(fragments)
    mistakes = [mistake for fragment in fragments for mistake in fragment.mistakes]
    inputs: dict[str, tuple[Assignment, ...]] = {}
    for fragment in fragments:
        for assignment in fragment.assignments:
            inputs[assignment.key] = (*inputs.get(assignment.key, ()), assignment)
    values: dict[str, Any] = {}
    for key, assignments in inputs.items():
        row, holds = ROWS[key], assignments[-1]
        try:
            values[FIELDS[key]] = row.kind.parse(holds.value)
        except ValueError:
            found = f"{holds.name} is {_quoted(row, holds.value)}; expected {row.kind.expected}"
            mistakes.append(Mistake(holds.origin, found))
    settings = Settings(**values)
    if not mistakes:
        mistakes += _contradictions(settings, inputs)
    if mistakes:
        raise ConfigError(*sorted(dict.fromkeys(mistakes), key=lambda one: _place(one, fragments)))
    return Configuration(settings, inputs)


def _contradictions(settings: Settings, inputs: Mapping[str, tuple[Assignment, ...]]) -> list[Mistake]:
    return [*_jitter(settings, inputs), *_window(settings, inputs)]


def _jitter(settings: Settings, inputs: Mapping[str, tuple[Assignment, ...]]) -> list[Mistake]:
    if settings.check_jitter < settings.check_interval:
        return []
    holds = (inputs.get("check.jitter") or inputs["check.interval"])[-1]
    interval, jitter = show_duration(settings.check_interval), show_duration(settings.check_jitter)
    return [Mistake(holds.origin, f"check.jitter is {jitter}; expected less than check.interval, which is {interval}")]


def _window(settings: Settings, inputs: Mapping[str, tuple[Assignment, ...]]) -> list[Mistake]:
    """A window has a start and a length, and closes before it opens again."""
    start, length = settings.window_start, settings.window_length
    if not start and not length:
        return []
    given, missing = ("window-start", "window-length") if start else ("window-length", "window-start")
    holds = inputs[f"locksmith.{given}"][-1]
    if not start or not length:
        return [Mistake(holds.origin, f"{holds.name} is set, and locksmith.{missing} is not; expected both or none")]
    limit = limit_of(parse_start(start))
    if timedelta() < parse_length(length) < limit:
        return []
    holds = inputs["locksmith.window-length"][-1]
    most = f"{limit // timedelta(hours=1)} hours"
    return [Mistake(holds.origin, f"{holds.name} is {length}; expected more than nothing and less than {most}")]


def _quoted(row: Row, value: str) -> str:
    if row.secret:
        return HIDDEN
    shown = row.kind.hide(value)
    return repr(shown if len(shown) <= 80 else f"{shown[:77]}...")


def _place(mistake: Mistake, fragments: list[Fragment]) -> tuple[int, int]:
    """In the order of the sources, and of their lines."""
    places = {fragment.where: number for number, fragment in reversed(list(enumerate(fragments)))}
    return places.get(mistake.origin.where, len(fragments)), mistake.origin.line
