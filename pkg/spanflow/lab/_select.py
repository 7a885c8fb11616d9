"""Which cases a run has: names, dtypes, layouts and sizes as people write them."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence

import spanflow as sf
from spanflow import _core
from spanflow.lab import _operands
from spanflow.lab._kernels import Kernel, kernels
from spanflow.lab._measure import Case

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NUMBERS = "? i1 i2 i4 i8 u1 u2 u4 u8 f2 bfloat16 f4 f8 c8 c16"
_STEP = 4  # between the sizes of a range, if it does not say


def words(value: str | Iterable[str]) -> list[str]:
    """'add,mul' or ['add', 'mul'] as a list."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    return [part.strip() for part in parts if part.strip()]


def ops(value: str | Iterable[str] | None) -> list[Kernel]:
    """Kernels by name or family ("reduction"); None for every one. ValueError for another word."""
    known = kernels()
    if value is None:
        return list(known.values())
    chosen: dict[str, Kernel] = {}
    for word in words(value):
        group = [k for k in known.values() if word in (k.name, k.family)]
        if not group:
            close = difflib.get_close_matches(word, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(
                f"no operation {word!r}{hint} There are {', '.join(sorted(known))}, and the "
                "families elementwise, reduction, scan, function and registered"
            )
        chosen.update({kernel.name: kernel for kernel in group})
    return list(chosen.values())


def dtypes(value: str | Iterable[str]) -> list[sf.dtype]:
    """Native numeric dtypes by any of their names; "all" for all of them."""
    found = []
    for word in words(value):
        if word == "all":
            found += [sf.dtype(name) for name in _NUMBERS.split()]
            continue
        dtype = sf.dtype(word)
        if dtype.kind not in "biufc":
            raise ValueError(f"the lab measures numbers, not {dtype}")
        found.append(dtype if dtype.isnative else dtype.newbyteorder())
    return found


def layouts(value: str | Iterable[str]) -> list[str]:
    """Names of memory layouts; "all" for all of them."""
    known = list(_operands.LAYOUTS)
    chosen = []
    for word in words(value):
        if word != "all" and word not in known:
            raise ValueError(f"no layout {word!r}; there are {', '.join(known)}, and all")
        chosen += known if word == "all" else [word]
    return chosen


def size(text: str | int) -> int:
    """1000, 4k, 16M or 1G elements (k is 1,024)."""
    if isinstance(text, int):
        text = str(text)
    word = text.strip().lower()
    digits = word.rstrip("kmg")
    unit = word[len(digits) :]
    if not digits.isdecimal() or unit not in _UNITS or not int(digits):
        raise ValueError(f"a size is a whole number such as 1000, 4k or 16M, got {text!r}")
    return int(digits) * _UNITS[unit]


def sizes(value: str | int | Iterable[str | int]) -> list[int]:
    """Sizes, and ranges of them: 1k:256M multiplies by 4 from 1k to 256M, 1k:64k:2 by 2."""
    if isinstance(value, int):
        value = [value]
    found: list[int] = []
    for part in value.split(",") if isinstance(value, str) else value:
        if isinstance(part, int) or ":" not in part:
            found.append(size(part))
            continue
        first, last, *step = part.split(":")
        factor = size(step[0]) if step else _STEP
        if len(step) > 1 or factor < 2 or size(first) > size(last):
            raise ValueError(f"a range of sizes is FIRST:LAST or FIRST:LAST:FACTOR, got {part!r}")
        n = size(first)
        while n <= size(last):
            found.append(n)
            n *= factor
    return list(dict.fromkeys(found))


def targets(value: str | Iterable[str] | None) -> list[str]:
    """SIMD targets of this machine; None: the one in use; "all"."""
    if value is None:
        return [sf.simd.target()]
    known = sf.simd.targets()
    if value == "all" or (not isinstance(value, str) and list(value) == ["all"]):
        return known
    by_name = {name.lower(): name for name in known}
    chosen = []
    for word in words(value):
        if word.lower() not in by_name:
            raise ValueError(f"no SIMD target {word!r} here; there are {', '.join(known)}, and all")
        chosen.append(by_name[word.lower()])
    return list(dict.fromkeys(chosen))


def cases(
    chosen: Sequence[Kernel],
    of_dtypes: Sequence[sf.dtype],
    of_layouts: Sequence[str],
    of_sizes: Sequence[int],
    of_threads: Sequence[int],
) -> list[Case]:
    """Every combination that means something. ValueError where there is none, MemoryError where
    operands would not fit into memory: before anything is measured."""
    made = [
        Case(kernel, dtype, layout, n, threads)
        for kernel, dtype, layout, n, threads in itertools.product(
            chosen, of_dtypes, of_layouts, of_sizes, of_threads
        )
        if kernel.takes(dtype) and _operands.fits(layout, dtype, kernel.broadcasts, n)
    ]
    if not made:
        raise ValueError(
            "nothing to measure: none of the operations takes these dtypes and layouts "
            "(broadcast needs an elementwise operation of two operands, and sizes that are "
            f"multiples of {_operands.LINE:,}; big-endian and unaligned need elements of two bytes "
            "or more)"
        )
    usable = _core._machine()["memory"]
    worst = max(made, key=lambda case: case.nbytes)
    if worst.nbytes > usable // 2:
        raise MemoryError(
            f"{worst.kernel.name} of {worst.size:,} elements needs {worst.nbytes:,} bytes; "
            f"this machine has {usable:,}, and half of them may be used. Choose smaller sizes"
        )
    return made
