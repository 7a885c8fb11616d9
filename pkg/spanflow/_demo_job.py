"""The job of the demo: the share of land on Earth, from 933 million cells.

The land mask of the Earth, 933 MB of bool, is mapped and streamed through a native pipeline: the
mean of each row, times the cosine of its latitude, summed. That is the share of the Earth that is
ocean; what is left is land. The result is checked against the known value, and NumPy does the same
in the same run.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import spanflow as sf
from spanflow import _core, _data, _worldmap
from spanflow._info import size as bytes_text
from spanflow._progress import progress

LAND = 0.28905018356  # share of the Earth's area; from the same data by NumPy in double precision
OCEAN_CELLS = 0.6682434070644718  # mean of the mask, every cell counted alike
EARTH_KM2 = 510.07e6
PASSES = 5
BAND = 10  # degrees of latitude
BLOCK = 20  # cells of the picture's blocks, each way


class Options(NamedTuple):
    """What the command line chose for the streamed pass."""

    rows: int
    threads: int
    memory: int  # bytes
    picture: Path | None


class Passes(NamedTuple):
    """The same work done several times: its result, seconds of each, the last run's statistics."""

    total: float
    seconds: list[float]
    stats: Any

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class WrongError(Exception):
    """A result differs from what is known."""


def run(options: Options) -> None:
    """Fetches the data, does the work and prints it. Raises WrongError when a result is wrong."""
    paths = _data.land_mask(lambda text: print(f"    {text}", flush=True))
    sf.set_num_threads(options.threads)
    _print_machine(options.threads)
    _wrap_both_ways()
    weights = np.cos(np.radians(np.load(paths.latitude)))
    with sf.open(paths.mask) as mask:
        land = _stream(mask, paths.mask, weights, options)
        bands = _bands(mask, weights, options)
        _picture(mask, land, bands, options.picture or _data.cache_folder().parent / "world.png")


def _print_machine(threads: int) -> None:
    gil = "on" if _gil_is_on() else "off"
    cache = bytes_text(_core._machine()["last_level_cache"])
    print(
        f"spanflow {sf.__version__} on {sf.simd.target()}, {threads} threads, last-level cache "
        f"{cache}, Python {sys.version.split()[0]} with the GIL {gil}, NumPy {np.__version__}"
    )


def _gil_is_on() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _check(true: bool, otherwise: str) -> None:
    if not true:
        raise WrongError(otherwise)


def _wrap_both_ways() -> None:
    print("\nWrap a NumPy array, and back")
    first = np.arange(6, dtype="f4").reshape(2, 3)
    wrapped = sf.asarray(first, copy=False)
    back = np.asarray(wrapped)
    addresses = [first.ctypes.data, wrapped.address, back.ctypes.data]
    print(f"    NumPy {addresses[0]:#x} -> spanflow {addresses[1]:#x} -> NumPy {addresses[2]:#x}")
    wrapped[0, 0] = 42
    same = len(set(addresses)) == 1 and first[0, 0] == back[0, 0] == 42
    _check(same, "wrapping changed the address or the bytes")
    print("    one address: a write through one is seen by all three")


def _stream(mask: Any, path: Path, weights: Any, options: Options) -> float:
    """The share of land, by us and by NumPy."""
    rows, columns = mask.shape
    size = f"{rows:,} x {columns:,} cells, {mask.nbytes / 1e6:,.0f} MB"
    print(f"\nStream the land mask: {size}, mapped")
    print(f"    {options.rows} rows a block -> mean of each row -> times cos(latitude) -> sum")
    source = sf.Pipeline(sf.read(mask, rows=options.rows))
    first = next(iter(source))
    _check(first.address == mask.address, "the chunks are not views of the mapping")
    pipe = source.map(sf.mean, axis=1).map(sf.multiply, sf.aligned(weights)).map(sf.sum)
    ours = _repeat("spanflow", lambda seen: _spanflow_pass(pipe, options, seen), rows)
    peak = sf.memory_stats()["peak_rss"]
    mapped = np.load(path, mmap_mode="r")
    numpy = _repeat("NumPy", lambda seen: _numpy_pass(mapped, weights, options, seen), rows)
    _print_passes(ours, numpy, mask.nbytes)
    _print_costs(ours, mask.nbytes, peak)
    land, numpy_land = (1 - passes.total / weights.sum() for passes in (ours, numpy))
    print(f"    share of land   {land:.11f}, NumPy {numpy_land:.11f}, known {LAND:.11f}")
    _check(abs(land - LAND) < 1e-10, f"the share of land is {land:.15f}, but it is known: {LAND}")
    return land


def _repeat(name: str, one_pass: Callable[[Any], tuple[float, Any]], rows: int) -> Passes:
    """Several passes behind one progress bar; the first one also brings the pages in."""
    seconds, stats, totals = [], None, []
    with progress(f"    {name}", PASSES * rows) as bar:
        for number in range(PASSES):
            start = time.perf_counter()
            total, stats = one_pass(lambda done, n=number: bar.update(n * rows + done))
            seconds.append(time.perf_counter() - start)
            totals.append(total)
    _check(len(set(totals)) == 1, f"{name} gave different results: {totals}")
    return Passes(totals[0], seconds, stats)


def _spanflow_pass(pipe: Any, options: Options, seen: Callable[[int], None]) -> tuple[float, Any]:
    total, done = 0.0, 0
    with pipe.run(threads=options.threads, memory=options.memory) as run:
        for part in run:
            total += part
            done += options.rows
            seen(done)
    return total, run.stats()


def _numpy_pass(
    mask: Any, weights: Any, options: Options, seen: Callable[[int], None]
) -> tuple[float, Any]:
    total = 0.0
    for first in range(0, len(mask), options.rows):
        rows = slice(first, first + options.rows)
        total += float((mask[rows].mean(axis=1) * weights[rows]).sum())
        seen(first + options.rows)
    return total, None


def _print_passes(ours: Passes, numpy: Passes, nbytes: int) -> None:
    def row(name: str, passes: Passes) -> None:
        first, median = passes.seconds[0], passes.median
        print(f"    {name:<10} {first * 1e3:9.1f} {median * 1e3:9.1f} {nbytes / median / 1e9:9.2f}")

    print(f"    {'':<10} {'first, ms':>9} {'median, ms':>9} {'GB/s':>9}")
    row("spanflow", ours)
    row("NumPy", numpy)
    print(f"    spanflow takes {ours.median / numpy.median:.3f} of NumPy's time")


def _print_costs(ours: Passes, nbytes: int, peak: int) -> None:
    """What the last streamed pass took besides time."""
    stats = ours.stats
    elapsed = stats["elapsed"]
    held = elapsed - stats["detached"]
    # Without a GIL a thread is attached to the interpreter all the same, but holds up nobody.
    word = "GIL held" if _gil_is_on() else "attached"
    print(
        f"    bytes copied    none of {bytes_text(nbytes)}: chunks are views of the mapping; "
        f"stages made {bytes_text(stats['nbytes_made'])} of results"
    )
    loop = f"{held * 1e3:.2f} ms ({held / elapsed:.1%} of {elapsed * 1e3:.1f} ms)"
    stages = f"{stats['attached'] * 1e3:.2f} ms"
    print(f"    {word}        {loop} by the loop that adds up, {stages} by the stages")
    print(
        f"    peak RSS        {bytes_text(peak)}, of which up to {bytes_text(nbytes)} are pages of "
        f"the file, given back when memory is short"
    )


def _bands(mask: Any, weights: Any, options: Options) -> list[tuple[float, float]]:
    """The share of land by latitude, from the means of rows that a second pipeline collects."""
    pipe = sf.Pipeline(sf.read(mask, rows=options.rows)).map(sf.mean, axis=1)
    ocean = pipe.collect()
    cells = float(sf.mean(ocean))
    _check(abs(cells - OCEAN_CELLS) < 1e-12, f"{cells:.16f} of the cells are ocean, not as known")
    count = 180 // BAND
    heavy = sf.asarray(weights).reshape(count, -1)
    shares = 1 - sf.sum(ocean.reshape(count, -1) * heavy, axis=1) / sf.sum(heavy, axis=1)
    areas = sf.sum(heavy, axis=1) / sf.sum(heavy) * EARTH_KM2
    print("\nLand by latitude")
    bands = []
    for i in range(count):
        top = 90 - BAND * i
        bands.append((top - BAND / 2, shares[i]))
        bar = "#" * round(shares[i] * 40)
        print(
            f"    {_latitude(top):>3} to {_latitude(top - BAND):<3} {shares[i]:7.2%} "
            f"{shares[i] * areas[i] / 1e6:7.2f} million square km  {bar}"
        )
    return bands


def _latitude(degrees: int) -> str:
    return f"{abs(degrees)}{'N' if degrees > 0 else 'S' if degrees < 0 else ''}"


def _picture(mask: Any, land: float, bands: list[tuple[float, float]], path: Path) -> None:
    start = time.perf_counter()
    share = 1 - sf.downsample(mask, BLOCK)
    seconds = time.perf_counter() - start
    title = (
        f"The land of the Earth\n{land:.6%} of its area · {mask.size / 1e6:.0f} million cells, "
        f"averaged in blocks of {BLOCK} x {BLOCK} by spanflow"
    )
    print(f"\nPicture: means over {BLOCK} x {BLOCK} blocks took {seconds * 1e3:.0f} ms")
    try:
        _worldmap.draw(np.asarray(share), bands, title, path)
    except ImportError:
        print(f"    not drawn: matplotlib is not installed; {_data.INSTALL}")
    else:
        print(f"    {path}")
