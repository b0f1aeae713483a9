"""Slots that are broken on purpose: each folder of ``broken`` holds files that are laid over a good one.

``panic``: the kernel panics once the slot is up. ``init-exit``: PID 1 ends. ``hang``: the slot's start never ends.
``unhealthy``: a required health check fails.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "broken"
NAMES = tuple(sorted(path.name for path in _FOLDER.iterdir()))


def broken_slot(name: str) -> dict[str, Path]:
    """The files of one of NAMES, by their paths in the slot, as ``build_artifact`` takes them. Raises FileNotFoundError."""
    folder = _FOLDER / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such broken slot; expected one of {', '.join(NAMES)}")
    return {f"/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*")) if path.is_file()}
