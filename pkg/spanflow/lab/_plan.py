"""A run of the lab before it starts: everything that was asked for is checked, nothing measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spanflow.lab import _select
from spanflow.lab._machine import Ceiling, ceiling, machine
from spanflow.lab._measure import Case, Result, measure
from spanflow.lab._report import Report

_Words = str | Iterable[str]
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Plan:
    """The cases of a run, and who takes part in each."""

    cases: list[Case]
    targets: list[str]
    versus: list[str]
    seconds: float

    def run(self, progress: Told | None = None) -> Report:
        """Measures; progress(done, total, name) is called before each case and at the end."""
        results: list[Result] = []
        for done, case in enumerate(self.cases):
            if progress is not None:
                progress(done, len(self.cases), f"{case.kernel.name} {case.dtype.name}")
            results += measure(case, self.targets, self.versus, self.seconds)
        if progress is not None:
            progress(len(self.cases), len(self.cases), "")
        return Report(machine(), results, self._ceilings())

    def _ceilings(self) -> list[Ceiling]:
        """Of every working set's power of two."""
        sets = sorted({(1 << (case.nbytes - 1).bit_length(), case.threads) for case in self.cases})
        return [ceiling(*key, self.seconds / 4) for key in sets]


def plan(
    *,
    op: _Words | None,
    dtype: _Words,
    layout: _Words,
    size: str | int | Iterable[str | int],
    target: _Words | None,
    threads: int | Iterable[int],
    versus: _Words,
    seconds: float,
) -> Plan:
    """The arguments are those of spanflow.lab.run()."""
    if not 0 < seconds <= 3600:
        raise ValueError(f"seconds must be above 0 and at most 3600, got {seconds!r}")
    return Plan(
        _select.cases(
            _select.ops(op),
            _select.dtypes(dtype),
            _select.layouts(layout),
            _select.sizes(size),
            _threads(threads),
        ),
        _select.targets(target),
        _versus(versus),
        seconds,
    )


def _threads(threads: int | Iterable[int]) -> list[int]:
    counts = [threads] if isinstance(threads, int) else list(threads)
    for count in counts:
        if not 1 <= count <= 1024:
            raise ValueError(f"threads are whole numbers from 1 to 1024, got {count!r}")
    return counts


def _versus(versus: _Words) -> list[str]:
    chosen = _select.words(versus)
    for word in chosen:
        if word != "numpy":
            raise ValueError(
                f"versus knows 'numpy', got {word!r}; "
                "sf.lab.register() makes a function of yours take part"
            )
    if chosen:
        try:
            import numpy  # noqa: F401
        except ImportError:
            raise ImportError("versus='numpy' needs NumPy: python -m pip install numpy") from None
    return chosen
