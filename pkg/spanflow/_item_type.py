"""What is known of a pipeline's items before it runs: dtypes and shapes, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from spanflow._core import _infer, bool_, dtype

if TYPE_CHECKING:
    from spanflow._description import Rows, Stage

_MANY = 1_000_003  # stands for a length of which nothing is known
_CHECKED = (TypeError, ValueError, IndexError, OverflowError)
_CHUNK_NBYTES = 1 << 20  # what read() cuts by default


class AtMost(int):
    """A length that differs from item to item."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "n" if self == _MANY else f"≤{int(self)}"


class ItemType(NamedTuple):
    """Items that are arrays, or tuples of arrays."""

    arrays: tuple[tuple[dtype, tuple[int, ...]], ...]
    is_tuple: bool = False
    rows: bool = False  # whether they stand for rows of the source
    names: tuple[str, ...] | None = None  # of a dict of arrays

    def __str__(self) -> str:
        if self.names is not None:
            named = zip(self.names, self.arrays, strict=True)
            return f"{{{', '.join(f'{name}: {dt.name} {shape!r}' for name, (dt, shape) in named)}}}"
        text = ", ".join(f"{dtype.name} {shape!r}" for dtype, shape in self.arrays)
        return f"({text})" if self.is_tuple else text

    @property
    def lengths(self) -> dict[int, AtMost]:
        """Those that differ from item to item."""
        return {int(n): n for _, shape in self.arrays for n in shape if isinstance(n, AtMost)}

    def with_rows(self, rows: int, *, stand: bool) -> ItemType:
        """The same arrays with another number of rows."""
        arrays = tuple((dtype, (rows, *shape[1:])) for dtype, shape in self.arrays)
        return self._replace(arrays=arrays, rows=self.rows and stand)


def of_rows(source: Rows) -> ItemType:
    """The chunks of `read()`."""
    length = len(source.arrays[0])
    row_nbytes = sum(a.dtype.itemsize * math.prod(a.shape[1:]) for a in source.arrays)
    rows = source.rows or max(_CHUNK_NBYTES // max(row_nbytes, 1), 1)
    if length <= rows:
        rows = length or AtMost(rows)
    elif length % rows:
        rows = AtMost(rows)
    arrays = tuple((a.dtype, (rows, *a.shape[1:])) for a in source.arrays)
    return ItemType(arrays, source.is_tuple, rows=True, names=source.names)


def chunks_of(source: Rows) -> int:
    """How many of them there are."""
    arrays = source.arrays
    rows = source.rows or int(of_rows(source).arrays[0][1][0])
    return max(-(-len(arrays[0]) // max(rows, 1)) - source.first, 0)


def after(stage: Stage, before: ItemType | None) -> ItemType | None:
    """What comes out of a stage for such items; None where that is not known.

    Raises what the stage would raise at its first item, as far as dtypes and shapes say.
    """
    rule = _RULES.get(stage.kind)
    return None if before is None or rule is None else rule(stage, before)


def _computed(stage: Stage, before: ItemType) -> ItemType | None:
    """What a native stage computes of an item."""
    spec = stage.spec()
    try:
        found = _infer(spec, before.arrays, before.rows, before.names)
        if found is None:
            return None
    except _CHECKED as error:
        if before.lengths and _fits_another(spec, before):
            return None
        raise type(error)(f"{stage!r} of {before}: {error}") from None
    lengths = {-1: AtMost(_MANY), **before.lengths}
    arrays = tuple((dtype, tuple(lengths.get(n, n) for n in shape)) for dtype, shape in found[0])
    return ItemType(arrays, False, found[1])


def _each_computed(stage: Stage, before: ItemType) -> ItemType | None:
    made = _computed(stage, before)
    return None if made is None else made._replace(is_tuple=before.is_tuple, names=before.names)


def _fits_another(spec: tuple[Any, ...], before: ItemType) -> bool:
    """Whether the stage can do its work on items of one row, which fit whatever broadcasts, or of
    none, as all are of an array without rows."""
    for rows in (1, 0):
        arrays = tuple(
            (dtype, tuple(rows if isinstance(n, AtMost) else n for n in shape))
            for dtype, shape in before.arrays
        )
        try:
            _infer(spec, arrays, before.rows, before.names)
        except _CHECKED:
            continue
        return True
    return False


def _filtered(stage: Stage, before: ItemType) -> ItemType | None:
    mask = _computed(stage, before)
    if mask is None:
        return None
    (kind, shape), *_ = mask.arrays
    if kind != bool_:
        what = getattr(stage.function, "__name__", "the expression")
        raise TypeError(
            f"{stage!r} of {before}: a filter needs true or false, but {what} gives {kind.name}"
        )
    if not shape:
        return before
    if any(len(each) < len(shape) for _, each in before.arrays):
        return None
    arrays = tuple((dt, (AtMost(_MANY), *each[len(shape) :])) for dt, each in before.arrays)
    return ItemType(arrays, before.is_tuple, names=before.names)


def _same(stage: Stage, before: ItemType) -> ItemType:
    return before


def _batched(stage: Stage, before: ItemType) -> ItemType | None:
    if before.lengths:  # stacked are arrays of one shape
        return None
    n = stage.kwargs["n"]
    rows = n if stage.kwargs["drop_last"] else AtMost(n)
    arrays = tuple((dt, (rows, *shape)) for dt, shape in before.arrays)
    return ItemType(arrays, before.is_tuple, names=before.names)


def _cut(stage: Stage, before: ItemType) -> ItemType | None:
    if not all(shape for _, shape in before.arrays):
        return None
    rows = stage.kwargs["rows"]
    exact = rows and stage.kwargs["drop_last"]
    return before.with_rows(rows if exact else AtMost(rows or _MANY), stand=True)


def _rows(stage: Stage, before: ItemType) -> ItemType | None:
    if not all(shape for _, shape in before.arrays):
        return None
    arrays = tuple((dt, shape[1:]) for dt, shape in before.arrays)
    return ItemType(arrays, before.is_tuple, names=before.names)


_RULES: dict[str, Callable[[Any, ItemType], ItemType | None]] = {
    "map": _computed,
    "cast": _each_computed,
    "normalize": _each_computed,
    "filter": _filtered,
    "tap": _same,
    "take": _same,
    "skip": _same,
    "shard": _same,
    "sample": _same,
    "shuffle": _same,
    "batch": _batched,
    "rebatch": _cut,
    "unbatch": _rows,
}
