"""parallel_for, parallel_map, parallel_reduce: Python functions on several threads at once."""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from spanflow import _core
from spanflow._description import MISSING
from spanflow._threads import MOST_THREADS, ThreadPool, number

# What a thread takes at a time is meant to last so long: much longer than taking it.
_PIECE_SECONDS = 0.0005
_LEAVES = 128  # of a reduction, unless `grain` says otherwise

# Up to 3.12 CPython cannot end an interpreter that still has threads, but for the main one.
_KEEP_THREADS = sys.version_info >= (3, 13) or _core._in_main_interpreter()


class _Crew:
    """Threads that loops share.

    They are asked to come, and do what they then find: no more are on their way than there are, so
    that a program of many short loops does not leave a queue behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPool | None = None
        self._coming = 0
        self._open: list[_Loop] = []  # with places

    def help(self, loop: _Loop, count: int) -> None:
        """Lets up to `count` threads into the loop until `dismiss`."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPool(count, "spanflow-par")
            self._pool._workers.grow(count)
            loop.places = count
            self._open.append(loop)
            missing = max(count - self._coming, 0)
            self._coming += missing
        for asked in range(missing):
            try:
                self._pool.submit(self._come)
            except RuntimeError:  # at the end of the program: the caller does it all
                with self._lock:
                    self._coming -= missing - asked
                return

    def _come(self) -> None:
        with self._lock:
            self._coming -= 1
        while (loop := self._enter()) is not None:
            loop.context.copy().run(loop.work, helping=True)
            if loop.forks != _forks:
                return
            with self._lock:
                loop.inside -= 1
                if loop.inside == 0:
                    loop.left.set()
            del loop

    def _enter(self) -> _Loop | None:
        with self._lock:
            for loop in self._open:
                if loop.places > 0:
                    loop.places -= 1
                    loop.inside += 1
                    loop.left.clear()
                    return loop
        return None

    def dismiss(self, loop: _Loop) -> None:
        with self._lock:
            if loop in self._open:
                self._open.remove(loop)
            pool = None if _KEEP_THREADS else self._pool
        if pool is not None:
            pool.shutdown(wait=False)

    def join(self) -> None:
        """Waits for threads that are not kept."""
        if not _KEEP_THREADS and self._pool is not None:
            self._pool.shutdown()


_kept = _Crew()
_forks = 0  # between the process that imported this and this one


def _start_anew() -> None:
    """In a forked child, where nobody comes any more and locks may have been held."""
    global _kept, _forks
    _kept = _Crew()
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


class _Loop:
    """body(index) for every index of [0, n), by whoever takes some; the first error ends it.

    Each thread takes a piece of the indices at a time. Without a grain, pieces grow until one lasts
    long enough, and shrink towards the end, so that all threads end together.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[int], Any],
        n: int,
        grain: int | None,
        index_of: Callable[[int], int],  # for the note
    ) -> None:
        self._name, self._body, self._n, self._index_of = name, body, n, index_of
        self._grain = grain
        self._piece = grain or 1
        self._threads = 1
        self._next = 0
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        # What the crew keeps here.
        self.forks = _forks
        self.context = contextvars.copy_context()
        self.places = self.inside = 0
        self.left = threading.Event()  # nobody of the crew is inside
        self.left.set()

    def run(self, threads: int) -> None:
        self._threads = max(min(threads, -(-self._n // (self._grain or 1))), 1)
        if self._threads > 1:
            self._work_together(_kept if _KEEP_THREADS else _Crew())
        else:
            self.work()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback refers to us

    def _work_together(self, crew: _Crew) -> None:
        forks = _forks
        try:
            try:
                crew.help(self, self._threads - 1)
                self.work()
            finally:
                # Whoever has not come will not: nobody waits for that.
                if forks == _forks:
                    crew.dismiss(self)
            # Errors that are no Exception, such as KeyboardInterrupt, wait for nobody.
            if forks == _forks and (self._error is None or isinstance(self._error, Exception)):
                self.left.wait()
                crew.join()
        except BaseException as error:  # Ctrl-C between the calls
            self._fail(error)

    def work(self, helping: bool = False) -> None:
        while piece := self._take():
            start = time.perf_counter()
            for index in piece:
                failed = None
                try:
                    self._body(index)
                except BaseException as error:
                    failed = error
                if self.forks != _forks:  # this is a child that was forked in there
                    if helping:
                        return
                    self._go_on_alone()
                if failed is not None:
                    failed.add_note(f"in spanflow.{self._name}, index {self._index_of(index)}")
                    self._fail(failed)
                    del failed  # its traceback refers to this frame
                    return
            if self._grain is None:
                self._measure(len(piece), time.perf_counter() - start)

    def _go_on_alone(self) -> None:
        """In a forked child the calling thread goes on as in any loop, but without the others."""
        self.forks = _forks
        self._lock = threading.Lock()

    def _take(self) -> range:
        with self._lock:
            begin = self._next
            size = self._piece
            if self._grain is None:
                size = min(size, max((self._n - begin) // (2 * self._threads), 1))
            self._next = min(begin + size, self._n)
            return range(begin, self._next)

    def _measure(self, count: int, seconds: float) -> None:
        """What lasts long enough stays as it is; else pieces grow, eightfold at most."""
        wanted = count * _PIECE_SECONDS / max(seconds, 1e-9)
        self._piece = max(1, min(int(wanted), 8 * count))

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._next = self._n
            if self._error is None:
                self._error = error


def _threads_of(threads: int | None) -> int:
    return _core.get_num_threads() if threads is None else number("threads", threads, MOST_THREADS)


def _grain_of(grain: int | None) -> int | None:
    return None if grain is None else number("grain", grain)


def _check_callable(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {fn!r}")


def parallel_for(
    fn: Callable[[int], object],
    indices: int | range,
    *,
    grain: int | None = None,
    threads: int | None = None,
) -> None:
    """Call fn(i) for every i of a range, on several threads at once and in no particular order.

    indices: a range, or n for range(n).
    grain: how many calls a thread takes at a time; chosen by their duration when None.
    threads: at most so many work on it, this one included; `sf.get_num_threads()` when None.

    The first exception of a call ends the loop: calls that have not begun are skipped, those that
    have are waited for, and it is raised with its own traceback and a note that names the index.
    KeyboardInterrupt is raised at once. Calls of parallel_for inside of fn work as well.
    TypeError, ValueError for wrong arguments.
    """
    _check_callable(fn)
    if not isinstance(indices, range) and not hasattr(indices, "__index__"):
        raise TypeError(f"indices must be an int or a range, got {indices!r}")
    found = indices if isinstance(indices, range) else range(indices)
    body = fn if found == range(len(found)) else lambda k: fn(found[k])
    _Loop("parallel_for", body, len(found), _grain_of(grain), found.__getitem__).run(
        _threads_of(threads)
    )


def parallel_map(
    fn: Callable[..., Any],
    *iterables: Iterable[Any],
    grain: int | None = None,
    threads: int | None = None,
) -> list[Any]:
    """The list of fn(*items) for the items of the iterables side by side, in their order.

    iterables: one or more; an array gives its rows, without a copy. All items are taken before the
    first call.
    grain, threads, errors: as of `parallel_for`; the note names the position of the item.
    """
    _check_callable(fn)
    if not iterables:
        raise TypeError("parallel_map() needs at least one iterable")
    grain, threads = _grain_of(grain), _threads_of(threads)
    return _map("parallel_map", fn, list(zip(*iterables, strict=False)), grain, threads)


def _map(name: str, fn: Any, calls: list[Any], grain: int | None, threads: int) -> list[Any]:
    results: list[Any] = [None] * len(calls)

    def body(index: int) -> None:
        results[index] = fn(*calls[index])

    _Loop(name, body, len(calls), grain, int).run(threads)
    return results


def parallel_reduce(
    fn: Callable[[Any, Any], Any],
    items: Iterable[Any],
    initial: Any = MISSING,
    *,
    grain: int | None = None,
    threads: int | None = None,
) -> Any:
    """Join all items by fn(left, right), neighbours first, on several threads at once.

    fn: must be associative, up to what the caller tolerates (sums of floats differ in rounding from
    a sum from left to right). The tree of calls depends on the number of items and `grain` only, so
    the result does not depend on the number of threads.
    items: any iterable; an array gives its rows.
    initial: stands before all items; the result when there are none.
    grain: items that one thread joins from left to right; a 128th of all when None.
    threads, errors: as of `parallel_for`; the note names the group of neighbours.
    TypeError without items and initial.
    """
    _check_callable(fn)
    grain, threads = _grain_of(grain), _threads_of(threads)
    found = list(items)
    if not found:
        if initial is MISSING:
            raise TypeError("parallel_reduce() of an empty iterable with no initial value")
        return initial
    size = grain or -(-len(found) // _LEAVES)
    leaves = [found[k : k + size] for k in range(0, len(found), size)]
    values = _joined(fn, leaves, threads)
    while len(values) > 1:
        values = _joined(fn, [values[k : k + 2] for k in range(0, len(values), 2)], threads)
    return values[0] if initial is MISSING else fn(initial, values[0])


def _joined(fn: Any, groups: list[list[Any]], threads: int) -> list[Any]:
    calls = [(fn, group) for group in groups]
    return _map("parallel_reduce", functools.reduce, calls, None, threads)
