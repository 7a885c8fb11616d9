"""Axes and other whole numbers as people give them, checked as NumPy does."""

from __future__ import annotations

from typing import Any


def whole(name: str, value: Any) -> int:
    """An integer of any type; TypeError for another object, which is called `name`."""
    try:
        return value.__index__()  # type: ignore[no-any-return]
    except AttributeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def axis_of(axis: Any, ndim: int) -> int:
    """One axis from 0 on; ValueError where there is none of that number."""
    number = whole("axis", axis)
    if not -ndim <= number < ndim:
        raise ValueError(f"axis {number} is out of bounds for array of dimension {ndim}")
    return number % ndim


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """None is all of them; a tuple names each once."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(axis_of(one, ndim) for one in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"repeated axis in {axis!r}")
    return axes
