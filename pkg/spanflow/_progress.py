"""A progress bar for the command line: rich's where it is installed, plain text elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

_WIDTH = 30
_LIVE_SECONDS = 0.1  # between two redraws on a terminal
_LOG_SECONDS = 5.0  # between two lines in a log


class Progress(Protocol):
    """What the work inside the block tells: how much of `total` is done so far."""

    def update(self, done: float) -> None: ...


class _Rich:
    def __init__(self, bar, task):
        self._bar = bar
        self._task = task

    def update(self, done: float) -> None:
        self._bar.update(self._task, completed=done)


class _Plain:
    """Redraws one line on a terminal; writes a line now and then where there is none."""

    def __init__(self, title: str, total: float, stream: TextIO):
        self._title = title
        self._total = max(total, 1)
        self._stream = stream
        self._live = stream.isatty()
        self._shown = time.monotonic() if not self._live else 0.0

    def update(self, done: float) -> None:
        now = time.monotonic()
        if now - self._shown < (_LIVE_SECONDS if self._live else _LOG_SECONDS):
            return
        self._shown = now
        share = min(done / self._total, 1.0)
        filled = round(share * _WIDTH)
        line = f"{self._title}  [{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%}"
        self._stream.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        if self._live:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


@contextmanager
def progress(title: str, total: float, *, unit: str = "") -> Iterator[Progress]:
    """Shows progress on standard error while the block runs; unit "B" shows bytes per second."""
    stream = sys.stderr
    if stream.isatty():
        try:
            import rich.console  # type: ignore[import-not-found]
            import rich.progress as rp  # type: ignore[import-not-found]
        except ImportError:
            pass
        else:
            title_column = rp.TextColumn(
                "{task.description}", markup=False
            )  # [b] in a name is text
            columns = [title_column, rp.BarColumn(), rp.TaskProgressColumn()]
            columns += [rp.TransferSpeedColumn()] if unit == "B" else []
            columns += [rp.TimeRemainingColumn()]
            console = rich.console.Console(stderr=True)
            with rp.Progress(*columns, console=console, transient=True) as bar:
                yield _Rich(bar, bar.add_task(title, total=total))
            return
    plain = _Plain(title, total, stream)
    try:
        yield plain
    finally:
        plain.close()
