"""What `spanflow describe` says of an array: statistics and a histogram per field, in one pass.

The array is walked in blocks that fit in the cache. Everything about a block is computed while it
is there, so the memory bus carries each byte once. Moments of blocks are combined by the formula of
Chan, Golub and LeVeque (1983), which does not lose digits as sums of squares do.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from typing import Any

import spanflow as sf
from spanflow import _core
from spanflow._histogram import Bars, choose_edges
from spanflow._progress import progress

_BLOCK_BYTES = 4 << 20
_WIDE_ELEMENTS = 1 << 16  # of a block at a time that are made float64; they stay in the cache
_SAMPLE_BLOCKS = 64  # runs from which the edges of a histogram are chosen
_SAMPLE_RUN = 1024  # elements of each
_HISTOGRAM_WORK = 4 << 30  # bytes x edges; beyond it, only evenly spaced blocks go into the bars


def describe(a: Any, name: str, *, bins: int = 16) -> dict[str, Any]:
    """Shape, dtype, order, and per field count, min, max, mean, std, zeros, NaN, infinite, bars.

    `a` is an open Array. min, max, mean, std and the histogram are those of the finite elements;
    what does not exist (the mean of nothing, the minimum of complex numbers) is None. Moments are
    computed in double precision, whatever the field's own is.
    """
    flat = _flatten(a)
    rows = max(1, _BLOCK_BYTES // max(a.itemsize, 1))
    fields = [_Field(path, field, flat, bins) for path, field in _fields(a.dtype, ())]
    start = time.perf_counter()
    title = os.path.basename(name)
    with progress(title, a.nbytes, unit="B") as bar:
        for first in range(0, flat.size, rows):
            block = flat[first : first + rows]
            for field in fields:
                field.add(field.part_of(block))
            bar.update(min(first + rows, flat.size) * a.itemsize)
    seconds = time.perf_counter() - start
    return {
        "file": name,
        "shape": list(a.shape),
        "dtype": str(a.dtype),
        "order": "C" if a.c_contiguous else "F" if a.f_contiguous else "strided",
        "elements": a.size,
        "nbytes": a.nbytes,
        "seconds": seconds,
        "fields": [field.result() for field in fields],
    }


def _flatten(a: Any) -> Any:
    """All elements as one dimension, in the order in which they lie in memory."""
    return (a.T if a.f_contiguous and not a.c_contiguous else a).reshape(-1)


def _fields(dtype: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path of names, dtype) of every plain field; () for an array that is no record."""
    if dtype.names is None:
        yield path, dtype
        return
    for name in dtype.names:
        yield from _fields(dtype.fields[name][0], (*path, name))


class _Field:
    """Everything known so far about the elements of one field."""

    def __init__(self, path: tuple[str, ...], dtype: Any, flat: Any, bins: int):
        self._path = path
        self._dtype = dtype
        self._numeric = dtype.kind in "biufc"
        self._real = dtype.kind in "biuf"
        self._count = self._zeros = self._nan = self._infinite = 0
        self._min: Any = None
        self._max: Any = None
        self._moments = _Moments()
        self._bars = Bars([], False, 1)
        if self._real and flat.size:
            edges, single = choose_edges(self._sample(flat), dtype, bins)
            every = max(1, flat.nbytes * len(edges) // _HISTOGRAM_WORK)
            self._bars = Bars(edges, single, every)

    def part_of(self, block: Any) -> Any:
        for name in self._path:
            block = block[name]
        return block

    def _sample(self, flat: Any) -> list:
        """(min, max) of the finite elements in short runs that are spread over the array."""
        step = max(_SAMPLE_RUN, flat.size // _SAMPLE_BLOCKS)
        found = []
        for first in (*range(0, flat.size, step), max(0, flat.size - _SAMPLE_RUN)):
            run = self._finite(self.part_of(flat[first : first + _SAMPLE_RUN]))
            if run.size:
                found += [sf.min(run), sf.max(run)]
        return found

    def _finite(self, part: Any) -> Any:
        if self._dtype.kind != "f":
            return part
        finite = sf.absolute(part) < math.inf
        return part if sf.all(finite) else part[finite]

    def add(self, part: Any) -> None:
        self._count += part.size
        if self._real and part.size:
            self._add_real(part)
        elif self._numeric and part.size:
            self._add_complex(part)

    def _add_real(self, part: Any) -> None:
        if not part.c_contiguous:
            part = part.copy()  # a field of records: gathered once, read by every kernel
        low, high, nonzero = _core._reduce_many(part, _BOUNDS)
        self._zeros += part.size - nonzero
        if self._dtype.kind == "f" and not (math.isfinite(low) and math.isfinite(high)):
            part = self._without_special(part)
            if part.size == 0:
                return
            low, high, nonzero = _core._reduce_many(part, _BOUNDS)
        self._min = low if self._min is None else min(self._min, low)
        self._max = high if self._max is None else max(self._max, high)
        self._add_moments(part)
        self._bars.add(part)

    def _add_moments(self, part: Any) -> None:
        if self._dtype.kind != "f" or part.itemsize == 8:
            self._moments.add(part.size, *_core._reduce_many(part, _MOMENTS))
            return
        # A mean in float16 or float32 would be rounded, and the squares of a variance overflow.
        flat = part.reshape(-1)
        for first in range(0, flat.size, _WIDE_ELEMENTS):
            wide = flat[first : first + _WIDE_ELEMENTS].astype("f8")
            self._moments.add(wide.size, *_core._reduce_many(wide, _MOMENTS))

    def _add_complex(self, part: Any) -> None:
        self._zeros += part.size - sf.count_nonzero(part)
        wide = part.astype("c16").reshape(-1)
        pairs = wide.view("f8").reshape(-1, 2)
        finite = sf.all(sf.absolute(pairs) < math.inf, axis=1)
        if not sf.all(finite):
            nan = sf.count_nonzero(sf.any(pairs != pairs, axis=1))
            wide = wide[finite]
            self._nan += nan
            self._infinite += part.size - wide.size - nan
        if wide.size:
            self._moments.add(wide.size, *_core._reduce_many(wide, _MOMENTS))

    def _without_special(self, part: Any) -> Any:
        """Counts NaN and infinities; the elements that are neither."""
        finite = self._finite(part)
        nan = sf.count_nonzero(part != part)
        self._nan += nan
        self._infinite += part.size - finite.size - nan
        return finite

    def result(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "name": ".".join(self._path) or None,
            "dtype": str(self._dtype),
            "count": self._count,
        }
        if self._numeric:
            values |= {
                "min": self._min,
                "max": self._max,
                "mean": _plain(self._moments.mean),
                "std": _plain(self._moments.std()),
                "zeros": self._zeros,
                "nan": self._nan,
                "infinite": self._infinite,
                "histogram": self._bars.result(self._min, self._max),
            }
        return values


_BOUNDS = (sf.min, sf.max, sf.count_nonzero)
_MOMENTS = (sf.mean, sf.var)


def _plain(value: Any) -> Any:
    """JSON has no complex numbers and no NaN."""
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    return None if value is None or not math.isfinite(value) else value


class _Moments:
    """Mean and sum of squared deviations of everything so far."""

    def __init__(self) -> None:
        self._n = 0
        self.mean: Any = None
        self._squares = 0.0

    def add(self, n: int, mean: Any, var: float) -> None:
        if self._n == 0:
            self._n, self.mean, self._squares = n, mean, var * n
            return
        total = self._n + n
        apart = mean - self.mean
        self._squares += var * n + abs(apart) ** 2 * (self._n * n / total)
        self.mean += apart * (n / total)
        self._n = total

    def std(self) -> float | None:
        return math.sqrt(self._squares / self._n) if self._n else None
