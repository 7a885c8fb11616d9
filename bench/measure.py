"""How everything in bench/ is measured: peers in one process, interleaved, medians of many rounds.

Absolute times move by tens of percent from run to run and from machine to machine. The ratio of two
medians whose rounds took turns does not, so a row always is a ratio or has one beside it.
"""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ROUNDS = 15


@dataclass
class Row:
    """One line of the table. `asked` and `seen` are in `unit`; seen <= asked is good, unless
    `at_least`, where it is the other way round."""

    room: str
    work: str
    unit: str  # "x" (of a peer's time, or a speed-up), "x heap", "ns", "µs", "s", "%"
    seen: float
    asked: float | None = None
    at_least: bool = False
    seconds: dict[str, float] = field(default_factory=dict)  # median of each peer
    note: str = ""
    peer: str = "numpy"  # the one that `ratio` is of

    @property
    def ratio(self) -> float | None:
        """Our time as a share of the peer's, where the peer does the same."""
        if not {"spanflow", self.peer} <= self.seconds.keys():
            return None
        return self.seconds["spanflow"] / self.seconds[self.peer]

    @property
    def reached(self) -> bool | None:
        if self.asked is None:
            return None
        return self.seen >= self.asked if self.at_least else self.seen <= self.asked


def medians(peers: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of one call of each peer: the median of rounds in which all took turns, at rest."""
    times: dict[str, list[float]] = {name: [] for name in peers}
    order = list(peers)
    for call in peers.values():
        call()  # not counted: first pages, first use of a code path
    for _ in range(rounds):
        for name in order:
            rest()
            start = time.perf_counter()
            peers[name]()
            times[name].append(time.perf_counter() - start)
        order.reverse()  # nobody always runs on what the same peer left in the cache
    return {name: statistics.median(values) for name, values in times.items()}


def rest() -> None:
    """Waits until the threads of the one before are at rest, 0.2 s at most.

    Those of OpenBLAS, numba and others keep a core busy for a while, in case there is more to do.
    """
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(0.002)
        if time.process_time() - used < 0.1 * (time.perf_counter() - start):
            return


def beside(
    work: str,
    unit: str,
    asked: float | None,
    seconds: dict[str, float],
    missing: Iterable[str] = (),
) -> Row:
    """A row of the pipelines' table: our seconds in `unit`, the fastest peer, and all others.

    `seconds` has "spanflow" and a time for each peer; `missing` are the peers that are not there.
    """
    scale = {"µs": 1e6, "s": 1.0}[unit]
    others = [name for name in seconds if name != "spanflow"]
    best = min(others, key=seconds.__getitem__, default="numpy")
    shown = [
        f"{name} {seconds[name] * scale:.3g} {unit}" for name in sorted(others, key=seconds.get)
    ]
    shown += [f"{name} is not installed" for name in missing]
    note = ", ".join(shown)
    return Row(
        "pipeline", work, unit, seconds["spanflow"] * scale, asked, False, seconds, note, best
    )


def statement_medians(
    statements: Mapping[str, str], names: dict[str, Any], rounds: int = 25
) -> dict[str, float]:
    """The same for statements of nanoseconds, with timeit's loop around them."""
    timers = {key: timeit.Timer(text, globals=names) for key, text in statements.items()}
    number = {key: max(1, int(timer.autorange()[0] / 20)) for key, timer in timers.items()}
    per_call = medians({k: lambda k=k: timers[k].timeit(number[k]) for k in timers}, rounds)
    return {key: seconds / number[key] for key, seconds in per_call.items()}
