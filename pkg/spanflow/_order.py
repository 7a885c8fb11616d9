"""Order and selection by NumPy's names, made of the few functions that the native core has."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

from spanflow import _core
from spanflow._axes import axis_of

_EVERY: Final = slice(None)


def flatnonzero(a: Any) -> Any:
    """The indices (int64) in C order of the elements that are not zero."""
    return _core.nonzero(_core.asarray(a).reshape(-1))[0]


def argwhere(a: Any) -> Any:
    """The indices of the elements that are not zero, one row (int64) for each element."""
    a = _core.asarray(a)
    if a.ndim == 0:
        return _core.empty((int(bool(a)), 0), "i8")
    places = _core.nonzero(a)
    rows = _core.empty((places[0].size, a.ndim), "i8")
    for axis, place in enumerate(places):
        rows[:, axis] = place
    return rows


def _indices(indices: Any, length: int, mode: str) -> Any:
    """Indices as an array of integers, moved into [0, length) unless mode is "raise"."""
    indices = _core.asarray(indices)
    if indices.size == 0 and indices.dtype.kind == "f":
        indices = indices.astype("i8")  # an empty list has no dtype of its own
    if indices.dtype.kind == "b":
        indices = indices.astype("i8")  # 0 and 1 as in NumPy; a mask is for compress()
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {indices.dtype}")
    if mode == "raise":
        return indices
    if mode not in ("wrap", "clip"):
        raise ValueError(f"mode is 'raise', 'wrap' or 'clip', not {mode!r}")
    if length == 0 and indices.size > 0:
        raise IndexError("cannot take elements out of an axis without any")
    wide = indices if indices.dtype.name == "uint64" else indices.astype("i8")
    if mode == "wrap":
        return _core.asarray(_core.remainder(wide, length)) if length else wide
    return _core.asarray(_core.minimum(_core.maximum(wide, 0), length - 1)) if length else wide


def _into(result: Any, out: Any) -> Any:
    """A 0-d result as a Python number, and any result in `out` where that is given."""
    if out is None:
        return result
    target = _core.asarray(out, copy=False)
    shape = getattr(result, "shape", ())
    if target.shape != shape:
        raise ValueError(f"out has shape {target.shape}, but the result has shape {shape}")
    target[...] = result
    return out


def take(a: Any, indices: Any, axis: Any = None, *, mode: str = "raise", out: Any = None) -> Any:
    """The elements at some indices along an axis, or of all elements in C order without one.

    indices is an integer or an array of them, whose shape stands in the place of the axis. mode
    says what happens to those outside: "raise" (IndexError; negative ones count from the end),
    "wrap" around, or "clip" to the first and last. out is a writable array of the result's shape.
    """
    a = _core.asarray(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    axis = axis_of(axis, a.ndim)
    places = _indices(indices, a.shape[axis], mode)
    return _into(_taken(a, places, axis), out)


def _taken(a: Any, places: Any, axis: int) -> Any:
    if places.ndim > 0:
        return a[(_EVERY,) * axis + (places,)]
    one = a[(_EVERY,) * axis + (places.reshape(1),)]
    one = one[(_EVERY,) * axis + (0,)]
    return one.item() if isinstance(one, _core.Array) and one.ndim == 0 else one


def put(a: Any, indices: Any, values: Any, mode: str = "raise") -> None:
    """Set the elements at some indices in C order, in place; values begin again where they end.

    a is a writable array, which may have any layout. mode is that of take(). Of several values for
    one element the last one stays.
    """
    a = _core.asarray(a, copy=False)
    places = _indices(indices, a.size, mode).reshape(-1)
    values = _core.asarray(values).reshape(-1)
    if places.size == 0 or values.size == 0:
        return
    if _core.max(places) >= a.size or _core.min(places) < -a.size:
        raise IndexError(f"put(): an index is out of bounds for {a.size} elements")
    places = _core.asarray(_core.remainder(places.astype("i8"), a.size))
    if values.size != places.size:
        values = values[_core.remainder(_core.arange(places.size), values.size)]
    at = []
    for length in reversed(a.shape):
        at.append(_core.remainder(places, length))
        places = _core.floor_divide(places, length)
    a[tuple(reversed(at)) if at else ...] = values if at else values[-1]


def compress(condition: Any, a: Any, axis: Any = None, *, out: Any = None) -> Any:
    """The slices along an axis, or the elements in C order, where condition is true.

    condition has one dimension; what it does not reach is left out, and IndexError is raised where
    it is true behind the end. out is a writable array of the result's shape.
    """
    condition = _core.asarray(condition)
    if condition.ndim != 1:
        raise ValueError(f"condition must have one dimension, got shape {condition.shape}")
    return take(a, flatnonzero(condition), axis, out=out)


def extract(condition: Any, a: Any) -> Any:
    """The elements in C order where condition, of as many elements, is true."""
    return take(a, flatnonzero(condition))


def take_along_axis(a: Any, indices: Any, axis: Any = -1) -> Any:
    """Along an axis the elements at indices, which match a in all other axes or broadcast to them.

    What argsort() and topk() give fits. axis=None takes all elements in C order as one line.
    Raises IndexError for indices out of bounds, ValueError for other numbers of dimensions.
    """
    a, indices = _core.asarray(a), _core.asarray(indices)
    if axis is None:
        a, axis = a.reshape(-1), 0
    if indices.dtype.kind not in "iu":
        raise IndexError(f"indices are integers, not {indices.dtype}")
    if a.ndim != indices.ndim:
        raise ValueError(f"indices have {indices.ndim} dimensions, but a has {a.ndim}")
    axis = axis_of(axis, a.ndim)
    at = []
    for place, length in enumerate(a.shape):
        shape = [1] * a.ndim
        shape[place] = length
        at.append(indices if place == axis else _core.arange(length).reshape(shape))
    return a[tuple(at)]


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin that each element lies in, of bins that ascend or descend.

    0 is before the first edge, len(bins) behind the last one. Edges that ascend belong to the bin
    above them, or with right=True to the one below; those that descend the other way round, as in
    NumPy. ValueError for edges that neither ascend nor descend.
    """
    bins = _core.asarray(bins)
    if bins.ndim != 1:
        raise ValueError(f"bins must have one dimension, got shape {bins.shape}")
    side: Literal["left", "right"] = "left" if right else "right"
    if _ascends(bins):
        return _core.searchsorted(bins, x, side)
    if not _ascends(bins[::-1]):
        raise ValueError("bins must ascend or descend")
    return len(bins) - _core.searchsorted(bins[::-1], x, side)


def _ascends(edges: Any) -> bool:
    return bool(_core.all(_core.less_equal(edges[:-1], edges[1:])))


def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,
    *,
    weights: Any = None,
    density: bool = False,
) -> tuple[Any, Any]:
    """How many elements lie in each bin, and the edges of the bins.

    bins is how many equal ones there are between the least and the largest element, or within
    range, a pair of numbers; or a sequence of edges that ascend. Each bin includes its lower edge,
    the last one also its upper edge; elements outside, and NaN, count nowhere. Counts are int64;
    with weights, of the shape of a, their sums, in the dtype of the weights. density=True divides
    by the widths and the total (float64).
    """
    a = _core.asarray(a)
    if weights is not None and _core.asarray(weights).dtype.kind == "b":
        raise TypeError("weights are numbers, not bool; count_nonzero() or a[weights] may be meant")
    if isinstance(bins, str):
        raise TypeError(f"bins is a number or a sequence of edges, not {bins!r}")
    if hasattr(bins, "__index__") and getattr(bins, "ndim", 0) == 0:
        edges = _equal_edges(a, bins.__index__(), range)
        counts = _core._histogram(a, edges.tolist(), weights)
    else:
        edges = _core.asarray(bins)
        if edges.ndim != 1 or edges.size < 2 or not _ascends(edges):
            raise ValueError("bins must be a number, or at least two edges that ascend")
        counts = _counts_between(a.reshape(-1), edges, weights)
    if weights is not None:
        counts = counts.astype(_core.asarray(weights).dtype.name)
    if not density:
        return counts, edges
    widths = (edges[1:] - edges[:-1]).astype("f8")
    return counts / widths / _core.sum(counts), edges


def _counts_between(a: Any, edges: Any, weights: Any) -> Any:
    """Any edges: by searching. What equals the last edge belongs to the last bin."""
    bins = edges.size - 1
    place = _core.asarray(_core.searchsorted(edges, a, "right"))
    on_last = _core.asarray(_core.equal(a, edges[-1:]))
    place = _core.where(on_last, bins, place)
    if weights is not None:
        weights = _core.asarray(weights)
        if weights.size != a.size:
            raise ValueError(f"there are {weights.size} weights for {a.size} elements")
        weights = weights.reshape(-1)
    return _core.bincount(place, weights, bins + 2)[1:-1]


def _equal_edges(a: Any, bins: int, range: Any) -> Any:
    """Edges as NumPy computes them: in the dtype of floats, where that is what the limits have."""
    if bins < 1:
        raise ValueError(f"bins must be positive, got {bins}")
    own = a.dtype.kind == "f" and a.size > 0
    kind = a.dtype.name if a.dtype.kind == "f" else "float64"
    if range is not None:
        low, high = range
        if low > high:
            raise ValueError(f"range must ascend, got ({low}, {high})")
    elif a.size == 0:
        low, high = 0.0, 1.0
    else:
        low, high = _core.min(a), _core.max(a)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"the range ({low}, {high}) of the bins is not finite")
    # Limits out of the array have its dtype, and are computed with in it; others in float64.
    within = kind if own and range is None else "float64"
    first, last = _core.full(1, low, within), _core.full(1, high, within)
    if low == high:
        first, last = first - 0.5, last + 0.5
    step = (last - first) / bins
    edges = _core.arange(bins + 1).astype(within) * step + first
    edges[-1:] = last
    return edges.astype(kind, copy=False)
