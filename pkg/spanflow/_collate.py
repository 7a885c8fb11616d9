"""Several items as one: stacked for `batch`, joined for `collect`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from spanflow._core import Array, asarray, empty

_NUMBERS: Final = (bool, int, float, complex)


def collate(items: list[Any]) -> Any:
    """One item of several, as `Pipeline.batch` says."""
    first = items[0]
    if isinstance(first, tuple):
        return tuple(collate(list(column)) for column in zip(*items, strict=True))
    if isinstance(first, dict):
        for item in items:
            if not isinstance(item, dict) or item.keys() != first.keys():
                raise ValueError(f"batch() needs dicts with the same keys, got {first} and {item}")
        return {key: collate([item[key] for item in items]) for key in first}
    if all(isinstance(item, _NUMBERS) for item in items):
        return _numbers(items)
    if not all(map(is_array, items)):
        return items
    arrays = [asarray(item) for item in items]
    for array in arrays:
        if array.shape != arrays[0].shape or array.dtype != arrays[0].dtype:
            raise ValueError(
                "batch() stacks arrays of one shape and dtype, got "
                f"{array_text(arrays[0])} and {array_text(array)}"
            )
    stacked = empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for i, array in enumerate(arrays):
        stacked[i] = array
    return stacked


def _numbers(items: list[Any]) -> Any:
    """An array of Python's numbers; a list where no dtype holds them exactly."""
    try:
        array = asarray(items)
    except OverflowError:
        return items
    is_rounded = array.dtype.kind == "f" and all(isinstance(item, int) for item in items)
    return items if is_rounded else array


def is_array(item: Any) -> bool:
    """Whether an item is an array that an Array can hold, or one of NumPy's numbers."""
    if isinstance(item, Array):
        return True
    if not hasattr(item, "__array_interface__") or hasattr(item, "mask"):
        return False
    try:
        asarray(item)
    except (TypeError, ValueError):
        return False
    return True


def joins(item: Any, first: Any) -> bool:
    """Whether two items are arrays, ours or NumPy's, that differ in their first axis only."""
    if not (is_array(item) and is_array(first)) or item.ndim == 0:
        return False
    return item.shape[1:] == first.shape[1:] and item.dtype == first.dtype


def concatenate(arrays: list[Array]) -> Array:
    """Arrays of one dtype behind one another along their first axis."""
    first = arrays[0]
    whole = empty((sum(map(len, arrays)), *first.shape[1:]), first.dtype)
    at = 0
    for array in arrays:
        whole[at : at + len(array)] = array
        at += len(array)
    return whole


def fill(out: Array, items: Iterable[Any]) -> Array:
    """The part of `out` that the items, one behind the other along the first axis, were written
    to."""
    at = 0
    for item in map(asarray, items):
        rows = len(item) if item.ndim == out.ndim else 1
        fits = item.shape[item.ndim - out.ndim + 1 :] == out.shape[1:]
        if not fits or item.ndim not in (out.ndim, out.ndim - 1) or at + rows > len(out):
            raise ValueError(
                f"collect(out=) has an array of {array_text(out)}; an item of {array_text(item)} "
                f"does not fit behind its first {at} rows"
            )
        out[at : at + rows] = item
        at += rows
    return out[:at]


def copy_into(buffer: Array, item: Array) -> Array:
    """The part of the buffer that the item was written to."""
    if item.ndim == 0 or item.ndim != buffer.ndim:
        buffer[...] = item
        return buffer
    if len(item) > len(buffer):
        raise ValueError(
            f"into() has a buffer of {array_text(buffer)}, the item is {array_text(item)}"
        )
    part = buffer[: len(item)]
    part[...] = item
    return part


def array_text(array: Array) -> str:
    return f"{array.dtype.name} {array.shape}"
