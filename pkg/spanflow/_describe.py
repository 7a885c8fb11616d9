"""What `spanflow describe` says of an array: statistics and a histogram per field, in one pass.

The array is walked in blocks that fit in the cache. Everything about a block is computed while it
is there, so the memory bus carries each byte once. Moments of blocks are combined by the formula of
Chan, Golub and LeVeque (1983), which does not lose digits as sums of squares do.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import spanflow as sf
from spanflow import _core
from spanflow._info import size as bytes_text
from spanflow._progress import progress

_BLOCK_BYTES = 4 << 20
_SAMPLE_BLOCKS = 64  # runs from which the edges of a histogram are chosen
_SAMPLE_RUN = 1024  # elements of each
_HISTOGRAM_WORK = 4 << 30  # bytes x edges; beyond it, only evenly spaced blocks go into the bars


def describe(a: Any, name: str, *, bins: int = 16) -> dict[str, Any]:
    """Shape, dtype, order, and per field count, min, max, mean, std, zeros, NaN, infinite, bars.

    `a` is an open Array. min, max, mean, std and the histogram are those of the finite elements;
    what does not exist (the mean of nothing, the minimum of complex numbers) is None.
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
        self._bars = _Bars([], 1)
        if self._real and flat.size:
            edges = _edges(self._sample(flat), dtype.kind, bins)
            self._bars = _Bars(edges, max(1, flat.nbytes * len(edges) // _HISTOGRAM_WORK))

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
        if not self._numeric or part.size == 0:
            return
        if not self._real:
            mean, var, nonzero = _core._reduce_many(part, (sf.mean, sf.var, sf.count_nonzero))
            self._moments.add(part.size, mean, var)
            self._zeros += part.size - nonzero
            return
        if not part.c_contiguous:
            part = part.copy()  # a field of records: gathered once, read by every kernel
        low, high, mean, var, nonzero = _core._reduce_many(part, _REAL)
        self._zeros += part.size - nonzero
        if self._dtype.kind == "f" and not (math.isfinite(low) and math.isfinite(high)):
            part = self._without_special(part)
            if part.size == 0:
                return
            low, high, mean, var, nonzero = _core._reduce_many(part, _REAL)
        self._min = low if self._min is None else min(self._min, low)
        self._max = high if self._max is None else max(self._max, high)
        self._moments.add(part.size, mean, var)
        self._bars.add(part)

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


_REAL = (sf.min, sf.max, sf.mean, sf.var, sf.count_nonzero)


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


def _edges(sample: list, kind: str, bins: int) -> list:
    """Where one bar ends and the next begins, round numbers; the outer bars are open."""
    if not sample:
        return []
    low, high = min(sample), max(sample)
    if kind == "b":
        return [1]
    width = high / bins - low / bins
    if width < 1e-300:  # all alike, or too small to divide
        return []
    size = 10 ** math.floor(math.log10(width))
    for step in (factor * size for factor in (1, 2, 2.5, 5, 10, 20)):
        if kind in "iu" and step != int(step):
            continue
        first, last = math.floor(low / step) + 1, math.floor(high / step)
        if last - first + 1 < bins:
            edges = [step * i for i in range(first, last + 1)]
            return [int(e) if kind in "iu" else float(f"{e:.12g}") for e in edges]
    return []


class _Bars:
    """Counts of a histogram, from every `every`-th block."""

    def __init__(self, edges: list, every: int):
        self._edges = edges
        self._every = every
        self._seen = 0
        self._below = [0] * len(edges)
        self._total = 0

    def add(self, part: Any) -> None:
        self._seen += 1
        if (self._seen - 1) % self._every:
            return
        self._total += part.size
        below = sf.empty(part.shape, "bool")
        for i, edge in enumerate(self._edges):
            if part.dtype.kind == "b":
                self._below[i] += part.size - sf.count_nonzero(part)
            else:
                self._below[i] += sf.count_nonzero(sf.less(part, edge, out=below))

    def result(self, low: Any, high: Any) -> dict[str, Any] | None:
        """The bars from the smallest to the largest element of all."""
        if low is None:
            return None
        bounds = [*self._below, self._total]
        counts = [b - a for a, b in zip([0, *bounds], bounds, strict=False)]
        inner = [edge for edge in self._edges if low < edge <= high]
        first = len([edge for edge in self._edges if edge <= low])
        kept = counts[first : first + len(inner) + 1]
        return {"edges": [low, *inner, high], "counts": kept, "elements": self._total}


def text(answer: dict[str, Any]) -> str:
    """The same for people."""
    elements, seconds = answer["elements"], answer["seconds"]
    shape = "x".join(map(str, answer["shape"])) or "0-d"
    speed = f", {answer['nbytes'] / seconds / 1e9:.1f} GB/s" if answer["nbytes"] >= 1 << 20 else ""
    lines = [
        answer["file"],
        f"  shape   {shape}  ({elements:,} elements)",
        f"  dtype   {answer['dtype']}",
        f"  order   {answer['order']}",
        f"  size    {bytes_text(answer['nbytes'])}, read in one pass of {seconds:.2f} s{speed}",
    ]
    for field in answer["fields"]:
        lines += ["", *_field_lines(field)]
    return "\n".join(lines)


def _field_lines(field: dict[str, Any]) -> list[str]:
    title = f"  {field['name']}  ({field['dtype']})" if field["name"] else "  elements"
    if "mean" not in field:
        return [f"{title}: no statistics for {field['dtype']}"]
    lines = [title]
    for pair in (("min", "max"), ("mean", "std"), ("zeros",), ("nan", "infinite")):
        shown = [key for key in pair if field[key] or pair[0] not in ("nan", "zeros")]
        if shown:
            lines.append("    " + "".join(f"{key:<9}{_number(field[key]):<24}" for key in shown))
    lines = [line.rstrip() for line in lines]
    finite = field["count"] - field["nan"] - field["infinite"]
    return lines + _histogram_lines(field["histogram"], field["dtype"], finite)


def _number(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"({_number(value[0])}, {_number(value[1])}j)"
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"


def _histogram_lines(histogram: dict[str, Any] | None, dtype: str, count: int) -> list[str]:
    if histogram is None or not histogram["elements"]:
        return []
    edges, counts, total = histogram["edges"], histogram["counts"], histogram["elements"]
    labels = _labels(edges, len(counts), dtype)
    width = max(map(len, labels))
    most = max(counts) or 1
    note = [f"    bars of {total:,} elements, evenly spaced"] if total < count else []
    return ["", *note] + [
        f"    {label:>{width}}  {_bar(count / most):<32}  {count / total:6.2%}"
        for label, count in zip(labels, counts, strict=True)
    ]


def _labels(edges: list, bars: int, dtype: str) -> list[str]:
    if dtype == "bool":
        return [str(bool(edge)) for edge in edges[:bars]]
    if isinstance(edges[0], int):
        lasts = [*(edge - 1 for edge in edges[1:bars]), edges[-1]]
        pairs = zip(edges[:bars], lasts, strict=True)
        return [f"{low:,}" if low == last else f"{low:,} to {last:,}" for low, last in pairs]
    return [f"{edges[i]:.6g} to {edges[i + 1]:.6g}" for i in range(bars)]


def _bar(share: float) -> str:
    """Up to 32 characters; eighths of one where the terminal can show them."""
    try:
        "█▏".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * round(share * 32)
    eighths = math.ceil(share * 256)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
