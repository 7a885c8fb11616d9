"""What a pipeline is described with: sources of rows, and stages."""

from __future__ import annotations

import copyreg
import os
from collections.abc import Iterator
from typing import Any, Final

from spanflow import _servers, _workers
from spanflow._collate import array_text, collate
from spanflow._core import Array, Expression, Operation, asarray, open
from spanflow._limits import bytes_of, integer_of
from spanflow._sources import Files, Made, paths_of
from spanflow._workers import Workers

_IN_ORDER: Final = {
    *("tap", "enumerate", "take", "skip", "shard", "sample", "shuffle", "transform"),
    *("batch", "rebatch"),
}


EACH: Final = ("cast", "normalize")  # an expression of each array of an item


class Missing:
    """Stands for an argument that was not given; help() shows it by its name."""

    def __repr__(self) -> str:
        return "<none>"


MISSING: Final = Missing()


class Rows:
    """Arrays cut along their first axis: what `read` returns."""

    __slots__ = ("arrays", "first", "is_tuple", "names", "rows")

    def __init__(
        self,
        arrays: tuple[Array, ...],
        rows: int,
        is_tuple: bool,
        names: tuple[str, ...] | None = None,
        first: int = 0,
    ):
        self.arrays = arrays
        self.first = first  # the chunk that a run begins with
        self.rows = rows
        self.is_tuple = is_tuple
        self.names = names

    def __repr__(self) -> str:
        rows = f", rows={self.rows}" if self.rows else ""
        if self.names is not None:
            named = zip(self.names, self.arrays, strict=True)
            return f"read({{{', '.join(f'{name}: {array_text(a)}' for name, a in named)}}}{rows})"
        arrays = ", ".join(map(array_text, self.arrays))
        return f"read(({arrays}){rows})" if self.is_tuple else f"read({arrays}{rows})"


class Aligned:
    """An array of which each chunk meets its own rows: what `aligned` returns."""

    __slots__ = ("array",)

    def __init__(self, array: Array):
        self.array = array

    def __repr__(self) -> str:
        return f"aligned({array_text(self.array)})"


def read(source: Any, /, rows: int | None = None, **options: Any) -> Rows | Files:
    """Arrays or files as a source of chunks of consecutive rows, without copying.

    `source` is an array, or a tuple or a dict of arrays with the same number of rows, which are cut
    side by side; then each item is a tuple, or a dict whose keys are the columns of expressions.
    Or it is the path of a file, a pattern ("part-*.npy", sorted by name), or an iterable of paths:
    files are mapped one after the other with `options`, those of `sf.open` (dtype, shape and offset
    of raw files), and chunks end where a file ends. `rows` is how many rows a chunk has, by default
    as many as make about 1 MiB. Bytes are borrowed while a run reads them: closing the array is
    refused.

    Raises ValueError for arrays without rows or with different numbers of them, FileNotFoundError
    for a pattern that no file matches, and what `sf.open` raises, for several files when a run
    comes to them.
    """
    rows = 0 if rows is None else integer_of("rows", rows, 1)
    paths = _paths_of(source)
    if paths is None and options:
        raise TypeError(f"read() of arrays takes no {', '.join(options)}")
    if isinstance(paths, list) and len(paths) == 1:
        source = open(paths[0], **options)
    elif paths is not None:
        return Files(paths, rows, options)
    names = None
    if isinstance(source, dict):
        names = tuple(source)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"read() of a dict needs names that are strings, got {names}")
        source = tuple(source.values())
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
    return Rows(arrays, rows, is_tuple, names)


def _paths_of(source: Any) -> Any:
    """A list of paths, or an iterator that gives them; None for arrays."""
    if isinstance(source, (list, Iterator)) and not isinstance(source, Array):
        if isinstance(source, Iterator):
            return source
        if source and all(isinstance(path, (str, os.PathLike)) for path in source):
            return source
        return None
    return paths_of(source)


def read_bytes(
    path: Any, /, nbytes: int | str | None = None, *, start: int = 0, stop: int | None = None
) -> Rows:
    """A file, or bytes `start` to `stop` of it, as chunks of `nbytes` bytes each: uint8 arrays.

    The file is mapped, nothing is copied. `nbytes` is a number or "64kB", "1MiB" (the default).
    """
    size = bytes_of("1MiB" if nbytes is None else nbytes, "nbytes")
    return Rows((open(path, dtype="u1")[start:stop],), size, False)


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

    __slots__ = ("args", "function", "kind", "kwargs", "workers")

    def __init__(
        self,
        kind: str,
        function: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        workers: Workers | None = None,
    ):
        for name, value in kwargs.items():
            if isinstance(value, Aligned):
                raise TypeError(f"{kind}(): aligned() goes by position, not as {name}=")
        self.kind = kind
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.workers = workers

    @property
    def mode(self) -> str:
        return "in order" if self.kind in _IN_ORDER else "parallel"

    @property
    def native(self) -> bool:
        return isinstance(self.function, (Operation, Expression))

    def gives_arrays(self, before: bool) -> bool:
        """Whether its items are arrays for certain, if what it gets are or are not."""
        if self.kind in ("flat_map", "enumerate", "transform"):
            return False
        if self.kind in ("rebatch", *EACH):
            return True
        return self.native if self.kind == "map" else before

    def spec(self) -> tuple[Any, ...]:
        if self.workers is not None:
            return self._worked(self.workers)
        args = tuple(arg.array if isinstance(arg, Aligned) else arg for arg in self.args)
        mask = sum(1 << i for i, arg in enumerate(self.args) if isinstance(arg, Aligned))
        kwargs = self.kwargs
        if kwargs.get("seed") is not None:
            kwargs = {**kwargs, "seed": kwargs["seed"] % 2**64}
        function = self.function
        if self.kind == "batch":
            function = collate
        elif self.kind == "transform":
            function = function()
            if not callable(function):
                raise TypeError(f"{self!r}: the factory gives {function!r}, which is not callable")
        return (self.kind, function, args, kwargs, mask)

    def _worked(self, workers: Workers) -> tuple[Any, ...]:
        """For threads of the stage's own: they add the arguments; rows come with the items."""
        aligned = tuple(arg.array for arg in self.args if isinstance(arg, Aligned))
        args = _workers.rows_of(self.args, lambda arg: isinstance(arg, Aligned))
        how = _servers.describe(self.kind, self.function, args, self.kwargs, workers)
        return (self.kind, self.function, aligned, {}, 2 ** len(aligned) - 1, how)

    def __repr__(self) -> str:
        words = [] if self.function is None else [_callable_text(self.function)]
        words += map(_value_text, self.args)
        words += [f"{name}={_value_text(value)}" for name, value in self.kwargs.items()]
        if self.workers is not None:
            words.append(f"workers={self.workers!r}")
        return f"{self.kind}({', '.join(words)})"


def calling(
    kind: str,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    workers: Workers | str | None = None,
    *,
    expressions: bool = False,
) -> Stage:
    """A stage that calls a function, or computes an expression where it may."""
    if workers is not None:
        if isinstance(function, (Operation, Expression)):
            raise TypeError(
                f"{kind}(workers=…) goes with Python functions: {_callable_text(function)} is "
                "native and runs on the threads of the run (threads=)"
            )
        function, workers = _workers.check(kind, function, workers)
        return Stage(kind, function, args, kwargs, workers)
    if callable(function) or (expressions and isinstance(function, Expression)):
        return Stage(kind, function, args, kwargs)
    may_be = "an operation, an expression or a callable" if expressions else "a callable"
    raise TypeError(f"{kind}() needs {may_be}, got {function!r}")


def _value_text(value: Any) -> str:
    return array_text(value) if isinstance(value, Array) else repr(value)


def expression_text(expression: Expression) -> str:
    return repr(expression).removeprefix("<spanflow expression ").removesuffix(">")


def _callable_text(function: Any) -> str:
    if isinstance(function, Expression):
        return expression_text(function)
    return str(getattr(function, "__name__", None) or repr(function))


def source_text(source: Any) -> str:
    text = repr(source)
    return (
        text
        if isinstance(source, (Rows, Made)) or len(text) <= 60
        else f"<{type(source).__name__}>"
    )


def is_file(source: Any) -> bool:
    return isinstance(source, str) and os.path.exists(source)


def check_picklable(source: Any) -> None:
    """Says what a pickled pipeline must not read."""
    if not isinstance(source, Iterator):
        return
    try:
        reduce = copyreg.dispatch_table.get(type(source))
        reduce(source) if reduce else source.__reduce_ex__(2)
    except TypeError:
        raise TypeError(
            f"a pipeline over {source_text(source)} cannot be pickled: an iterator is used up "
            "where it is; let the pipeline read an array, a list or a picklable iterable"
        ) from None
