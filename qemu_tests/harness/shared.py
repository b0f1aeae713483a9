"""Work that several processes need and one of them does: the workers of a parallel test run share images so."""

from __future__ import annotations

import fcntl
import json
from typing import TYPE_CHECKING, Any

from qemu_tests.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SharedWorkError(LabError):
    """Another process did the work that this one needs, and failed; the text is that of its error."""


def shared_result(folder: Path, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """The result of ``make``, called by the first process that comes; the others wait for it and get the same.

    The result must survive JSON. ``folder`` is shared and must exist. Raises what ``make`` raises, and SharedWorkError in
    the other processes.
    """
    answer = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            try:
                result = {"result": make()}
            except Exception as error:
                answer.write_text(json.dumps({"error": str(error)}))
                raise
            answer.write_text(json.dumps(result))
            return result["result"]
    found = json.loads(answer.read_text())
    if "error" in found:
        raise SharedWorkError(found["error"])
    return found["result"]
