"""A live view of a run, and the file of its trace."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spanflow import _item_type
from spanflow._progress import Line, bar_text
from spanflow._report import count_text, find_limit, seconds_text, size_text

if TYPE_CHECKING:
    from spanflow._core import Run

_SECONDS = 0.4  # between two pictures, of which one takes about 2 ms
_KEEPS_COUNT = {"map", "tap", "enumerate", "cast", "normalize"}  # as many items come out as go in


def length_of(source: Any, stages: Iterable[Any]) -> int | None:
    """How many items a run will take from its source, where that is known."""
    if hasattr(source, "arrays"):
        length = _item_type.chunks_of(source)
    elif isinstance(source, Sized):
        length = len(source)
    else:
        return None
    for stage in stages:
        if stage.kind == "take":
            return min(length, stage.kwargs["n"])
        if stage.kind not in _KEEPS_COUNT:
            break
    return length


class View(Protocol):
    """Where a run is shown."""

    def is_due(self) -> bool: ...
    def show(self, text: str, done: int, total: int | None) -> None: ...
    def close(self, text: str) -> None: ...


class Watch:
    """Shows a run: called with it every now and then by whoever waits for its items.

    There is no thread behind it, so that none can outlive the run.
    """

    def __init__(self, total: int | None):
        self._total = total
        self._view: View | None = None  # of nobody who can see it
        with self._whoever_can_see():
            self._view = _view()

    def __call__(self, run: Run, is_last: bool) -> None:
        view = self._view
        if view is None or not (is_last or view.is_due()):
            return
        stats = run.stats()
        done = _done(stats)
        text = summary_text(stats) if is_last else live_text(stats, done, self._total)
        with self._whoever_can_see():
            if is_last:
                view.close(text)
            else:
                view.show(text, done, self._total)

    @contextmanager
    def _whoever_can_see(self) -> Iterator[None]:
        """Gives up where nobody can: a closed stream, a pipe without a reader."""
        try:
            yield
        except (OSError, ValueError):
            self._view = None


def _done(stats: Any) -> int:
    """Items of the source that are behind the consumer."""
    return max(stats["stages"][0]["items"] - stats["tokens"], 0)


def live_text(stats: Any, done: int, total: int | None) -> str:
    """How far a run is, how fast, how long it will take, and what limits it."""
    elapsed = stats["elapsed"] or 1e-9
    words = [f"{done:,} items" if total is None else f"{done:,}/{total:,} items"]
    words.append(f"{count_text(done / elapsed)} items/s")
    if nbytes := stats["stages"][0]["nbytes"]:
        words.append(f"{size_text(nbytes / elapsed)}/s")
    if total is not None and 0 < done < total:
        words.append(f"{_clock((total - done) * elapsed / done)} left")
    limit = find_limit(stats)
    if limit.short:
        words.append(f"limit: {limit.short}")
    return "  ".join(words)


def summary_text(stats: Any) -> str:
    """What is left to see when a run has ended."""
    elapsed = stats["elapsed"] or 1e-9
    return (
        f"{stats['delivered']:,} items out of {stats['stages'][0]['items']:,} in "
        f"{seconds_text(elapsed)}  {count_text(stats['stages'][0]['items'] / elapsed)} items/s  "
        f"{size_text(stats['stages'][0]['nbytes'] / elapsed)}/s"
    )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _view() -> View:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        return _Notebook()
    if sys.stderr is None:
        raise OSError("there is no standard error")
    if sys.stderr.isatty():
        try:
            return _Rich()
        except ImportError:
            pass
    return _Plain()


class _Plain:
    def __init__(self) -> None:
        self._line = Line(sys.stderr)

    def is_due(self) -> bool:
        return self._line.is_due()

    def show(self, text: str, done: int, total: int | None) -> None:
        self._line.show(f"{bar_text(min(done / total, 1.0))}  {text}" if total else text)

    def close(self, text: str) -> None:
        self._line.clear()
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class _Timed:
    """Due now and then."""

    def __init__(self) -> None:
        self._shown = time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._shown < _SECONDS:
            return False
        self._shown = now
        return True


class _Rich(_Timed):
    """Drawn when it is told to, and never by a thread of rich's own."""

    def __init__(self) -> None:
        super().__init__()
        import rich.console
        import rich.progress as rp

        text = rp.TextColumn("{task.description}", markup=False)
        self._bar = rp.Progress(
            rp.BarColumn(),
            rp.TaskProgressColumn(),
            text,
            console=rich.console.Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=None)

    def show(self, text: str, done: int, total: int | None) -> None:
        self._bar.start()  # once
        self._bar.update(self._task, completed=done, total=total, description=text)
        self._bar.refresh()

    def close(self, text: str) -> None:
        self._bar.stop()
        self._bar.console.print(text, markup=False, highlight=False)


class _Notebook(_Timed):
    """One output of a cell that is replaced."""

    def __init__(self) -> None:
        super().__init__()
        from IPython.display import HTML, display  # type: ignore[import-not-found]

        self._html = HTML
        self._handle = display(HTML(""), display_id=True)

    def show(self, text: str, done: int, total: int | None) -> None:
        share = f' max="{total}" value="{done}"' if total else ""
        self._handle.update(self._html(f"<progress{share}></progress> <code>{escape(text)}</code>"))

    def close(self, text: str) -> None:
        self._handle.update(self._html(f"<code>{escape(text)}</code>"))


def save_trace(path: str | os.PathLike[str], text: bytes, dropped: int) -> Path:
    """Writes the trace of a run; warns where it is not whole."""
    target = Path(path)
    target.write_bytes(text)
    if dropped:
        warnings.warn(
            f"the trace lacks {dropped:,} older events: run(trace=n) keeps the last n of each "
            "thread, by default 65,536",
            RuntimeWarning,
            stacklevel=2,
        )
    return target
