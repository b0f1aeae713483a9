"""What a test that failed shows: the lines of whoever wrote it, and one error."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from qemu_tests.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OURS = ("qemu_tests.harness", "qemu_tests.report", "qemu_tests.plugin", "qemu_tests.scopes")
_CALLERS = ("_pytest", "pluggy")


def shorten(error: BaseException) -> None:
    """Take our own frames, and what lies behind an error of ours, out of ``error`` and all that it is chained to.

    Errors of other kinds keep their frames: one that is raised in our code is a mistake there, and the frames show it.
    """
    for link in _chain(error):
        if isinstance(link, LabError):
            link.__cause__, link.__suppress_context__ = None, True
            link.__traceback__ = _users_part(link.__traceback__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            waiting += [link.__cause__, link.__context__]
            if isinstance(link, BaseExceptionGroup):
                waiting += link.exceptions
            yield link


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """The frames above the first of ours. Where only pytest called us, that one stays: without any there is no traceback."""
    kept = []
    while trace is not None and not _is_in(trace, _OURS):
        kept.append(trace)
        trace = trace.tb_next
    if trace is not None and all(_is_in(frame, _CALLERS) for frame in kept):
        kept.append(trace)
    rest = None
    for frame in reversed(kept):
        rest = TracebackType(rest, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return rest


def _is_in(trace: TracebackType, packages: Sequence[str]) -> bool:
    module = str(trace.tb_frame.f_globals.get("__name__"))
    return any(module == name or module.startswith(f"{name}.") for name in packages)
