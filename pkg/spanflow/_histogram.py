"""The histogram of `spanflow describe`: round edges chosen from a sample, then counts per block."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import spanflow as sf

# Widths of bars, times a power of ten. They lie close together, so that there are not many fewer
# bars than asked for.
_ROUND = ("1", "1.2", "1.5", "2", "2.5", "3", "4", "5", "6", "8", "10", "12", "15", "20")


def choose_edges(sample: list, dtype: Any, bins: int) -> tuple[list, bool]:
    """Where one bar ends and the next begins; whether each bar is a single value.

    The edges are round numbers between the smallest and the largest of the sample. The outer bars
    are open: what the sample did not meet goes there.
    """
    if not sample:
        return [], False
    if dtype.kind == "b":
        return [1], True
    low, high = min(sample), max(sample)
    width = high / bins - low / bins
    if width < 1e-300:  # all alike, or too small to divide
        return [], False
    integer = dtype.kind in "iu"
    power = math.floor(math.log10(width))
    for factor in _ROUND:
        step = Decimal(factor).scaleb(max(power, 0) if integer else power)
        if integer and step != int(step):
            continue
        single = integer and step == 1
        edges = _multiples(step, low, high, single, bins)
        if edges is not None and integer:
            return [int(edge) for edge in edges], single
        if edges is not None:
            return _told_apart(edges, low, high, dtype), False
    return [], False


def _multiples(step: Decimal, low: Any, high: Any, with_high: bool, bins: int) -> list | None:
    """The multiples of a step between two numbers, or None when they make too many bars."""
    first = math.floor(Decimal(low) / step) + 1
    end = Decimal(high) / step
    last = math.floor(end) if with_high else math.ceil(end) - 1
    return [step * i for i in range(first, last + 1)] if last - first + 1 < bins else None


def _told_apart(edges: list[Decimal], low: float, high: float, dtype: Any) -> list[float]:
    """As float, without those that are the one before, or the end, in the field's precision."""
    values = [float(edge) for edge in edges]
    rounded = sf.array(values, dtype).tolist() if values else []
    return [
        value
        for value, at, before in zip(values, rounded, [low, *rounded], strict=False)
        if before < at < high
    ]


class Bars:
    """Counts of a histogram, from every `every`-th block."""

    def __init__(self, edges: list, single: bool, every: int):
        self._edges = edges
        self._single = single
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
        """The bars from the smallest to the largest element of all; the last includes its end."""
        if low is None:
            return None
        inner = [
            (edge, below)
            for edge, below in zip(self._edges, self._below, strict=True)
            if low < edge < high or (self._single and low < edge == high)
        ]
        bounds = [0, *(below for _, below in inner), self._total]
        counts = [end - start for start, end in itertools.pairwise(bounds)]
        edges = [low, *(edge for edge, _ in inner), high]
        return {"edges": edges, "counts": counts, "elements": self._total}
