"""Statistics that are more than one reduction: extremes in pairs, quantiles, a summary."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from spanflow import _core


class Stats(NamedTuple):
    """What stats() found; all but nulls is about the elements that are not NaN."""

    count: int  # type: ignore[assignment]  # takes the place of tuple.count
    nulls: int
    min: Any
    max: Any
    mean: float
    std: float
    skew: float
    kurtosis: float


_STATS: Final = (
    _core.nancount,
    _core.nanmin,
    _core.nanmax,
    _core.nanmean,
    _core.nanstd,
    _core.nanskew,
    _core.nankurtosis,
)


def stats(a: Any, *, ddof: float = 0) -> Stats:
    """Count, nulls (NaN), min, max, mean, std, skew and kurtosis of all elements in one pass.

    All but nulls is about the elements that are not NaN. std is divided by N - ddof; skew and
    excess kurtosis are not corrected for bias. Raises TypeError for complex numbers and records,
    ValueError for no elements and closed arrays.
    """
    a = _core.asarray(a)
    count, *moments = _core._reduce_many(a, _STATS, ddof=ddof)
    return Stats(count, a.size - count, *moments)


def minmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> tuple[Any, Any]:
    """The smallest and the largest elements, as a pair; NaN if there is one.

    Of all elements both come from one pass. axis, keepdims and errors are those of min().
    """
    a = _core.asarray(a)
    if axis is None and not keepdims:
        low, high = _core._reduce_many(a, (_core.min, _core.max))
        return low, high
    return _core.min(a, axis, keepdims=keepdims), _core.max(a, axis, keepdims=keepdims)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    *,
    out: Any = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """The elements below which the shares q of all elements lie, found by selection.

    q is a number in [0, 1], or a sequence of them, which becomes the first axis of the result.
    axis is None, an int or a tuple of ints. method says what a quantile between two elements is:
    one of NumPy's names (inverted_cdf, averaged_inverted_cdf, closest_observation,
    interpolated_inverted_cdf, hazen, weibull, linear, median_unbiased, normal_unbiased, lower,
    higher, midpoint, nearest). Floats keep their dtype, bool and integers give float64.
    A NaN gives NaN, and so do no elements. Raises TypeError for complex numbers and records,
    ValueError for q outside of [0, 1], another method, an out of another shape and closed arrays.
    """
    return _core._quantiles(a, q, axis, out, keepdims, method, False)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    *,
    out: Any = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """As quantile(), of the elements that are not NaN."""
    return _core._quantiles(a, q, axis, out, keepdims, method, True)


def _shares(q: Any) -> Any:
    return [share / 100 for share in q] if hasattr(q, "__iter__") else q / 100


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    *,
    out: Any = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """As quantile(), with q in percent."""
    return _core._quantiles(a, _shares(q), axis, out, keepdims, method, False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    *,
    out: Any = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """As quantile() of the elements that are not NaN, with q in percent."""
    return _core._quantiles(a, _shares(q), axis, out, keepdims, method, True)


def median(a: Any, axis: Any = None, *, out: Any = None, keepdims: bool = False) -> Any:
    """The middle element, or the mean of the two in the middle; errors are those of quantile()."""
    return _core._quantiles(a, 0.5, axis, out, keepdims, "linear", False)


def nanmedian(a: Any, axis: Any = None, *, out: Any = None, keepdims: bool = False) -> Any:
    """As median(), of the elements that are not NaN."""
    return _core._quantiles(a, 0.5, axis, out, keepdims, "linear", True)
