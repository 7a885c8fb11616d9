"""The machine under the kernels: its names, its caches, and what its memory gives at best."""

from __future__ import annotations

import datetime
import platform
import time
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

    def seconds(self, read: int, written: int) -> float:
        """How long it takes to read and write so many bytes: a copy for as much as there is of
        both, the rest as reading or writing alone."""
        both = min(read, written)
        return 2 * both / self.copy + (read - both) / self.read + (written - both) / self.write


def ceiling(working_set: int, threads: int | None = None, seconds: float = 0.02) -> Ceiling:
    """Measures what memory gives to data of `working_set` bytes, like STREAM (McCalpin 1995).

    The working set of reading and writing is one array, of copying two of half the size. Writing
    goes through the caches or past them, whichever is faster here. Each thread has a part of its
    own. Each way of reading, writing and copying is tried for about `seconds`.
    """
    before = sf.get_num_threads()
    threads = before if threads is None else threads
    sf.set_num_threads(threads)
    try:
        whole = max(working_set // 256, 2 * threads) * 256
        one, half = sf.zeros(whole, "u1"), sf.zeros(whole // 512 * 256, "u1")
        other = sf.zeros(half.size, "u1")
        return Ceiling(
            working_set,
            threads,
            read=_rate(("read",), one, one, whole, seconds),
            write=_rate(("write", "write past the caches"), one, one, whole, seconds),
            copy=_rate(("copy", "copy past the caches"), half, other, 2 * half.size, seconds),
        )
    finally:
        sf.set_num_threads(before)


def _rate(ways: tuple[str, ...], a: sf.Array, out: sf.Array, nbytes: int, seconds: float) -> float:
    return max(nbytes / _pass_seconds(way, a, out, seconds / _ROUNDS) for way in ways)


def _pass_seconds(way: str, a: sf.Array, out: sf.Array, least: float) -> float:
    """Of one pass: the best of several timings, each of at least so many seconds. It is a ceiling,
    so what else the machine does must not lower it."""
    repeats = 1
    while (spent := _timed(way, a, out, repeats)) < least and repeats < 1 << 30:
        repeats = max(2 * repeats, int(repeats * least / max(spent, 1e-9)))
    return min(_timed(way, a, out, repeats) for _ in range(_ROUNDS)) / repeats


def _timed(way: str, a: sf.Array, out: sf.Array, repeats: int) -> float:
    start = time.perf_counter()
    _core._pass(way, a, out, repeats)
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
