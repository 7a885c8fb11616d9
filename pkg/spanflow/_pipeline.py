"""Pipelines: chunks of arrays, or any objects, through stages, bounded in items and bytes."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack

from spanflow import _item_type, _resume
from spanflow._collate import collate, copy_into, fill, joins
from spanflow._core import Array, Operation, Run, _start_run, asarray, col
from spanflow._description import (
    MISSING,
    Rows,
    Stage,
    calling,
    check_picklable,
    is_file,
    read,
    source_text,
)
from spanflow._limits import bytes_of, integer_of, nanoseconds_of, seed_of
from spanflow._sources import (
    Awaited,
    Cached,
    Concatenated,
    Interleaved,
    Made,
    Repeated,
    Stored,
    Teed,
    Zipped,
)
from spanflow._transforms import Decoder, Window
from spanflow._workers import Workers

if TYPE_CHECKING:
    from pathlib import Path

    from spanflow._group_stream import GroupedPipeline
    from spanflow._tree import Part
    from spanflow._watch import Watch

_TRACE_EVENTS: Final = 1 << 16  # of a thread, by default
_MOST_EVENTS: Final = 1 << 20


class RunOptions(TypedDict, total=False):
    """What the verbs that run a pipeline to its end pass on to `run`."""

    threads: int | None
    memory: int | str | None
    timeout: float | None
    progress: bool
    oversize: Literal["error", "alone"]
    ordered: bool


class Pipeline:
    """A source and stages: an immutable description that may run any number of times.

    `source` is `sf.read(…)`, an array (which is read in chunks of about 1 MiB), or any iterable.
    Each verb returns a new pipeline. Operations (`sf.add`, `sf.mean`, …) are native stages: they
    never need the GIL. Any other callable is called with each item, on the run's threads, several
    at once. Items come out in the order of the source.

        pipe = sf.Pipeline(sf.read(m, rows=4096)).map(sf.mean, axis=1).filter(sf.greater, 0.5)
        with pipe.run(threads=2, memory="512MB") as run:
            for chunk in run: ...
        total = pipe.reduce(sf.sum)

    A pipeline over an iterator (a generator, a file) uses it up: it can run once.

    Without a source it is a chain of stages, which `pipe | chain` puts behind another pipeline:

        normalize = sf.Pipeline().map(sf.subtract, 0.5).map(sf.multiply, 2)
        (sf.Pipeline(m) | normalize).reduce(sf.mean)

    What a native stage cannot do with the source's dtype and shape is an error of the verb, as far
    as they are known: a column that is not there, an axis out of range, a wrong number of operands.
    `print(pipe)` shows what is known. Pipelines can be pickled if their source and functions can.
    """

    __slots__ = ("_begin", "_prefetch", "_source", "_stages", "_type")

    def __init__(self, source: Any = MISSING, /):
        if source is MISSING:
            source = None
        elif not isinstance(source, (Rows, Made)):
            if isinstance(source, (Array, memoryview)) or hasattr(source, "__array_interface__"):
                source = read(source)
            elif isinstance(source, AsyncIterable):
                source = Awaited(source)
            elif isinstance(source, os.PathLike) or is_file(source):
                raise TypeError(f"a pipeline over a file is sf.Pipeline(sf.read({source!r}))")
            elif not isinstance(source, Iterable):
                raise TypeError(
                    f"a pipeline needs sf.read(…), an array or an iterable, got {source!r}"
                )
        self._source = source
        self._stages: tuple[Stage, ...] = ()
        self._prefetch = -1
        self._begin: tuple[int, list[int]] | None = None  # items to leave out, lengths of epochs
        self._type = _item_type.of_rows(source) if isinstance(source, Rows) else None

    def map(
        self,
        function: Callable[..., Any] | str,
        /,
        *args: Any,
        workers: Workers | str | None = None,
        **kwargs: Any,
    ) -> Pipeline:
        """Replaces each item by `function(item, *args, **kwargs)`.

        An elementwise operation takes the item's array (or all arrays of a tuple) as its first
        operands and `args` as the others: numbers, arrays that broadcast, or `sf.aligned(array)`. A
        reduction takes axis, keepdims and ddof, and reduces within each item. An expression
        (`sf.col("t") * 1.8 + 32`) is computed for each item: its columns are the fields of a record
        array, or the arrays of the item in the order of their first use.

        With `workers`, threads, interpreters, processes or an event loop of the stage's own call
        the function: "process", or `sf.Workers("process", 2, …)`, which also says what its errors
        do. Then the function may be a name, "module:name".
        """
        return self._with(calling("map", function, args, kwargs, workers, expressions=True))

    def cast(self, dtype: Any, /) -> Pipeline:
        """Casts each array of the items to `dtype`, as C casts numbers; natively."""
        return self._with(Stage("cast", col("item").astype(dtype), (), {}))

    def normalize(self, mean: Any = 0, std: Any = 1, /, *, dtype: Any = "float32") -> Pipeline:
        """Replaces each array x of the items by (x - mean) / std, computed in `dtype`; natively.

        `mean` and `std` are numbers, or what `asarray` takes and broadcasts with the arrays: one of
        each channel.
        """
        kind = asarray(0, dtype).dtype
        mean, std = (n if isinstance(n, (int, float)) else asarray(n, kind) for n in (mean, std))
        normal = (col("item").astype(kind) - mean) / std
        return self._with(Stage("normalize", normal, (), {}))

    def decode(self, dtype: Any, shape: Sequence[int] | int = -1, /) -> Pipeline:
        """Replaces bytes (bytes, a uint8 array, any buffer) by the array that they hold: of `dtype`
        and `shape`, in which one length may be -1. Nothing is copied.

        Raises ValueError for bytes that do not fill it.
        """
        whole = (shape,) if isinstance(shape, int) else tuple(shape)
        return self.map(Decoder(asarray([], dtype).dtype, whole))

    def filter(
        self,
        function: Callable[..., Any] | str,
        /,
        *args: Any,
        workers: Workers | str | None = None,
        **kwargs: Any,
    ) -> Pipeline:
        """Keeps the items, or their rows, for which `function(item, *args, **kwargs)` is true.

        A result that is one truth value keeps or drops the whole item; an array of bool selects
        rows (or elements) of the item's arrays. `workers` as for `map`.
        """
        return self._with(calling("filter", function, args, kwargs, workers, expressions=True))

    def flat_map(
        self,
        function: Callable[..., Iterable[Any]] | str,
        /,
        *args: Any,
        workers: Workers | str | None = None,
        **kwargs: Any,
    ) -> Pipeline:
        """Replaces each item by the items of `function(item, *args, **kwargs)`, any iterable.

        An array gives its rows, as views. What comes of one item goes on as it comes: the iterable
        may be larger than the run's memory, or endless. With `workers`, as for `map`, it is made
        whole by them first.
        """
        return self._with(calling("flat_map", function, args, kwargs, workers))

    def tap(
        self,
        function: Callable[..., Any] | str,
        /,
        *args: Any,
        workers: Workers | str | None = None,
        **kwargs: Any,
    ) -> Pipeline:
        """Calls `function(item, *args, **kwargs)` with each item, in order, and passes it on.

        `workers` as for `map`; they work on one item at a time.
        """
        return self._with(calling("tap", function, args, kwargs, workers))

    def enumerate(self, start: int = 0) -> Pipeline:
        """Replaces each item by the tuple (number, item), counted from `start`."""
        return self._with(
            Stage("enumerate", None, (), {"start": integer_of("start", start, -(2**62), 2**62)})
        )

    def take(self, n: int, /) -> Pipeline:
        """Lets the first `n` items through and ends the source.

        Threads may have taken a few more items from the source by then.
        """
        return self._with(Stage("take", None, (), {"n": integer_of("take", n, 0)}))

    def skip(self, n: int, /) -> Pipeline:
        """Drops the first `n` items."""
        return self._with(Stage("skip", None, (), {"n": integer_of("skip", n, 0)}))

    def shard(self, i: int, n: int, /) -> Pipeline:
        """Lets item `i` of every `n` through, `i` from 0 to `n` - 1: the share of one of `n`."""
        n = integer_of("n", n, 1)
        return self._with(Stage("shard", None, (), {"i": integer_of("i", i, 0, n - 1), "n": n}))

    def sample(self, share: float, /, *, seed: int | None = None) -> Pipeline:
        """Lets each item through with the probability `share`, from 0 to 1.

        Which ones depends on `seed` alone, whatever the number of threads; without it each run has
        a choice of its own.
        """
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"sample() needs a share from 0 to 1, got {share!r}")
        return self._with(Stage("sample", None, (), {"share": float(share), "seed": seed_of(seed)}))

    def shuffle(self, buffer: int, /, *, seed: int | None = None) -> Pipeline:
        """Changes the order of the items at random.

        `buffer` items are held back; whenever one comes, one of these, each as likely, goes on. A
        buffer as long as the data makes every order equally likely. What comes out depends on
        `seed` alone, whatever the number of threads; without it each run has an order of its own.
        What is held counts against the run's memory and must fit into it.
        """
        kwargs = {"buffer": integer_of("buffer", buffer, 1), "seed": seed_of(seed)}
        return self._with(Stage("shuffle", None, (), kwargs))

    def transform(self, factory: Callable[[], Any], /) -> Pipeline:
        """A stage with state of its own.

        Each run calls `factory()` for an object, which is called with each item, in order and one
        at a time, and returns an iterable of items that go on, or None. Its method finish(), where
        it has one, is called after the last item and returns what was held back.
        """
        return self._with(calling("transform", factory, (), {}))

    def window(self, n: int, /, step: int = 1) -> Pipeline:
        """Replaces items by windows of `n` that follow one another, `step` items further each time.

        A window is made of its items as `batch` does; the last items that fill none are left out.
        """
        n, step = integer_of("window", n, 1), integer_of("step", step, 1)
        return self._with(Stage("transform", Window.factory(n, step, collate), (), {}))

    def zip(self, *others: Any, strict: bool = False) -> Pipeline:
        """Tuples of one item of this pipeline and one of each of `others`, which are pipelines or
        what a pipeline can be over.

        Ends with the shortest; with `strict` a longer one is a ValueError. As for `concat` and
        `interleave`, each pipeline runs by itself, and the memory of the run is shared out evenly.
        """
        return Pipeline(Zipped(self._branches("zip", others), strict))

    def concat(self, *others: Any) -> Pipeline:
        """The items of this pipeline, then those of each of `others`."""
        return Pipeline(Concatenated(self._branches("concat", others)))

    def interleave(self, *others: Any) -> Pipeline:
        """One item of each pipeline in turn; those that have ended are left out."""
        return Pipeline(Interleaved(self._branches("interleave", others)))

    def tee(self, *chains: Pipeline) -> Pipeline:
        """Tuples of what each of the `chains` makes of the same items, as `zip` of them would be:
        the pipeline itself runs once.

        A chain is a pipeline without a source, sf.Pipeline().map(f); sf.Pipeline() is the items as
        they are. A chain that takes several items for one, such as a batch, lets those wait that
        the others have not come to: more of them than a share of the run's memory is a ValueError.
        """
        for chain in chains:
            if not isinstance(chain, Pipeline) or chain._source is not None:
                raise TypeError(
                    "tee() needs chains of stages, sf.Pipeline() without a source, got "
                    f"{chain if not isinstance(chain, Pipeline) else source_text(chain._source)!r}"
                )
        if not chains:
            raise TypeError("tee() needs at least one chain of stages")
        self._branches("tee", (self,))
        return Pipeline(Teed((self, *chains)))

    def repeat(self, n: int | None = None, /) -> Pipeline:
        """The items `n` times over, or without end.

        Each time is a run of its own; a `shuffle` or `sample` with a seed has another order each
        time, that depends on the seed alone.
        """
        if isinstance(self._source, Iterator):
            raise TypeError(
                f"repeat() cannot read {source_text(self._source)} again, an iterator is used up; "
                "cache() it first, or let the pipeline read a list or another iterable"
            )
        self._check_whole()
        return Pipeline(Repeated(self, None if n is None else integer_of("repeat", n, 0)))

    def cache(self, path: Any = None, /) -> Pipeline:
        """Keeps the items: the first run that comes to its end computes them, later ones get them
        as they are.

        In memory arrays are kept as copies, which do not count against a run's memory, and other
        objects themselves. With `path` they are kept in a file of that name, also for other
        processes: arrays are then views of the mapped file, and other objects are pickled, so read
        only files that you trust. A file that another pipeline made is a ValueError.
        """
        self._check_whole()
        if path is not None:
            return Pipeline(Stored(self, os.fspath(path)))
        return Pipeline(Cached(self))

    def batch(self, n: int, /, *, drop_last: bool = False) -> Pipeline:
        """Makes one item of every `n`: arrays are stacked along a new first axis.

        Tuples and dicts become tuples and dicts of what is made of their entries; numbers become an
        array, anything else a list. Arrays that are stacked have one shape and dtype. The last
        batch has what is left, or is left out with `drop_last`.
        """
        kwargs = {"n": integer_of("batch", n, 1), "drop_last": bool(drop_last)}
        return self._with(Stage("batch", None, (), kwargs))

    def rebatch(
        self,
        rows: int | None = None,
        /,
        *,
        nbytes: int | str | None = None,
        drop_last: bool = False,
    ) -> Pipeline:
        """Cuts arrays anew along their first axis: into `rows` rows, or as many as fit `nbytes`.

        Where pieces of several arrays meet they are copied, else they are views. The last item has
        what is left, or is left out with `drop_last`. `nbytes` is a number or "64kB", "1MiB", and
        means all arrays of a tuple together; the rows are counted by the first array that comes.
        """
        if (rows is None) == (nbytes is None):
            raise TypeError("rebatch() takes either rows or nbytes=")
        kwargs = {
            "rows": 0 if rows is None else integer_of("rows", rows, 1),
            "nbytes": 0 if nbytes is None else bytes_of(nbytes, "nbytes"),
            "drop_last": bool(drop_last),
        }
        return self._with(Stage("rebatch", None, (), kwargs))

    def unbatch(self) -> Pipeline:
        """Replaces each array by its rows (views), a tuple of arrays by tuples of rows.

        Any other item is iterated over.
        """
        return self._with(Stage("unbatch", None, (), {}))

    def prefetch(self, n: int, /) -> Pipeline:
        """Lets up to `n` finished items wait for the consumer, beside one in hand per thread.

        Without it a run chooses: a few, and more when items are tiny.
        """
        pipe = self._copy()
        pipe._prefetch = integer_of("prefetch", n, 0, 2**16)
        return pipe

    def load_state_dict(self, state: Mapping[str, Any], /) -> Pipeline:
        """The pipeline from where a run of it was: its runs give the items behind those.

        `state` is what `Run.state_dict()` returned, in this process or another: a dict of numbers
        and strings, which JSON can hold. The pipeline is made in the same way as that one was;
        seeds that were not given are those of that run. What was done for the items before is done
        again only where a stage needs it, such as a shuffle, which has to see what it holds back.
        It comes last, behind all verbs that return a pipeline.

        Raises ValueError for the state of a pipeline of other stages, TypeError for anything else.
        """
        self._check_whole()
        pipe, items, epochs = _resume.loaded(self, state)
        pipe._begin = (items, epochs)
        return pipe

    def run(
        self,
        *,
        threads: int | None = None,
        memory: int | str | None = None,
        timeout: float | None = None,
        progress: bool = False,
        trace: bool | int = False,
        oversize: Literal["error", "alone"] = "error",
        ordered: bool = True,
    ) -> Run:
        """Starts the pipeline: a context manager and an iterator over the items.

        `threads` work on it, the consumer included while it waits; by default as many as
        `sf.get_num_threads()`. With 1 and without prefetch, items that are quick are worked on
        inside `next()` alone. `memory` is how many bytes the run may hold ("512MB", "1GiB", a
        number): it holds no more than that and one item per thread, and a single item that is
        larger is an error, or goes alone with `oversize="alone"`. Native results that the consumer
        keeps count too; when they fill the limit the run goes on one item at a time. By default it
        is a quarter of the machine's memory. With `ordered=False` items come out as they are
        finished.

        `timeout` is how many seconds the whole run may take: then the next item is a TimeoutError
        that says what it was waiting for, and the run is cancelled. `progress` shows on standard
        error, or in a notebook, how far it is, how fast, and what limits it. `trace` keeps what
        each thread did and when for `Run.trace(path)`: the last 65,536 events of each thread, or
        as many as it says.
        """
        return self._start(
            None,
            trace,
            threads=threads,
            memory=memory,
            timeout=timeout,
            progress=progress,
            oversize=oversize,
            ordered=ordered,
        )

    def __iter__(self) -> Iterator[Any]:
        return iter(self.run())

    def reduce(
        self,
        function: Callable[..., Any] | Mapping[str, Operation],
        initial: Any = MISSING,
        /,
        *,
        ddof: float = 0,
        **options: Unpack[RunOptions],
    ) -> Any:
        """Runs the pipeline to one result.

        A reduction (`sf.sum`, `sf.max`, `sf.std`, …) is taken over all elements of all items,
        natively and in parallel, with the same result for any number of threads; a dict of them is
        computed in one pass and gives a dict. Any other function of two arguments folds the items
        from left to right, as functools.reduce does. `options` are those of `run`.
        """
        if isinstance(function, Mapping):
            if initial is not MISSING:
                raise TypeError("reduce(): an initial value goes with functions of two arguments")
            values = self._reduce_native(tuple(function.values()), ddof, options)
            return dict(zip(function, values, strict=True))
        if isinstance(function, Operation) and function.kind == "reduction":
            if initial is not MISSING:
                raise TypeError("reduce(): an initial value goes with functions of two arguments")
            return self._reduce_native((function,), ddof, options)[0]
        if not callable(function):
            raise TypeError(f"reduce() needs a reduction or a function, got {function!r}")
        if ddof != 0:
            raise TypeError("reduce(): ddof goes with var and std")
        with self._start(None, False, **options) as run:
            if initial is MISSING:
                return functools.reduce(function, run)
            return functools.reduce(function, run, initial)

    def collect(self, *, out: Any = None, **options: Unpack[RunOptions]) -> Any:
        """Runs the pipeline and returns all that comes out.

        Arrays, ours or NumPy's, are joined along their first axis into an Array; what native stages
        give is joined too where it is numbers (into a 1-d array) or tuples of arrays (into a tuple
        of arrays). Anything else is a list of the items. The result does not count against
        `memory`. `options` are those of `run`.

        With `out`, a writable array, items are written into it one behind the other along its first
        axis, and what they fill of it is returned; items that do not fit are a ValueError.
        """
        if out is not None:
            with self._start(None, False, **options) as run:
                return fill(asarray(out), run)
        if self._gives_arrays():
            return self._collect_native(options)
        with self._start(None, False, **options) as run:
            items = list(run)
        if items and all(joins(item, items[0]) for item in items):
            return Pipeline(items)._collect_native({"threads": 1})
        return items

    def group_by(self, key: Any, /, **options: Unpack[RunOptions]) -> GroupedPipeline:
        """Groups the elements of all items by a key: `.agg(mean=("delay", sf.mean), n=sf.count)` on
        it runs the pipeline and returns a dict of arrays.

        `key` is the name of a column or an expression of columns (those of `map`), of bool or small
        integers. `options` are those of `run`.
        """
        from spanflow._group_stream import GroupedPipeline

        return GroupedPipeline(self, key, options)

    def for_each(
        self,
        function: Callable[[Any], Any] | str,
        /,
        *,
        workers: Workers | str | None = None,
        **options: Unpack[RunOptions],
    ) -> int:
        """Runs the pipeline and calls `function` with each item, on this thread.

        With `workers` (as for `map`) they call it, several at once and in any order. Returns how
        many items it was called with and did not fail for. `options` are those of `run`.
        """
        if workers is not None:
            pipe = self.map(function, workers=workers)
            with pipe._start(None, False, **options) as run:
                return sum(1 for _ in run)
        if not callable(function):
            raise TypeError(f"for_each() needs a function, got {function!r}")
        count = 0
        with self._start(None, False, **options) as run:
            for item in run:
                function(item)
                count += 1
        return count

    def write(
        self, path: Any, /, *, rows: int | None = None, **options: Unpack[RunOptions]
    ) -> list[Path]:
        """Runs the pipeline and writes its arrays behind one another, along their first axis.

        `path` ends in .npy for a file that NumPy reads, else it gets the bytes alone. With `rows`,
        files have as many rows each, and a place in the path takes their numbers
        ("part-{:05}.npy"). A file appears under its name when it is complete; after an error or
        Ctrl-C what was complete is there and nothing else. Returns the paths. `options` are those
        of `run`.

        Raises ValueError for arrays that differ in more than their first axis, for items without
        rows and for no items; OSError when a file cannot be written.
        """
        from spanflow._write import write

        rows = None if rows is None else integer_of("rows", rows, 1)
        with self._start(None, False, **options) as run:
            return write(run, path, rows)

    def to_numpy(self, **options: Unpack[RunOptions]) -> Any:
        """What `collect` returns, as NumPy's array (or a tuple or dict of them), without a copy."""
        import numpy as np

        found = self.collect(**options)
        if isinstance(found, tuple):
            return tuple(map(np.asarray, found))
        if isinstance(found, dict):
            return {name: np.asarray(array) for name, array in found.items()}
        return np.asarray(found)

    def into(self, buffers: Sequence[Any], /, **options: Unpack[RunOptions]) -> Iterator[Any]:
        """Runs the pipeline and copies each item into the next of `buffers`, over and over.

        Yields what was written of the buffer: its first rows, as many as the item has. It stays as
        it is while the next len(buffers) - 1 items come. Items are arrays, or numbers, that fit
        into the buffers' rows. `options` are those of `run`.
        """
        ring = [asarray(buffer) for buffer in buffers]
        if not ring:
            raise ValueError("into() needs at least one buffer")
        with self._start(None, False, **options) as run:
            for i, item in enumerate(run):
                yield copy_into(ring[i % len(ring)], asarray(item))

    def __or__(self, chain: Pipeline) -> Pipeline:
        """The stages of `chain`, a pipeline without a source, behind those of this one."""
        if not isinstance(chain, Pipeline):
            return NotImplemented
        if chain._source is not None:
            raise TypeError(
                "the right side of | must be a chain of stages, sf.Pipeline() without a source; "
                f"this one reads {source_text(chain._source)}"
            )
        pipe = functools.reduce(Pipeline._with, chain._stages, self._copy())
        if chain._prefetch >= 0:
            pipe._prefetch = chain._prefetch
        return pipe

    def __repr__(self) -> str:
        from spanflow._tree import tree_text

        return tree_text(self._parts())

    def _repr_html_(self) -> str:
        from spanflow._tree import tree_html

        return tree_html(self._parts())

    def __copy__(self) -> Pipeline:
        return self._copy()

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        check_picklable(self._source)
        return None, {name: getattr(self, name) for name in self.__slots__}

    def _parts(self) -> list[Part]:
        """What is shown of it."""
        from spanflow._tree import Part

        known = _item_type.of_rows(self._source) if isinstance(self._source, Rows) else None
        branches = tuple(tuple(b._parts()) for b in getattr(self._source, "branches", ()))
        parts = []
        if self._source is not None:
            mode = "parallel" if known else "in order"
            parts.append(
                Part("source", source_text(self._source), mode, str(known or ""), branches)
            )
        for stage in self._stages:
            known = _item_type.after(stage, known)
            parts.append(Part(stage.kind, repr(stage), stage.mode, str(known or "")))
        if self._prefetch >= 0:
            parts.append(Part("prefetch", f"prefetch({self._prefetch})"))
        return parts

    def _copy(self) -> Pipeline:
        pipe = object.__new__(type(self))
        for name in self.__slots__:
            setattr(pipe, name, getattr(self, name))
        return pipe

    def _over(self, source: Any, stages: tuple[Stage, ...]) -> Pipeline:
        pipe = self._copy()
        pipe._source, pipe._stages, pipe._begin = source, stages, None
        return pipe

    def _with(self, stage: Stage) -> Pipeline:
        self._check_whole()
        pipe = self._copy()
        pipe._type = _item_type.after(stage, self._type)
        pipe._stages = (*self._stages, stage)
        return pipe

    def _branches(self, kind: str, others: tuple[Any, ...]) -> tuple[Pipeline, ...]:
        if not others:
            raise TypeError(f"{kind}() needs at least one other pipeline")
        pipes = (self, *(o if isinstance(o, Pipeline) else Pipeline(o) for o in others))
        for pipe in pipes:
            if pipe._source is None:
                raise TypeError(f"{kind}() needs pipelines with a source, got a chain of stages")
            pipe._check_whole()
        return pipes

    def _check_whole(self) -> None:
        if self._begin is not None:
            raise ValueError("load_state_dict() comes last: put verbs before it")

    def _start_epoch(self, epoch: int, skip: int, threads: int | None, memory: int | None) -> Run:
        """One of several runs, with orders of its own and without its first `skip` items."""
        pipe = _resume.with_seeds(self, lambda seed: _resume.seed_of_epoch(seed, epoch))
        return _resume.behind(pipe, skip)._start(None, False, threads=threads, memory=memory)

    def _gives_arrays(self) -> bool:
        gives = isinstance(self._source, Rows) or getattr(self._source, "gives_arrays", False)
        for stage in self._stages:
            gives = stage.gives_arrays(gives)
        return gives

    def _start(
        self,
        sink: tuple[Any, ...] | None,
        trace: bool | int,
        /,
        *,
        threads: int | None = None,
        memory: int | str | None = None,
        timeout: float | None = None,
        progress: bool = False,
        oversize: Literal["error", "alone"] = "error",
        ordered: bool = True,
    ) -> Run:
        if oversize not in ("error", "alone"):
            raise ValueError(f'oversize must be "error" or "alone", got {oversize!r}')
        if self._source is None:
            raise ValueError(
                "this pipeline has no source: it is a chain of stages; run it behind one, "
                "sf.Pipeline(source) | chain"
            )
        nbytes = bytes_of(memory)
        pipe = _resume.with_seeds(self, _resume.drawn)
        before, epochs = self._begin or (0, [])
        place = _resume.Place(pipe, before, list(epochs), bool(ordered))
        pipe = _resume.behind(pipe, before, epochs)
        source: Any = pipe._source
        if isinstance(source, Rows):
            source = (source.arrays, source.rows, source.is_tuple, source.names, source.first)
        elif isinstance(source, Made):
            items = source.items(threads, nbytes, place.epochs)
            nbytes = source.share(nbytes)
            source = (items, source_text(source))
        elif isinstance(source, tuple):
            source = list(source)
        specs = tuple(stage.spec() for stage in pipe._stages)
        watch = pipe._watch() if progress else None
        return _start_run(
            source,
            specs if sink is None else (*specs, sink),
            0 if threads is None else integer_of("threads", threads, 1, 1024),
            nbytes,
            self._prefetch,
            nanoseconds_of(timeout),
            integer_of("trace", _TRACE_EVENTS if trace is True else trace, 0, _MOST_EVENTS),
            watch,
            oversize == "alone",
            bool(ordered),
            place,
        )

    def _watch(self) -> Watch:
        from spanflow._watch import Watch, length_of

        return Watch(length_of(self._source, self._stages))

    def _only(self, last: tuple[Any, ...], options: RunOptions) -> Any:
        with self._start(last, False, **options) as run:
            return next(run, MISSING)

    def _reduce_native(
        self, reductions: tuple[Any, ...], ddof: float, options: RunOptions
    ) -> tuple[Any, ...]:
        result = self._only(("reduce", reductions, (), {"ddof": ddof}, 0), options)
        return result if isinstance(result, tuple) else (result,)

    def _collect_native(self, options: RunOptions) -> Any:
        result = self._only(("collect", None, (), {}, 0), options)
        return [] if result is MISSING else result
