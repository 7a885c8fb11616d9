"""Pipelines: chunks of arrays, or any objects, through stages, bounded in items and bytes."""

from __future__ import annotations

import functools
import operator
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from spanflow._core import Array, Expression, Operation, Run, _start_run, asarray, empty

_UNITS: Final = {
    "": 1,
    "b": 1,
    **{f"{p}b": 1000 ** (i + 1) for i, p in enumerate("kmgt")},
    **{f"{p}ib": 1024 ** (i + 1) for i, p in enumerate("kmgt")},
}
_FOREIGN_KINDS: Final = "OUMm"  # of NumPy, which an Array cannot hold


class _Missing:
    """Stands for an argument that was not given; help() shows it by its name."""

    def __repr__(self) -> str:
        return "<none>"


_MISSING: Final = _Missing()


class Rows:
    """Arrays cut along their first axis: what `read` returns."""

    __slots__ = ("arrays", "is_tuple", "rows")

    def __init__(self, arrays: tuple[Array, ...], rows: int, is_tuple: bool):
        self.arrays = arrays
        self.rows = rows
        self.is_tuple = is_tuple

    def __repr__(self) -> str:
        arrays = ", ".join(map(_array_text, self.arrays))
        rows = f", rows={self.rows}" if self.rows else ""
        return f"read(({arrays}){rows})" if self.is_tuple else f"read({arrays}{rows})"


class Aligned:
    """An array of which each chunk meets its own rows: what `aligned` returns."""

    __slots__ = ("array",)

    def __init__(self, array: Array):
        self.array = array

    def __repr__(self) -> str:
        return f"aligned({_array_text(self.array)})"


def read(source: Any, /, rows: int | None = None) -> Rows:
    """Arrays as a source of chunks of consecutive rows, without copying.

    `source` is an array, or a tuple of arrays with the same number of rows, which are cut side by
    side; then each item is a tuple. `rows` is how many rows a chunk has, by default as many as make
    about 1 MiB. The bytes are borrowed while a run reads them: closing the array is refused.
    """
    rows = 0 if rows is None else _number("rows", rows, 1)
    is_tuple = isinstance(source, tuple)
    arrays = tuple(map(asarray, source)) if is_tuple else (asarray(source),)
    if not arrays:
        raise ValueError("read() needs at least one array")
    for array in arrays:
        if array.ndim == 0:
            raise ValueError("read() cuts arrays along their first axis; a 0-d array has none")
        if len(array) != len(arrays[0]):
            raise ValueError(
                "read() of several arrays needs the same number of rows in each, got "
                f"{arrays[0].shape} and {array.shape}"
            )
    return Rows(arrays, rows, is_tuple)


def aligned(array: Any, /) -> Aligned:
    """An operand with one row for each row of the source.

    A stage combines each chunk with the rows of `array` that stand at the same place:
    `read(a, rows=100)` and `.map(sf.multiply, sf.aligned(w))` multiply rows 100 to 199 of `a` with
    `w[100:200]`. Stages that drop rows end the correspondence.
    """
    converted = asarray(array)
    if converted.ndim == 0:
        raise ValueError("aligned() needs an array with rows; a 0-d array has none")
    return Aligned(converted)


class Stage:
    """One stage of a description: what is done, with what."""

    __slots__ = ("args", "function", "kind", "kwargs")

    def __init__(self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]):
        for name, value in kwargs.items():
            if isinstance(value, Aligned):
                raise TypeError(f"{kind}(): aligned() goes by position, not as {name}=")
        self.kind = kind
        self.function = function
        self.args = args
        self.kwargs = kwargs

    @property
    def native(self) -> bool:
        return isinstance(self.function, (Operation, Expression))

    def gives_arrays(self, before: bool) -> bool:
        """Whether its items are arrays for certain, if what it gets are or are not."""
        if self.kind in ("flat_map", "enumerate"):
            return False
        if self.kind == "rebatch":
            return True
        return self.native if self.kind == "map" else before

    def spec(self) -> tuple[Any, ...]:
        args = tuple(arg.array if isinstance(arg, Aligned) else arg for arg in self.args)
        mask = sum(1 << i for i, arg in enumerate(self.args) if isinstance(arg, Aligned))
        kwargs = self.kwargs
        if self.kind == "shuffle":  # each run has an order of its own
            seed = kwargs["seed"]
            kwargs = {**kwargs, "seed": random.getrandbits(64) if seed is None else seed % 2**64}
        function = _collate if self.kind == "batch" else self.function
        return (self.kind, function, args, kwargs, mask)

    def __repr__(self) -> str:
        words = [] if self.function is None else [_callable_text(self.function)]
        words += map(_value_text, self.args)
        words += [f"{name}={_value_text(value)}" for name, value in self.kwargs.items()]
        return f"{self.kind}({', '.join(words)})"


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
    """

    __slots__ = ("_prefetch", "_source", "_stages")

    def __init__(self, source: Any, /):
        if not isinstance(source, Rows):
            if isinstance(source, (Array, memoryview)) or hasattr(source, "__array_interface__"):
                source = read(source)
            elif not isinstance(source, Iterable):
                raise TypeError(
                    f"a pipeline needs sf.read(…), an array or an iterable, got {source!r}"
                )
        self._source = source
        self._stages: tuple[Stage, ...] = ()
        self._prefetch = -1

    def map(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pipeline:
        """Replaces each item by `function(item, *args, **kwargs)`.

        An elementwise operation takes the item's array (or all arrays of a tuple) as its first
        operands and `args` as the others: numbers, arrays that broadcast, or `sf.aligned(array)`. A
        reduction takes axis, keepdims and ddof, and reduces within each item. An expression
        (`sf.col("t") * 1.8 + 32`) is computed for each item: its columns are the fields of a record
        array, or the arrays of the item in the order of their first use.
        """
        return self._with(_calling("map", function, args, kwargs, expressions=True))

    def filter(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pipeline:
        """Keeps the items, or their rows, for which `function(item, *args, **kwargs)` is true.

        A result that is one truth value keeps or drops the whole item; an array of bool selects
        rows (or elements) of the item's arrays.
        """
        return self._with(_calling("filter", function, args, kwargs, expressions=True))

    def flat_map(
        self, function: Callable[..., Iterable[Any]], /, *args: Any, **kwargs: Any
    ) -> Pipeline:
        """Replaces each item by the items of `function(item, *args, **kwargs)`, any iterable.

        An array gives its rows, as views. What one item becomes is in memory together.
        """
        return self._with(_calling("flat_map", function, args, kwargs))

    def tap(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pipeline:
        """Calls `function(item, *args, **kwargs)` with each item, in order, and passes it on."""
        return self._with(_calling("tap", function, args, kwargs))

    def enumerate(self, start: int = 0) -> Pipeline:
        """Replaces each item by the tuple (number, item), counted from `start`."""
        return self._with(
            Stage("enumerate", None, (), {"start": _number("start", start, -(2**62))})
        )

    def take(self, n: int, /) -> Pipeline:
        """Lets the first `n` items through and ends the source.

        Threads may have taken a few more items from the source by then.
        """
        return self._with(Stage("take", None, (), {"n": _number("take", n, 0)}))

    def skip(self, n: int, /) -> Pipeline:
        """Drops the first `n` items."""
        return self._with(Stage("skip", None, (), {"n": _number("skip", n, 0)}))

    def shuffle(self, buffer: int, /, *, seed: int | None = None) -> Pipeline:
        """Changes the order of the items at random.

        `buffer` items are held back; whenever one comes, one of these, each as likely, goes on. A
        buffer as long as the data makes every order equally likely. What comes out depends on
        `seed` alone, whatever the number of threads; without it each run has an order of its own.
        What is held counts against the run's memory and must fit into it.
        """
        if seed is not None:
            seed = _number("seed", seed, -(2**63), 2**64)
        return self._with(
            Stage("shuffle", None, (), {"buffer": _number("buffer", buffer, 1), "seed": seed})
        )

    def batch(self, n: int, /, *, drop_last: bool = False) -> Pipeline:
        """Makes one item of every `n`: arrays are stacked along a new first axis.

        Tuples and dicts become tuples and dicts of what is made of their entries; numbers become an
        array, anything else a list. Arrays that are stacked have one shape and dtype. The last
        batch has what is left, or is left out with `drop_last`.
        """
        kwargs = {"n": _number("batch", n, 1), "drop_last": bool(drop_last)}
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
            "rows": 0 if rows is None else _number("rows", rows, 1),
            "nbytes": 0 if nbytes is None else _bytes(nbytes, "nbytes"),
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
        pipe._prefetch = _number("prefetch", n, 0, 2**16)
        return pipe

    def run(self, *, threads: int | None = None, memory: int | str | None = None) -> Run:
        """Starts the pipeline: a context manager and an iterator over the items.

        `threads` work on it, the consumer included while it waits; by default as many as
        `sf.get_num_threads()`. With 1 and without prefetch, items that are quick are worked on
        inside `next()` alone. `memory` is how many bytes the run may hold ("512MB", "1GiB", a
        number): it holds no more than that and one item per thread, and a single item that is
        larger is an error. Native results that the consumer keeps count too; when they fill the
        limit the run goes on one item at a time. By default it is a quarter of the machine's
        memory.
        """
        return self._start(self._stages, threads, memory)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.run())

    def reduce(
        self,
        function: Callable[..., Any] | Mapping[str, Operation],
        initial: Any = _MISSING,
        /,
        *,
        ddof: float = 0,
        threads: int | None = None,
        memory: int | str | None = None,
    ) -> Any:
        """Runs the pipeline to one result.

        A reduction (`sf.sum`, `sf.max`, `sf.std`, …) is taken over all elements of all items,
        natively and in parallel, with the same result for any number of threads; a dict of them is
        computed in one pass and gives a dict. Any other function of two arguments folds the items
        from left to right, as functools.reduce does.
        """
        if isinstance(function, Mapping):
            values = self._reduce_native(tuple(function.values()), ddof, threads, memory)
            return dict(zip(function, values, strict=True))
        if isinstance(function, Operation) and function.kind == "reduction":
            if initial is not _MISSING:
                raise TypeError("reduce(): an initial value goes with functions of two arguments")
            return self._reduce_native((function,), ddof, threads, memory)[0]
        if not callable(function):
            raise TypeError(f"reduce() needs a reduction or a function, got {function!r}")
        if ddof != 0:
            raise TypeError("reduce(): ddof goes with var and std")
        with self.run(threads=threads, memory=memory) as run:
            if initial is _MISSING:
                return functools.reduce(function, run)
            return functools.reduce(function, run, initial)

    def collect(self, *, threads: int | None = None, memory: int | str | None = None) -> Any:
        """Runs the pipeline and returns all that comes out.

        Arrays, ours or NumPy's, are joined along their first axis into an Array; what native stages
        give is joined too where it is numbers (into a 1-d array) or tuples of arrays (into a tuple
        of arrays). Anything else is a list of the items. The result does not count against
        `memory`.
        """
        if self._gives_arrays():
            return self._collect_native(threads, memory)
        with self.run(threads=threads, memory=memory) as run:
            items = list(run)
        if items and all(_joins(item, items[0]) for item in items):
            return Pipeline(items)._collect_native(1, None)
        return items

    def for_each(
        self,
        function: Callable[[Any], Any],
        /,
        *,
        threads: int | None = None,
        memory: int | str | None = None,
    ) -> int:
        """Runs the pipeline and calls `function` with each item, on this thread.

        Returns how many items there were.
        """
        if not callable(function):
            raise TypeError(f"for_each() needs a function, got {function!r}")
        count = 0
        with self.run(threads=threads, memory=memory) as run:
            for item in run:
                function(item)
                count += 1
        return count

    def __repr__(self) -> str:
        lines = [_source_text(self._source), *map(repr, self._stages)]
        if self._prefetch >= 0:
            lines.append(f"prefetch({self._prefetch})")
        marks = ["├─ "] * (len(lines) - 1) + ["└─ "]
        return "\n".join(
            ["Pipeline", *(mark + line for mark, line in zip(marks, lines, strict=True))]
        )

    def _copy(self) -> Pipeline:
        pipe = object.__new__(type(self))
        pipe._source, pipe._stages, pipe._prefetch = self._source, self._stages, self._prefetch
        return pipe

    def _with(self, stage: Stage) -> Pipeline:
        pipe = self._copy()
        pipe._stages = (*self._stages, stage)
        return pipe

    def _gives_arrays(self) -> bool:
        gives = isinstance(self._source, Rows)
        for stage in self._stages:
            gives = stage.gives_arrays(gives)
        return gives

    def _start(
        self,
        stages: Iterable[Stage | tuple[Any, ...]],
        threads: int | None,
        memory: int | str | None,
    ) -> Run:
        threads = 0 if threads is None else _number("threads", threads, 1, 1024)
        source = self._source
        if isinstance(source, Rows):
            source = (source.arrays, source.rows, source.is_tuple)
        elif isinstance(source, tuple):
            source = list(source)
        specs = tuple(stage.spec() if isinstance(stage, Stage) else stage for stage in stages)
        return _start_run(source, specs, threads, _bytes(memory), self._prefetch)

    def _only(self, last: tuple[Any, ...], threads: int | None, memory: int | str | None) -> Any:
        with self._start((*self._stages, last), threads, memory) as run:
            return next(run, _MISSING)

    def _reduce_native(
        self,
        reductions: tuple[Any, ...],
        ddof: float,
        threads: int | None,
        memory: int | str | None,
    ) -> tuple[Any, ...]:
        result = self._only(("reduce", reductions, (), {"ddof": ddof}, 0), threads, memory)
        return result if isinstance(result, tuple) else (result,)

    def _collect_native(self, threads: int | None, memory: int | str | None) -> Any:
        result = self._only(("collect", None, (), {}, 0), threads, memory)
        return [] if result is _MISSING else result


def _calling(
    kind: str,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    expressions: bool = False,
) -> Stage:
    """A stage that calls a function, or computes an expression where it may."""
    if callable(function) or (expressions and isinstance(function, Expression)):
        return Stage(kind, function, args, kwargs)
    may_be = "an operation, an expression or a callable" if expressions else "a callable"
    raise TypeError(f"{kind}() needs {may_be}, got {function!r}")


def _collate(items: list[Any]) -> Any:
    """One item of several, as `Pipeline.batch` says."""
    first = items[0]
    if isinstance(first, tuple):
        return tuple(_collate(list(column)) for column in zip(*items, strict=True))
    if isinstance(first, dict):
        return {key: _collate([item[key] for item in items]) for key in first}
    if isinstance(first, (bool, int, float, complex)):
        return asarray(items)
    if not isinstance(first, Array) and not hasattr(first, "__array_interface__"):
        return items
    arrays = [asarray(item) for item in items]
    for array in arrays:
        if array.shape != arrays[0].shape or array.dtype != arrays[0].dtype:
            raise ValueError(
                "batch() stacks arrays of one shape and dtype, got "
                f"{_array_text(arrays[0])} and {_array_text(array)}"
            )
    stacked = empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for i, array in enumerate(arrays):
        stacked[i] = array
    return stacked


def _bytes(memory: int | str | None, name: str = "memory") -> int:
    """A size as a number of bytes; 0 for None."""
    if memory is None:
        return 0
    if isinstance(memory, str):
        text = memory.lower().strip()
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
        unit = text[len(number) :].strip()
        if unit not in _UNITS or not number.replace(".", "", 1).isdecimal():
            raise ValueError(
                f'{name} must be bytes or a size such as "512MB" or "1GiB", got {memory!r}'
            )
        memory = int(float(number) * _UNITS[unit])
    return _number(name, memory, 1)


def _number(name: str, value: Any, least: int, most: int = 2**63 - 1) -> int:
    """An integer within limits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {number}")
    return number


def _joins(item: Any, first: Any) -> bool:
    """Whether two items are arrays, ours or NumPy's, that differ in their first axis only."""
    if not hasattr(item, "__array_interface__") or getattr(item, "ndim", 0) == 0:
        return False
    if item.dtype.kind in _FOREIGN_KINDS or not hasattr(first, "__array_interface__"):
        return False
    return item.shape[1:] == first.shape[1:] and item.dtype == first.dtype


def _array_text(array: Array) -> str:
    return f"{array.dtype.name} {array.shape}"


def _value_text(value: Any) -> str:
    return _array_text(value) if isinstance(value, Array) else repr(value)


def _callable_text(function: Any) -> str:
    if isinstance(function, Expression):
        return repr(function).removeprefix("<spanflow expression ").removesuffix(">")
    return str(getattr(function, "__name__", None) or repr(function))


def _source_text(source: Any) -> str:
    text = repr(source)
    return text if isinstance(source, Rows) or len(text) <= 60 else f"<{type(source).__name__}>"
