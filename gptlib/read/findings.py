"""What was found wrong with a disk, in a form for people and for scripts."""

from __future__ import annotations

from gptlib._record import Record

ERROR, WARNING, NOTE = "error", "warning", "note"


class Finding(Record):
    """One thing that is not as it should be.

    ``severity`` is ``error`` (a copy or an entry is unusable, or data is at risk), ``warning`` (works, but one more fault
    may not be survived) or ``note``. ``where`` is ``primary``, ``backup``, ``mbr``, ``table`` or ``disk``.

        >>> print(Finding("signature", ERROR, "primary", "no signature"))
        error: primary: no signature
    """

    code: str
    severity: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message}"
