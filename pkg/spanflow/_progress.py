"""A progress bar for the command line: rich's where it is installed, plain text elsewhere."""

from __future__ import annotations

import shutil
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


class Line:
    """Redraws one line on a terminal; writes a line now and then where there is none."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._live = stream.isatty()
        self._shown = time.monotonic() if not self._live else 0.0

    def is_due(self) -> bool:
        return time.monotonic() - self._shown >= (_LIVE_SECONDS if self._live else _LOG_SECONDS)

    def show(self, text: str) -> None:
        self._shown = time.monotonic()
        if self._live:  # in one line, whatever its width
            text = "\r\x1b[2K" + text[: max(shutil.get_terminal_size().columns - 1, 1)]
        self._stream.write(text if self._live else f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._live:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def bar_text(share: float) -> str:
    """How much of a whole, in characters."""
    filled = round(share * _WIDTH)
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%}"


class _Plain:
    def __init__(self, title: str, total: float, stream: TextIO):
        self._title = title
        self._total = max(total, 1)
        self._line = Line(stream)

    def update(self, done: float) -> None:
        if self._line.is_due():
            self._line.show(f"{self._title}  {bar_text(min(done / self._total, 1.0))}")

    def close(self) -> None:
        self._line.clear()


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
