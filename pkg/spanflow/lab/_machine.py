"""The machine under the kernels: its names, its caches, and what its memory gives at best."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import spanflow as sf
from spanflow import _core

_ROUNDS = 7


@dataclass(frozen=True)
class Ceiling:
    """Bytes per second of passes that do nothing but move `working_set` bytes with `threads`.

    A copy counts the bytes read and the bytes written."""

    working_set: int
    threads: int
    read: float
    write: float
    copy: float


def ceiling(working_set: int, threads: int | None = None, seconds: float = 0.02) -> Ceiling:
    """Measures what memory gives to data of `working_set` bytes, like STREAM (McCalpin 1995).

    The working set of reading and writing is one array, of copying two of half the size. Writing
    goes through the caches or past them, whichever is faster here. Each thread has a part of its
    own. Each way of reading, writing and copying is tried for about `seconds`.
    """
    threads = sf.get_num_threads() if threads is None else threads
    whole = max(working_set, 512 * threads)
    return Ceiling(
        working_set,
        threads,
        read=rate((whole,), 0, threads, seconds),
        write=rate((), whole, threads, seconds),
        copy=rate((whole // 2,), whole // 2, threads, seconds),
    )


def rate(reads: tuple[int, ...], written: int, threads: int, seconds: float) -> float:
    """Bytes per second of passes over arrays of so many bytes that are read, and one that is
    written at the same time: the best of several timings."""
    before = sf.get_num_threads()
    sf.set_num_threads(threads)
    try:
        least = seconds / _ROUNDS
        moving = best_pass(reads, written, least)
        repeats = repeats_for(moving, least)
        moved = (sum(reads) + written) * repeats
        return moved / min(moving(repeats) for _ in range(_ROUNDS))
    finally:
        sf.set_num_threads(before)


Passes = Callable[[int], float]  # so many of them, in seconds


def best_pass(reads: tuple[int, ...], written: int, seconds: float) -> Passes:
    """Passes that do nothing but move these bytes, through the caches or past them, whichever is
    faster here, as timings of about `seconds` say."""
    # Written, because pages that never were are all the same one.
    arrays = tuple(sf.full(nbytes, 1, "u1") for nbytes in reads)
    out = sf.zeros(written, "u1") if written else None

    def through(repeats: int) -> float:
        return _timed(arrays, out, False, repeats)

    def past(repeats: int) -> float:
        return _timed(arrays, out, True, repeats)

    if out is None:
        return through
    repeats = repeats_for(through, seconds)
    return min(through, past, key=lambda way: min(way(repeats) for _ in range(3)))


def repeats_for(passes: Passes, least: float) -> int:
    """How many make a timing of at least so many seconds."""
    repeats = 1
    while (spent := passes(repeats)) < least and repeats < 1 << 30:
        repeats = max(2 * repeats, int(repeats * least / max(spent, 1e-9)))
    return repeats


def _timed(arrays: tuple[sf.Array, ...], out: sf.Array | None, past: bool, repeats: int) -> float:
    start = time.perf_counter()
    _core._pass(arrays, out, past, repeats)
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """What a result must say of where it was measured."""
    facts = _core._machine()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _processor(),
        "cores": facts["cores"],
        "l1": facts["l1d"],
        "l2": facts["l2"],
        "l3": facts["last_level_cache"],
        "memory": facts["memory"],
        "spanflow": sf.__version__,
        "targets": sf.simd.targets(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    """The name of the processor in Linux's words, else what Python knows of it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
