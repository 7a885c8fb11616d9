"""Rounding to decimals, and quotients with what they leave."""

from __future__ import annotations

import math
from typing import Any, Final

from spanflow import _core
from spanflow._axes import whole

_MOST_DECIMALS: Final = 308  # of a float64


def round(a: Any, decimals: int = 0, *, out: Any = None) -> Any:
    """The nearest multiple of 10**-decimals; of two the even one.

    `a` holds numbers or is an expression; the result has its shape and dtype (float16 for bool), or
    is an expression. Floats are scaled, rounded by `rint` and scaled back in their own dtype (those
    of 16 bits in float32), as in NumPy: that is fast, and may be a unit in the last place away from
    the nearest number that has so many decimals. The parts of complex numbers are rounded each by
    itself. Integers change for decimals below 0 only. `out` is a writable array of the result's
    shape to which it casts (same kind); it is returned.

    Decimals beyond the range of floats give nan, as in NumPy; integers then become 0.

    Raises TypeError for what holds no numbers, and for a decimals that is not an integer.
    """
    decimals = whole("decimals", decimals)
    if isinstance(a, _core.Expression):
        if out is not None:
            raise TypeError(
                "round() of an expression takes no out; use .compute(out=...) at the end"
            )
        return _rounded(a, decimals)
    a = _core.asarray(a)
    if a.dtype.kind in "iu":
        if decimals >= 0:
            return _core.positive(a, out=out)
        rounded = _rounded(_core.lazy(a), max(decimals, -_MOST_DECIMALS))
        return _core.lazy(rounded.compute()).astype(a.dtype).compute(out)
    if a.dtype.kind == "c" and decimals != 0:
        return _core.positive(_rounded_parts(a, decimals), out=out)
    x = _core.lazy(a)
    return _rounded(_core.rint(x) if a.dtype.kind == "b" else x, decimals).compute(out)


def divmod(x1: Any, x2: Any) -> tuple[Any, Any]:
    """The pair (floor_divide(x1, x2), remainder(x1, x2)).

    Operands are what those two take; results are new arrays, Python numbers where they are 0-d, or
    expressions where one of the operands is one. Raises what they raise.
    """
    return _core.floor_divide(x1, x2), _core.remainder(x1, x2)


def _rounded(x: Any, decimals: int) -> Any:
    if decimals == 0:
        return _core.rint(x)
    scale = 10.0 ** abs(decimals) if abs(decimals) <= _MOST_DECIMALS else math.inf
    if decimals > 0:
        return _core.rint(x * scale) / scale
    return _core.rint(x / scale) * scale


def _rounded_parts(a: Any, decimals: int) -> Any:
    """Of complex numbers, as the pairs of floats that they are."""
    rounded = _core.empty(a.shape, f"c{a.itemsize}")  # native and C-contiguous
    rounded[...] = a
    parts = rounded.reshape(-1).view("f4" if a.itemsize == 8 else "f8")
    _rounded(_core.lazy(parts), decimals).compute(parts)
    return rounded
