"""What was written is flushed, noted in the journal and read back, in this order, while more is fetched and written."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from update_agent.slot.journal import Piece
    from update_agent.slot.writer import SlotWriter


class Settling:
    """One thread flushes and writes the journal, behind it another one reads back. Use it as a context manager.

    What goes wrong in them is raised by the next call. Nothing below ``settled``'s ``until`` may be written before ``begin`` is called.
    """

    def __init__(self, writer: SlotWriter, note: Callable[[Sequence[Piece]], None]) -> None:
        self._writer, self._note = writer, note
        self._flusher = ThreadPoolExecutor(1, "flush")
        self._reader = ThreadPoolExecutor(1, "read back")
        self._flushing: Future[None] | None = None
        self._reading: list[Future[None]] = []
        self._back = writer.reading()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_threads()

    def _end_threads(self) -> None:
        self._flusher.shutdown(cancel_futures=True)
        self._reader.shutdown(cancel_futures=True)

    def begin(self) -> None:
        """All that was written is flushed when this returns, and reading back begins anew. Raises SlotWriteError."""
        self.wait()
        self._writer.flush()
        for reading in self._reading:
            reading.cancel()
        self._reader.submit(lambda: None).result()
        self._reading, self._back = [], self._writer.reading()

    def settle(self, pieces: Sequence[Piece], until: int) -> None:
        """Flush, note these pieces, and read back what is before byte ``until``; none of it is waited for.

        The call before is waited for: no more is at stake than the bytes of two. Raises what the earlier ones met: SlotWriteError.
        """
        self.wait()
        self._flushing = self._flusher.submit(self._settle, pieces, until)

    def _settle(self, pieces: Sequence[Piece], until: int) -> None:
        self._writer.flush()
        self._note(pieces)
        self._reading.append(self._reader.submit(self._back.read, until))

    def wait(self) -> None:
        """Until what was given is flushed and noted. Raises SlotWriteError, of reading back too where that is known already."""
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            flushing.result()
        for reading in self._reading:
            if reading.done():
                reading.result()

    def digest(self, size: int, progress: Callable[[int], None]) -> str:
        """SHA-256 of the first ``size`` bytes of the slot, all of them read from the disk after they were flushed. Raises SlotWriteError.

        ``progress`` is given the number of bytes read. No thread is left when it returns: one that takes a signal would not know that the
        main thread, which changes the table then, does not want any.
        """
        self.wait()
        for reading in self._reading:
            reading.result()
            progress(self._back.end)
        self._end_threads()
        self._back.read(size, progress)
        return self._writer.read_back(size, progress) if self._back.changed_since() else self._back.hexdigest()
