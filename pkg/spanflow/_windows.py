"""Neighbours along an axis: differences, moving windows, blocks, and elements that move."""

from __future__ import annotations

import math
from typing import Any, Final

from spanflow import _core
from spanflow._axes import axes_of, axis_of, whole


def _part(axis: int, start: int | None, stop: int | None = None, step: int = 1) -> tuple[Any, ...]:
    """The index of a slice along one axis."""
    return (*(slice(None),) * axis, slice(start, stop, step))


# Differences.


def _beside(part: Any, a: Any, axis: int) -> Any:
    """What is put before or behind `a`: an array, or one value for all lines."""
    part = _core.asarray(part)
    if part.ndim != 0:
        return part
    row = _core.empty((*a.shape[:axis], 1, *a.shape[axis + 1 :]), part.dtype)
    row[...] = part
    return row


def _joined(parts: list[Any], axis: int) -> Any:
    first = parts[0]
    for part in parts:
        if part.ndim != first.ndim or any(
            part.shape[i] != first.shape[i] for i in range(first.ndim) if i != axis
        ):
            raise ValueError(
                f"diff(): prepend, a and append have shapes {[p.shape for p in parts]}, which may "
                f"differ along axis {axis} only"
            )
    length = sum(part.shape[axis] for part in parts)
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    joined = _core.empty(shape, _core.result_type(*parts))
    at = 0
    for part in parts:
        joined[_part(axis, at, at + part.shape[axis])] = part
        at += part.shape[axis]
    return joined


def diff(a: Any, n: int = 1, axis: int = -1, *, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along an axis, n times: a[1:] - a[:-1]; != of bools.

    The result has n elements less along the axis and, as subtract() gives it, the dtype of a, or
    the common dtype of a, prepend and append, which go before and behind a first: arrays of its
    shape but for the axis, or numbers, which count as arrays here (int64, float64). Raises
    ValueError for an n below 0, a 0-d array, an axis that is not there and shapes that do not fit,
    TypeError for what holds no numbers.
    """
    a = _core.asarray(a)
    n = whole("n", n)
    if n < 0:
        raise ValueError(f"diff() takes differences n times, from 0 on, got {n}")
    if a.ndim == 0:
        raise ValueError("diff() needs an array of at least one dimension")
    axis = axis_of(axis, a.ndim)
    if n == 0:
        return a
    before = [] if prepend is None else [_beside(prepend, a, axis)]
    behind = [] if append is None else [_beside(append, a, axis)]
    if before or behind:
        a = _joined([*before, a, *behind], axis)
    less = _core.not_equal if a.dtype == _core.bool_ else _core.subtract
    for _ in range(n):
        a = less(a[_part(axis, 1)], a[_part(axis, None, max(a.shape[axis] - 1, 0))])
    return a


# Moving windows.


def _moving(fold: str, a: Any, window: Any, axis: Any, min_count: Any, out: Any) -> Any:
    a = _core.asarray(a)
    if a.ndim == 0:
        raise ValueError(f"moving_{fold}() needs an array of at least one dimension")
    axis = axis_of(axis, a.ndim)
    window = min(whole("window", window), 2**63 - 1)  # any more than an axis has is refused alike
    if min_count is None:
        return _core._moving(fold, a, window, axis, out)
    least = whole("min_count", min_count)
    if not 1 <= least <= window:
        raise ValueError(f"min_count must be from 1 to the window of {window}, got {least}")
    return _moving_without_nan(fold, a, window, axis, least, out)


_NEUTRAL: Final = {"sum": 0, "mean": 0, "min": math.inf, "max": -math.inf}


def _moving_without_nan(fold: str, a: Any, window: int, axis: int, least: int, out: Any) -> Any:
    """As _moving, of the elements that are not NaN, of which a window has `least` or gives NaN."""
    nan = _core.isnan(a)
    # What has no NaN has windows that are all full.
    if not _core.any(nan):
        return _core._moving(fold, a, window, axis, out)
    count = _core._moving("sum", _core.logical_not(nan), window, axis, None)
    filled = _core.where(nan, _core.asarray(_NEUTRAL[fold], a.dtype), a)
    if fold == "mean":
        wide = _core.promote_types(a.dtype, "f8")
        sums = _core._moving("sum", filled.astype(wide), window, axis, None)
        found = (sums / _core.maximum(count, 1)).astype(a.dtype)
    else:
        found = _core._moving(fold, filled, window, axis, None)
    return _core.where(count >= least, found, _core.asarray(math.nan, found.dtype), out=out)


def moving_sum(
    a: Any, window: int, axis: int = -1, *, min_count: int | None = None, out: Any = None
) -> Any:
    """The sum of every window of so many elements along an axis.

    result[i] is the sum of a[i], …, a[i + window - 1], and of nothing else: what left a window, be
    it NaN, infinite or large, leaves no trace. So the result has window - 1 elements less along
    the axis than a. The rules of dtypes are those of sum(); floats are added as float64 and
    rounded once.

    NaN gives NaN. With min_count NaN are left out instead, and a window gives NaN where it has
    fewer other elements than that. out is a writable array of the result's shape to which the
    result casts (same kind), and may overlap a. Raises ValueError for a window that does not fit,
    an axis that is not there, an out of another shape and closed arrays, TypeError for other
    dtypes.
    """
    return _moving("sum", a, window, axis, min_count, out)


def moving_mean(
    a: Any, window: int, axis: int = -1, *, min_count: int | None = None, out: Any = None
) -> Any:
    """The mean of every window of so many elements along an axis; else as moving_sum().

    The rules of dtypes are those of mean(): integers give float64.
    """
    return _moving("mean", a, window, axis, min_count, out)


def moving_min(
    a: Any, window: int, axis: int = -1, *, min_count: int | None = None, out: Any = None
) -> Any:
    """The smallest element of every window of so many along an axis; else as moving_sum().

    The dtype is that of a.
    """
    return _moving("min", a, window, axis, min_count, out)


def moving_max(
    a: Any, window: int, axis: int = -1, *, min_count: int | None = None, out: Any = None
) -> Any:
    """The largest element of every window of so many along an axis; else as moving_sum().

    The dtype is that of a.
    """
    return _moving("max", a, window, axis, min_count, out)


# Blocks.

_FOLDS: Final = {"mean": _core.mean, "sum": _core.sum, "min": _core.min, "max": _core.max}


def _factors(factors: Any, ndim: int) -> tuple[int, ...]:
    given = factors if isinstance(factors, (tuple, list)) else (factors,) * ndim
    sizes = tuple(whole("a factor", factor) for factor in given)
    if len(sizes) != ndim or any(size < 1 for size in sizes):
        raise ValueError(
            f"downsample() takes one factor above 0 or one for each of {ndim} axes, got {factors!r}"
        )
    return sizes


def downsample(
    a: Any, factors: Any, how: str = "mean", *, boundary: str = "exact", out: Any = None
) -> Any:
    """One element for each block of elements, over any number of axes.

    factors is the size of a block: an int for all axes, or one for each (1 leaves an axis as it
    is). how is 'mean', 'sum', 'min' or 'max', with the dtypes of these reductions. Axes that are no
    whole number of blocks are a ValueError, or lose what is left at their end with
    boundary='trim'. out is a writable array of the result's shape to which the result casts.
    """
    a = _core.asarray(a)
    sizes = _factors(factors, a.ndim)
    if how not in _FOLDS:
        raise ValueError(f"how must be one of {', '.join(map(repr, _FOLDS))}, got {how!r}")
    if boundary not in ("exact", "trim"):
        raise ValueError(f"boundary must be 'exact' or 'trim', got {boundary!r}")
    counts = tuple(extent // size for extent, size in zip(a.shape, sizes, strict=True))
    covered = tuple(count * size for count, size in zip(counts, sizes, strict=True))
    if covered != a.shape and boundary == "exact":
        raise ValueError(
            f"blocks of {sizes} do not divide the shape {a.shape}; boundary='trim' drops the rest"
        )
    kept = a[tuple(slice(extent) for extent in covered)] if covered != a.shape else a
    if all(size == 1 for size in sizes):  # every block is one element: the rules of dtypes remain
        return _FOLDS[how](kept, axis=(), out=out)
    # Axes that stay as they are need no second axis: arrays have 64 at most.
    split: list[int] = []
    inner: list[int] = []
    for count, size in zip(counts, sizes, strict=True):
        split.append(count)
        if size != 1:
            inner.append(len(split))
            split.append(size)
    return _FOLDS[how](kept.reshape(*split), axis=tuple(inner), out=out)


# Elements that move.


def flip(a: Any, axis: Any = None) -> Any:
    """A view with the elements in reverse order along an axis, a tuple of axes, or all of them.

    Raises ValueError for an axis that is not there or named twice.
    """
    a = _core.asarray(a)
    axes = axes_of(axis, a.ndim)
    return a[tuple(slice(None, None, -1 if i in axes else 1) for i in range(a.ndim))]


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """A copy with the elements moved along an axis; those that leave at one end enter at the other.

    shift is an int, and axis an int or None, which moves all elements in C order; or both are
    tuples, or one of them, and the elements move by each shift along its axis. Raises ValueError
    for an axis that is not there and for tuples of different lengths.
    """
    a = _core.asarray(a)
    if axis is None:
        return roll(a.reshape(-1), _total(shift), 0).reshape(a.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    if len(axes) != len(shifts) and len(axes) != 1 and len(shifts) != 1:
        raise ValueError(f"{len(shifts)} shifts do not go with {len(axes)} axes")
    count = len(axes) if len(axes) != 1 else len(shifts)
    by = [0] * a.ndim
    for i in range(count):
        place = axis_of(axes[i % len(axes)], a.ndim)
        by[place] += whole("shift", shifts[i % len(shifts)])
    return _rolled(a, by)


def _total(shift: Any) -> int:
    if isinstance(shift, (tuple, list)):
        return sum(whole("shift", one) for one in shift)
    return whole("shift", shift)


def _rolled(a: Any, by: list[int]) -> Any:
    """Every axis that moves is two parts, which change their places."""
    result = _core.empty(a.shape, a.dtype)
    parts: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = [((), ())]
    for extent, shift in zip(a.shape, by, strict=True):
        moved = shift % extent if extent else 0
        pairs = [(slice(0, extent - moved), slice(moved, extent))]
        if moved:
            pairs.append((slice(extent - moved, extent), slice(0, moved)))
        parts = [((*f, p), (*t, q)) for f, t in parts for p, q in pairs]
    for source, target in parts:
        result[target] = a[source]
    return result
