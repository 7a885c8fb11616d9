"""ThreadPool: an executor over native worker threads that steal work from each other."""

from __future__ import annotations

import atexit
import contextvars
import functools
import operator
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.thread import BrokenThreadPool
from itertools import islice
from typing import Any, SupportsIndex

from spanflow import _core

MOST_THREADS = 1024
_pools: weakref.WeakSet[ThreadPool] = weakref.WeakSet()
_exiting = False


def number(name: str, value: SupportsIndex, most: int | None = None) -> int:
    """An argument that must be a whole number from 1 to `most`."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if found < 1 or (most is not None and found > most):
        allowed = "1 or more" if most is None else f"from 1 to {most}"
        raise ValueError(f"{name} must be {allowed}, got {found}")
    return found


class _Work:
    """One call, and the future that gets what comes of it."""

    __slots__ = ("args", "context", "fn", "future", "kwargs")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]):
        self.future: Future[Any] = Future()
        self.context = contextvars.copy_context()
        self.fn, self.args, self.kwargs = fn, args, kwargs

    def __call__(self) -> None:
        future = self.future
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self.context.run(self.fn, *self.args, **self.kwargs)
        except BaseException as error:
            future.set_exception(error)
            del self, future  # the traceback refers to this frame
        else:
            future.set_result(result)


class _Shared:
    """What workers know of their pool, without keeping it alive."""

    def __init__(self, pool: ThreadPool, initializer: Callable[..., Any] | None, initargs: Any):
        self._pool = weakref.ref(pool)
        self._initializer, self._initargs = initializer, initargs

    def start(self) -> bool:
        """Called on each worker before anything else; a worker ends when it returns False."""
        if self._initializer is None:
            return True
        try:
            self._initializer(*self._initargs)
        except BaseException as error:
            pool = self._pool()
            if pool is not None:
                pool._break(error)
            return False
        return True


class ThreadPool(Executor):
    """An executor (`concurrent.futures.Executor`) of up to `max_workers` native threads.

    max_workers: threads, 1-1024; `sf.get_num_threads()` when None. They are started when needed.
    thread_name_prefix: the name that the system shows, with the worker's number behind it; it
    shows 15 bytes.
    initializer, initargs: called on each worker first. When it raises, the pool is broken: what is
    pending and every later submit raises `BrokenThreadPool`.

    Tasks that a task submits lie at its worker, oldest first, and idle workers steal them; all
    others are taken in the order of submission. The threads are the pool's own, so tasks that wait
    never hold up spanflow's native operations. What is pending at the end of the program is still
    done. A forked child has the same pool with nothing pending.

    ValueError, TypeError for a wrong max_workers or an initializer that cannot be called.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if max_workers is None:
            max_workers = _core.get_num_threads()
        if not isinstance(thread_name_prefix, str):
            raise TypeError(f"thread_name_prefix must be a str, got {thread_name_prefix!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be callable or None, got {initializer!r}")
        self._max_workers = number("max_workers", max_workers, MOST_THREADS)
        self._name = thread_name_prefix or "spanflow-task"
        self._shared = _Shared(self, initializer, initargs)
        self._shutdown = False
        self._broken: BaseException | None = None
        self._start_anew()
        _pools.add(self)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._workers = _core._Workers(self._max_workers, self._name, self._shared.start)
        if self._shutdown:
            self._workers.stop()

    def __repr__(self) -> str:
        state = "broken" if self._broken else "shut down" if self._shutdown else "open"
        return f"<spanflow.ThreadPool: {self._max_workers} workers, {state}>"

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule fn(*args, **kwargs), in a copy of the caller's context; its future.

        RuntimeError after shutdown; `BrokenThreadPool` when an initializer failed.
        """
        work = _Work(fn, args, kwargs)
        with self._lock:
            self._check_open()
            self._workers.submit(work)
        return work.future

    def _check_open(self) -> None:
        if self._broken is not None:
            raise BrokenThreadPool(_BROKEN) from self._broken
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def _break(self, error: BaseException) -> None:
        with self._lock:
            self._broken = self._broken or error
            pending = self._workers.take_calls()
        for work in pending:
            _fail(work.future, error)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """An iterator over fn(*items) for the items of the iterables side by side, in order.

        timeout: seconds from this call until a result must be there, else TimeoutError.
        chunksize: calls that are scheduled together, for short ones.
        buffersize: calls that may be scheduled ahead of the results taken; their arguments are
        taken from the iterables one by one as results are. None: all are scheduled at once.

        The first exception of a call comes out in its place and cancels what has not begun.
        """
        if not callable(fn):
            raise TypeError(f"fn must be callable, got {fn!r}")
        chunksize = number("chunksize", chunksize)
        buffersize = None if buffersize is None else number("buffersize", buffersize)
        deadline = None if timeout is None else time.monotonic() + timeout
        calls: Iterator[Any] = zip(*iterables, strict=False)
        if chunksize == 1:
            submit = functools.partial(self._submit_call, fn)
        else:
            calls = _chunks(calls, min(chunksize, buffersize or chunksize))
            submit = functools.partial(self.submit, _call_each, fn)
        ahead = None if buffersize is None else max(buffersize // chunksize, 1)
        futures = deque(map(submit, islice(calls, ahead)))
        results = _results(futures, calls, submit if ahead is not None else None, deadline)
        return results if chunksize == 1 else _flattened(results)

    def _submit_call(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Future[Any]:
        return self.submit(fn, *args)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls. May be called again.

        wait: until all that is pending is done and the threads have ended.
        cancel_futures: cancel what has not begun.
        RuntimeError when a worker of the pool waits for its end.
        """
        with self._lock:
            self._shutdown = True
            pending = self._workers.take_calls() if cancel_futures else []
            self._workers.stop()
        for work in pending:
            if work.future.cancel():
                work.future.set_running_or_notify_cancel()  # tells those who wait for it
        if wait:
            self._workers.join()

    def stats(self) -> _core._PoolStats:
        """What the pool does and did, as a dict.

        'threads': workers that exist; 'queued': calls that have not begun; 'workers': one dict for
        each worker so far: 'done' calls, those of them 'stolen' from another worker, seconds 'busy'
        with calls and 'idle' without.
        """
        return self._workers.stats()


_BROKEN = "A thread initializer failed, the thread pool is not usable anymore"


def _fail(future: Future[Any], cause: BaseException) -> None:
    if future.set_running_or_notify_cancel():
        error = BrokenThreadPool(_BROKEN)
        error.__cause__ = cause
        future.set_exception(error)


def _chunks(calls: Iterator[Any], size: int) -> Iterator[tuple[Any, ...]]:
    while chunk := tuple(islice(calls, size)):
        yield chunk


def _call_each(fn: Callable[..., Any], chunk: tuple[tuple[Any, ...], ...]) -> tuple[Any, Any]:
    """The results of a chunk, and the exception that ended it early."""
    results = []
    for args in chunk:
        try:
            results.append(fn(*args))
        except BaseException as error:
            return results, error
    return results, None


def _flattened(chunks: Generator[tuple[Any, Any]]) -> Iterator[Any]:
    try:
        for results, error in chunks:
            yield from results
            if error is not None:
                try:
                    raise error
                finally:
                    del error, results  # the traceback refers to this frame
    finally:
        chunks.close()


def _results(
    futures: deque[Future[Any]],
    calls: Iterator[Any],
    submit: Callable[[Any], Future[Any]] | None,
    deadline: float | None,
) -> Generator[Any]:
    try:
        while futures:
            if submit is not None:
                futures.extend(map(submit, islice(calls, 1)))
            yield _take(futures, deadline)
    finally:
        for future in futures:
            future.cancel()


def _take(futures: deque[Future[Any]], deadline: float | None) -> Any:
    """The first result; its future is cancelled when the wait for it ends early."""
    future = futures.popleft()
    try:
        return future.result(None if deadline is None else deadline - time.monotonic())
    except (FutureTimeoutError, CancelledError, KeyboardInterrupt):
        future.cancel()
        raise
    finally:
        del future  # an exception that it holds refers to this frame


def _end_pools() -> None:
    """What is pending at the end of the program is done; nothing more is accepted."""
    global _exiting
    _exiting = True
    for pool in list(_pools):
        pool.shutdown()


def _start_pools_anew() -> None:
    """In a forked child, where the workers are not, and locks may have been held."""
    for pool in list(_pools):
        pool._start_anew()


atexit.register(_end_pools)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_pools_anew)
