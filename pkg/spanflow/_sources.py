"""Sources that are made when a run starts: files, pipelines side by side or one after the other."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from spanflow._core import Array, open
from spanflow._split import Split

if TYPE_CHECKING:
    from spanflow._core import Run
    from spanflow._pipeline import Pipeline

_GLOB = "*?["
_CHUNK_NBYTES = 1 << 20


class Made:
    """A source of which the items are made by items(), anew in each run."""

    __slots__ = ()

    branches: tuple[Pipeline, ...] = ()
    gives_arrays = False

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        """The items; `threads` and `memory` (0: as by default) are what is there for them. A source
        that repeats itself adds the number of items of each time to `epochs`."""
        raise NotImplementedError

    def over(self, branches: tuple[Pipeline, ...]) -> Made:
        """The same of other pipelines."""
        return self

    def leave(self, runs: list[Run]) -> None:
        """Ends them all. All are told first, as some may be waiting for others. A method, because
        names of modules may be gone already when the interpreter ends."""
        for run in runs:
            run.cancel()
        for run in reversed(runs):
            run.__exit__(None, None, None)

    def share(self, memory: int) -> int:
        """What is left of `memory` for the run that reads from here."""
        return memory // (len(self.branches) + 1) if self.branches else memory


# ---- files ----


class Files(Made):
    """Files of arrays, one after the other: what `read` returns for several of them."""

    __slots__ = ("options", "paths", "rows")

    gives_arrays = True

    def __init__(self, paths: Iterable[Any], rows: int, options: dict[str, Any]):
        self.paths = paths
        self.rows = rows
        self.options = options

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Array]:
        for path in self.paths:
            array = open(path, **self.options)
            if array.ndim == 0:
                raise ValueError(f"read() cuts arrays along their first axis; {path} has none")
            row_nbytes = max(array.nbytes // max(len(array), 1), 1)
            rows = self.rows or max(_CHUNK_NBYTES // row_nbytes, 1)
            for first in range(0, len(array), rows):
                yield array[first : first + rows]

    def __repr__(self) -> str:
        rows = f", rows={self.rows}" if self.rows else ""
        if isinstance(self.paths, list):
            some = ", ".join(map(str, self.paths[:2])) + (", …" if len(self.paths) > 2 else "")
            return f"read({len(self.paths)} files: {some}{rows})"
        return f"read(<{type(self.paths).__name__}>{rows})"


def paths_of(source: Any) -> list[Any] | None:
    """The files that a path or a pattern with *, ? or [ means; None for what is no path."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    text = os.fspath(source)
    if not any(mark in text for mark in _GLOB) or os.path.exists(text):
        return [source]
    import glob  # needs re, and most programs need neither

    found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise FileNotFoundError(f"no file matches {text!r}")
    return list(found)


# ---- pipelines ----


class Combined(Made):
    """Several pipelines as one source; each has a run of its own, of which the end of this one is
    the end."""

    __slots__ = ("branches",)

    name = ""

    def __init__(self, branches: tuple[Pipeline, ...]):
        self.branches = branches

    def over(self, branches: tuple[Pipeline, ...]) -> Combined:
        return type(self)(branches)

    def __repr__(self) -> str:
        return f"{self.name}({len(self.branches)} pipelines)"

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        share = memory // (len(self.branches) + 1) or None
        runs: list[Run] = []

        def start(pipe: Pipeline) -> Run:
            runs.append(pipe.run(threads=threads, memory=share))
            return runs[-1]

        try:
            yield from self.combine([partial(start, pipe) for pipe in self.branches])
        finally:
            self.leave(runs)

    def combine(self, starts: list[Callable[[], Iterator[Any]]]) -> Iterator[Any]:
        raise NotImplementedError


class Concatenated(Combined):
    __slots__ = ()

    name = "concat"

    def combine(self, starts: list[Callable[[], Iterator[Any]]]) -> Iterator[Any]:
        for start in starts:
            yield from start()


class Interleaved(Combined):
    __slots__ = ()

    name = "interleave"

    def combine(self, starts: list[Callable[[], Iterator[Any]]]) -> Iterator[Any]:
        runs = [start() for start in starts]
        while runs:
            for run in list(runs):
                try:
                    item = next(run)
                except StopIteration:
                    runs.remove(run)
                else:
                    yield item


class Zipped(Combined):
    __slots__ = ("strict",)

    name = "zip"

    def __init__(self, branches: tuple[Pipeline, ...], strict: bool):
        super().__init__(branches)
        self.strict = strict

    def over(self, branches: tuple[Pipeline, ...]) -> Zipped:
        return Zipped(branches, self.strict)

    def combine(self, starts: list[Callable[[], Iterator[Any]]]) -> Iterator[Any]:
        return zip(*[start() for start in starts], strict=self.strict)


class Teed(Made):
    """One pipeline, of which several chains get all items."""

    __slots__ = ("branches",)

    name = "tee"

    def __init__(self, branches: tuple[Pipeline, ...]):
        self.branches = branches  # the pipeline, then the chains

    def __repr__(self) -> str:
        return f"tee({len(self.branches) - 1} chains)"

    def over(self, branches: tuple[Pipeline, ...]) -> Teed:
        return Teed(branches)

    def share(self, memory: int) -> int:
        """As much for each run, and twice that for what waits between them."""
        return memory // (len(self.branches) + 3)

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        pipe, *chains = self.branches
        share = self.share(memory) or None
        run = pipe.run(threads=threads, memory=share)
        split = Split(run, len(chains), 2 * run.stats()["memory"])
        sides: list[Run] = []
        try:
            for i, chain in enumerate(chains):
                side = chain._over(split.side(i), chain._stages)
                sides.append(side.run(threads=threads, memory=share))
            yield from split.join(sides)
        finally:
            run.cancel()  # first, as a side may be waiting for it
            split.close()
            self.leave([run, *sides])


class Repeated(Made):
    """A pipeline over and over, from item number `skip` of a time on."""

    __slots__ = ("begin", "branches", "count", "skip")

    name = "repeat"

    def __init__(self, pipe: Pipeline, count: int | None, begin: int = 0, skip: int = 0):
        self.branches = (pipe,)
        self.count = count
        self.begin = begin
        self.skip = skip

    def __repr__(self) -> str:
        return "repeat()" if self.count is None else f"repeat({self.count})"

    def over(self, branches: tuple[Pipeline, ...]) -> Repeated:
        return Repeated(branches[0], self.count, self.begin, self.skip)

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        epoch, skip = self.begin, self.skip
        share = memory // 2 or None
        while self.count is None or epoch < self.count:
            length = skip
            with self.branches[0]._start_epoch(epoch, skip, threads, share) as run:
                for item in run:
                    length += 1
                    yield item
            if length == 0:
                return  # for ever nothing
            epochs.append(length)
            epoch, skip = epoch + 1, 0


class Stored(Made):
    """The items of a pipeline in a file, which the first run makes."""

    __slots__ = ("branches", "path")

    name = "cache"

    def __init__(self, pipe: Pipeline, path: str):
        self.branches = (pipe,)
        self.path = path

    def __repr__(self) -> str:
        return f"cache({self.path!r})"

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        from spanflow import _stored

        made_by = repr(self.branches[0])
        if os.path.exists(self.path):
            yield from _stored.read(self.path, made_by)
            return
        with self.branches[0].run(threads=threads, memory=memory // 2 or None) as run:
            yield from _stored.write(self.path, made_by, run)


class Cached(Made):
    """The items of a pipeline, which runs once; later runs get what it gave."""

    __slots__ = ("branches", "stored")

    name = "cache"

    def __init__(self, pipe: Pipeline):
        self.branches = (pipe,)
        self.stored: list[Any] | None = None

    def __repr__(self) -> str:
        return "cache()" if self.stored is None else f"cache({len(self.stored)} items)"

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, {"branches": self.branches, "stored": None}

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        if self.stored is not None:
            yield from self.stored
            return
        seen = []
        with self.branches[0].run(threads=threads, memory=memory // 2 or None) as run:
            for item in run:
                seen.append(_own(item))
                yield seen[-1]
        self.stored = seen


def _own(item: Any) -> Any:
    """The item with arrays of its own: those of a run count against its memory while they live, and
    those of a file stay in the file."""
    if isinstance(item, Array):
        return item.copy()
    if isinstance(item, tuple):
        return tuple(map(_own, item))
    if isinstance(item, dict):
        return {key: _own(value) for key, value in item.items()}
    return item


# ---- asynchronous iterables ----


class Awaited(Made):
    """What an asynchronous iterable gives, awaited in an event loop on the run's threads."""

    __slots__ = ("source",)

    def __init__(self, source: AsyncIterable[Any]):
        self.source = source

    def __repr__(self) -> str:
        return f"<{type(self.source).__name__}>"

    def items(self, threads: int | None, memory: int, epochs: list[int]) -> Iterator[Any]:
        import asyncio  # takes longer to import than all of spanflow

        loop = asyncio.new_event_loop()
        iterator = self.source.__aiter__()
        try:
            while True:
                try:
                    item = _apart(lambda: loop.run_until_complete(_next(iterator)))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            _apart(lambda: _finish(loop, iterator))


def _apart(function: Callable[[], Any]) -> Any:
    """Calls what runs an event loop; in another thread where one runs already, as when a coroutine
    asks for items or drops the run."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def _finish(loop: Any, iterator: Any) -> None:
    import asyncio

    for task in asyncio.all_tasks(loop):
        task.cancel()  # Ctrl-C left it
    loop.call_soon(loop.stop)
    loop.run_forever()  # with what is scheduled still, which would end the calls below
    close = getattr(iterator, "aclose", None)
    if close is not None:
        loop.run_until_complete(close())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _next(iterator: Any) -> Any:
    return await iterator.__anext__()
