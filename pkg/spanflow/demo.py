"""`python -m spanflow.demo`: the main job on real data.

The land mask of the Earth, 933 MB of bool, is mapped and streamed through a native pipeline: mean of
each row, times the cosine of its latitude, summed. That is the share of the Earth that is land, and
it is checked against the known value. NumPy does the same in the same run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import spanflow as sf
from spanflow import _core, _data
from spanflow._info import size as bytes_text

LAND = 0.28905018356  # share of the Earth's area, from the same data by NumPy in double precision
OCEAN_CELLS = 0.6682434070644718  # mean of the mask, every cell counted alike
EARTH_KM2 = 510.07e6
REPEATS = 5
BAND = 10  # degrees of latitude


class Options(NamedTuple):
    rows: int
    threads: int
    memory: str | int | None


class Pass(NamedTuple):
    """One pass over the mask: the weighted sum, and what it took."""

    total: float
    seconds: float
    stats: Any


def main(argv: list[str] | None = None) -> int:
    """Runs the demo; exit code 1 when a result differs from what is known."""
    args = _parse(argv)
    try:
        paths = _data.land_mask(lambda text: print(f"    {text}", flush=True))
        return _run(args, paths)
    except _data.DataError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spanflow.demo", description=__doc__.split("\n\n")[1])
    parser.add_argument("--rows-per-chunk", type=_positive, default=64, help="rows in a block (64)")
    parser.add_argument("--threads", type=_positive, help="default: every usable core")
    parser.add_argument("--memory", default="64MB", help="bytes that the run may hold (64MB)")
    parser.add_argument("--picture", type=Path, help="where the map goes, a .png")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _run(args: argparse.Namespace, paths: _data.LandMask) -> int:
    options = Options(args.rows_per_chunk, args.threads or sf.get_num_threads(), args.memory)
    sf.set_num_threads(options.threads)
    _heading(options)
    _wrap_both_ways()
    latitude = np.load(paths.latitude)
    weights = np.cos(np.radians(latitude))
    mask = sf.open(paths.mask)
    land = _stream_and_compare(mask, paths.mask, weights, options)
    _bands(mask, weights, options)
    _picture(mask, land, args.picture or _data.cache_folder().parent / "world.png")
    return 0


def _heading(options: Options) -> None:
    machine = _core._machine()
    gil = "on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "off"
    print(
        f"spanflow {sf.__version__} on {sf.simd.target()}, {options.threads} threads, last-level "
        f"cache {bytes_text(machine['last_level_cache'])}, Python {sys.version.split()[0]} with "
        f"the GIL {gil}, NumPy {np.__version__}"
    )


def _wrap_both_ways() -> None:
    print("\nWrap a NumPy array, and back: no copy")
    first = np.arange(6, dtype="f4").reshape(2, 3)
    wrapped = sf.asarray(first, copy=False)
    back = np.asarray(wrapped)
    addresses = (first.ctypes.data, wrapped.address, back.ctypes.data)
    for name, address in zip(("NumPy", "spanflow", "NumPy again"), addresses, strict=True):
        print(f"    {name:<12} {address:#x}")
    wrapped[0, 0] = 42
    _expect(len(set(addresses)) == 1 and first[0, 0] == back[0, 0] == 42, "the addresses differ")
    print("    the same address, and a write through one is seen by all three")


def _stream_and_compare(mask: Any, path: Path, weights: Any, options: Options) -> float:
    print(
        f"\nStream the land mask: {mask.shape[0]:,} x {mask.shape[1]:,} cells, {mask.storage}, "
        f"{mask.nbytes / 1e6:,.0f} MB\n    {options.rows} rows a block → mean of each row → "
        f"times cos(latitude) → sum"
    )
    pipe = _pipeline(mask, weights, options)
    ours = _repeat("spanflow", mask.nbytes, lambda seen: _stream(pipe, options, seen))
    peak = sf.memory_stats()["peak_rss"]
    mapped = np.load(path, mmap_mode="r")
    numpy = _repeat("NumPy", mask.nbytes, lambda seen: _numpy_stream(mapped, weights, options, seen))
    land, numpy_land = (1 - passes[0].total / weights.sum() for passes in (ours, numpy))
    _print_passes(ours, numpy, mask.nbytes, peak)
    print(f"    share of land      {land:.11f}   NumPy {numpy_land:.11f}   known {LAND:.11f}")
    _expect(abs(land - LAND) < 1e-10, f"the share of land is {land:.15f}, expected {LAND}")
    _expect(len({one.total for one in ours}) == 1, "the passes differ from each other")
    return land
