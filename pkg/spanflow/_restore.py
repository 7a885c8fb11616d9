"""What pickles of arrays and expressions call to build them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spanflow import _core


def copied(dtype: Any, shape: tuple[int, ...], order: str, data: bytes) -> Any:
    """An array by value, in memory of its own."""
    return buffer(dtype, shape, order, data).copy("K")


def buffer(dtype: Any, shape: tuple[int, ...], order: str, data: Any) -> Any:
    """An array over the bytes that the pickle brings, or whoever loads it."""
    array = _core.frombuffer(data, dtype)
    return array.reshape(shape[::-1]).T if order == "F" else array.reshape(shape)


def mapped(
    path: str,
    mode: str,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> Any:
    """An array of a file, mapped again; `offset` is that of its first element."""
    return _core._open_strided(path, mode, dtype, shape, strides, offset)


def expression(steps: list[tuple[Any, ...]]) -> Any:
    """An expression of its nodes; operands are numbers of nodes before."""
    made: list[Any] = []
    for kind, *arguments in steps:
        made.append(_MAKERS[kind](made, *arguments))
    return made[-1]


def _apply(made: list[Any], operation: Any, operands: tuple[int, ...]) -> Any:
    return operation(*(made[i] for i in operands))


def _reduce(
    made: list[Any],
    operation: Any,
    operands: tuple[int],
    axis: tuple[int, ...] | None,
    keepdims: bool,
    ddof: float,
) -> Any:
    return operation(made[operands[0]], axis, keepdims=keepdims, ddof=ddof)


_MAKERS: dict[str, Callable[..., Any]] = {
    "array": lambda made, array: _core.lazy(array),
    "column": lambda made, name: _core.col(name),
    "number": lambda made, number: number,
    "apply": _apply,
    "cast": lambda made, dtype, operands: made[operands[0]].astype(dtype),
    "filter": lambda made, operands: made[operands[0]][made[operands[1]]],
    "reduce": _reduce,
}
