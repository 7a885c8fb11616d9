"""Operands for measurements: the same numbers at every run, in any dtype and memory layout."""

from __future__ import annotations

import random
from collections.abc import Callable

import spanflow as sf

LINE = 1024  # elements of the row that "broadcast" repeats


_PIECE = 1 << 24  # bytes


def numbers(
    dtype: sf.dtype, size: int, value_range: tuple[float, float] | None, seed: int
) -> sf.Array:
    """`size` numbers of a native dtype, evenly spread over the range; None: random bits."""
    stream = random.Random(seed)
    if dtype.kind == "b":
        return _random(stream, size) > 127
    if value_range is None:
        return _random(stream, size * dtype.itemsize).view(dtype)
    low, high = value_range
    if dtype.kind == "c":
        parts = numbers(sf.dtype(f"f{dtype.itemsize // 2}"), 2 * size, value_range, seed)
        return parts.view(dtype)
    if dtype.kind in "iu":
        bits = _random(stream, size)
        return (bits % (int(high) - int(low) + 1)).astype(dtype) + int(low)
    bits = _random(stream, 4 * size).view("u4") >> 8
    unit = bits.astype("f8") if dtype.itemsize == 8 else bits.astype("f4")
    return (unit * ((high - low) / (1 << 24)) + low).astype(dtype)


def _random(stream: random.Random, nbytes: int) -> sf.Array:
    """Random bytes, made piece by piece: `random` gives less than 256 MiB at once."""
    made = sf.empty(nbytes, "u1")
    for at in range(0, nbytes, _PIECE):
        piece = stream.randbytes(min(_PIECE, nbytes - at))
        made[at : at + len(piece)] = sf.frombuffer(piece, "u1")
    return made


def _into(target: sf.Array, a: sf.Array) -> sf.Array:
    target[...] = a
    return target


def _unaligned(a: sf.Array) -> sf.Array:
    room = sf.empty(a.nbytes + 1, "u1")
    shifted = sf.frombuffer(room, a.dtype, offset=1)  # type: ignore[arg-type]
    return _into(shifted, a)


def _column(a: sf.Array) -> sf.Array:
    table = sf.zeros(a.size, sf.dtype([("key", "i4"), ("value", a.dtype)]))
    return _into(table["value"], a)


# How each layout is made of contiguous numbers. "broadcast" is made of several operands together.
LAYOUTS: dict[str, Callable[[sf.Array], sf.Array]] = {
    "contiguous": lambda a: a,
    "strided": lambda a: _into(sf.empty(2 * a.size, a.dtype)[::2], a),
    "reversed": lambda a: _into(sf.empty(a.size, a.dtype)[::-1], a),
    "unaligned": _unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder()),
    "column": _column,
    "broadcast": lambda a: a,
}


def fits(layout: str, dtype: sf.dtype, broadcasts: bool, size: int) -> bool:
    """Whether a layout says anything of such operands."""
    if layout == "broadcast":
        return broadcasts and size % LINE == 0
    if layout in ("unaligned", "big-endian"):
        return dtype.itemsize > 1
    return True


def operands(
    dtype: sf.dtype,
    size: int,
    nin: int,
    layout: str,
    value_range: tuple[float, float] | None,
    first_is_bool: bool,
) -> list[sf.Array]:
    """`nin` arrays of `size` elements; in "broadcast" all but the first are one row of a table."""
    made = []
    for k in range(nin):
        own = sf.dtype("?") if first_is_bool and k == 0 else dtype
        made.append(LAYOUTS[layout](numbers(own, size, value_range, seed=k)))
    if layout == "broadcast":
        made = [made[0].reshape(-1, LINE), *(a[:LINE] for a in made[1:])]
    return made
