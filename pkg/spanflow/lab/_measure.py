"""Timing: everybody who does the same work takes turns in one process, and medians are kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import spanflow as sf
from spanflow.lab import _accuracy, _operands
from spanflow.lab._kernels import Kernel
from spanflow.lab._machine import Passes, best_pass, repeats_for

_LEAST_ROUNDS = 5
_USUAL_ROUNDS = 20  # in the time that a contender is given
_MOST_ROUNDS = 50
_MEMORY = "memory"  # takes turns with the others, because what it allows changes as they do


@dataclass(frozen=True)
class Case:
    """One piece of work: which kernel, on what."""

    kernel: Kernel
    dtype: sf.dtype
    layout: str
    size: int  # elements of each operand
    threads: int

    @property
    def nbytes(self) -> int:
        """What all operands and a result of the same dtype take, in the layout that takes most."""
        spread = 2 if self.layout in ("strided", "column") else 1
        return (self.kernel.nin * spread + 1) * self.size * self.dtype.itemsize


@dataclass
class Result:
    """What was seen of one contender in a case. `values` are seconds of one call, one per round."""

    op: str
    dtype: str
    layout: str
    size: int
    threads: int
    contender: str  # "spanflow", "numpy", or a registered name
    values: list[float]
    bytes_read: int
    bytes_written: int
    operands: int = 1  # arrays that are read side by side
    target: str | None = None  # of spanflow
    ceiling_seconds: float | None = None  # the least that memory allows for these bytes
    ulps: float | None = None
    error_bound: float | None = None

    @property
    def seconds(self) -> float:
        return statistics.median(self.values)

    @property
    def gb_per_second(self) -> float:
        return (self.bytes_read + self.bytes_written) / self.seconds / 1e9

    @property
    def elements_per_ns(self) -> float:
        return self.size / self.seconds / 1e9

    @property
    def of_ceiling(self) -> float | None:
        """The speed as a share of what memory allows; above 1 where data stays in a nearer cache
        than the ceiling's did."""
        return None if self.ceiling_seconds is None else self.ceiling_seconds / self.seconds


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = sf.get_num_threads()
    sf.set_num_threads(count)
    try:
        yield
    finally:
        sf.set_num_threads(before)


def measure(
    case: Case, targets: Sequence[str], versus: Sequence[str], seconds: float
) -> list[Result]:
    """Times spanflow on each target, then `versus` ("numpy") and the registered functions, and
    what memory allows for the same bytes, for about `seconds` each."""
    with _threads(case.threads):
        given, out, calls = _contenders(case, targets, versus)
        read = sum(a.nbytes for a in given) if case.layout != "broadcast" else given[0].nbytes
        written = _written(case.kernel, given, out)
        operands = len(given) if case.layout != "broadcast" else 1
        loops = {key: _loop(key, call, targets) for key, (_, call) in calls.items()}
        least = seconds / _USUAL_ROUNDS
        loops[_MEMORY] = best_pass((max(read // operands, 256),) * operands, written, least)
        times = _take_turns(loops, seconds)
        error = _errors(case, targets)
        return [
            Result(
                case.kernel.name,
                case.dtype.name,
                case.layout,
                case.size,
                case.threads,
                contender,
                times[key],
                read,
                written,
                operands,
                key if contender == "spanflow" else None,
                statistics.median(times[_MEMORY]),
                ulps=error.get(key),
                error_bound=case.kernel.error_bound if contender == "spanflow" else None,
            )
            for key, (contender, _) in calls.items()
        ]


def _written(kernel: Kernel, given: list[sf.Array], out: sf.Array | None) -> int:
    """Bytes of the result; those of single numbers do not count."""
    if kernel.family == "function":
        found = kernel.call(*given, out=None)
        parts = found if isinstance(found, tuple) else (found,)
        return sum(part.nbytes for part in parts if isinstance(part, sf.Array))
    return 0 if out is None else out.nbytes


_Calls = dict[str, tuple[str, Callable[[], Any]]]


def _contenders(
    case: Case, targets: Sequence[str], versus: Sequence[str]
) -> tuple[list[sf.Array], sf.Array | None, _Calls]:
    """Operands, output, and by key (a target, or a name) who is called and how."""
    kernel = case.kernel
    given = _operands.operands(
        case.dtype,
        case.size,
        kernel.nin,
        case.layout,
        kernel.range_of(case.dtype),
        first_is_bool=kernel.name == "where",
    )
    out = None
    if kernel.family == "registered":
        out = sf.zeros(given[0].shape, case.dtype)
    elif kernel.family not in ("reduction", "function"):
        out = kernel.call(*given, out=None)
    calls: _Calls = {}
    if kernel.family != "registered":
        for target in targets:
            calls[target] = ("spanflow", lambda: kernel.call(*given, out=out))
    if "numpy" in versus and (call := _numpy_call(kernel, given, out)) is not None:
        calls["numpy"] = ("numpy", call)
    for name, peer in kernel.peers.items():
        calls[name] = (name, partial(peer, *given, out))
    return given, out, calls


def _numpy_call(
    kernel: Kernel, given: list[sf.Array], out: sf.Array | None
) -> Callable[[], Any] | None:
    """NumPy's function of the same name on the same bytes, where there is one that takes them."""
    import numpy as np

    function = getattr(np, kernel.name, None)
    if function is None:
        return None
    try:
        arrays = [np.asarray(a) for a in given]
        if out is None:
            function(*arrays, **kernel.options)
            return lambda: function(*arrays, **kernel.options)
        if isinstance(function, np.ufunc) or kernel.name != "where":
            target = np.asarray(out)
            function(*arrays, out=target)
            return lambda: function(*arrays, out=target)
        return lambda: function(*arrays)
    except (TypeError, ValueError):  # a dtype that NumPy does not have, or not for this
        return None


def _take_turns(loops: dict[str, Passes], seconds: float) -> dict[str, list[float]]:
    numbers = {}
    for key, loop in loops.items():
        loop(1)  # not counted: first pages, first use of a code path
        numbers[key] = repeats_for(loop, seconds / _USUAL_ROUNDS)
    times: dict[str, list[float]] = {key: [] for key in loops}
    order = list(loops)
    start = time.perf_counter()
    budget = seconds * len(order)
    for rounds in range(_MOST_ROUNDS):
        if rounds >= _LEAST_ROUNDS and time.perf_counter() - start > budget:
            break
        for key in order:
            times[key].append(loops[key](numbers[key]) / numbers[key])
        order.reverse()  # nobody always runs on what the same one left in the caches
    return times


def _loop(key: str, call: Callable[[], Any], targets: Sequence[str]) -> Passes:
    """Seconds of `number` calls, on the right target."""

    def plain(number: int) -> float:
        start = time.perf_counter()
        for _ in range(number):
            call()
        return time.perf_counter() - start

    def on_target(number: int) -> float:
        with sf.simd.use(key):
            return plain(number)

    return on_target if key in targets else plain


_known: dict[tuple[str, str, str], dict[str, float]] = {}


def _errors(case: Case, targets: Sequence[str]) -> dict[str, float]:
    """The errors by key. They do not depend on size and layout, so they are measured once."""
    if not _accuracy.has_error(case.kernel, case.dtype):
        return {}
    found: dict[str, float] = {}
    for target in targets:
        known = (case.kernel.name, case.dtype.name, target)
        if known not in _known or case.kernel.peers:
            with sf.simd.use(target):
                _known[known] = _accuracy.errors(case.kernel, case.dtype)
        others = dict(_known[known])
        found[target] = others.pop("spanflow")
        found.update(others)
    return found
