"""The kernel lab: how fast and how exact the kernels are on this machine, and why.

    report = sf.lab.run("add,exp", dtype="f4,f8", size="1k:16M", target="all", versus="numpy")
    print(report)                  # GB/s, elements per ns, share of the memory's ceiling, ULP
    report.save("add.html")        # throughput over size, roofline, accuracy; .json and .csv too

    @sf.lab.register("add")        # a kernel of yours beside spanflow's
    def numexpr_add(a, b, out): ...

The command `spanflow bench kernels` does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from spanflow.lab._kernels import kernels, register
from spanflow.lab._machine import Ceiling, ceiling, machine
from spanflow.lab._measure import Result
from spanflow.lab._plan import plan
from spanflow.lab._report import Report

__all__ = ["Ceiling", "Report", "Result", "ceiling", "kernels", "machine", "register", "run"]

_Words = str | Iterable[str]


def run(
    op: _Words | None = None,
    *,
    dtype: _Words = "f4",
    layout: _Words = "contiguous",
    size: str | int | Iterable[str | int] = "1k,64k,1M,16M",
    target: _Words | None = None,
    threads: int | Iterable[int] = 1,
    versus: _Words = (),
    seconds: float = 0.05,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Measures every combination of the given operations, dtypes, layouts, sizes and threads.

    Words come as 'a,b' or as a list. op: operations or families (elementwise, reduction, scan,
    function, registered); None for all of them. layout: contiguous, strided (every other element),
    reversed, unaligned (by a byte), big-endian, column (of a record), broadcast (a row), or all.
    size: elements of each operand; 1k:256M is a range in steps of 4. target: SIMD targets, all, or
    None for the one in use. versus: "numpy", for its function of the same name; registered
    functions always take part. Each contender is timed for about `seconds`; a call is timed whole,
    from Python. `progress` is called as progress(done, total, name) before each case and at the
    end.

    Raises ValueError for words that nothing goes by, and MemoryError for operands that would take
    more than half of the memory; both before anything is measured.
    """
    made = plan(
        op=op,
        dtype=dtype,
        layout=layout,
        size=size,
        target=target,
        threads=threads,
        versus=versus,
        seconds=seconds,
    )
    return made.run(progress)
