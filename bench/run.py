#!/usr/bin/env python3
"""Measures spanflow against NumPy and prints the table of asked and seen figures.

    python3 setup.py bench [-- OPTIONS]

A row that misses its mark is shown as such; the exit code stays 0, because a time never decides
whether a change may land. Beside the table: a JSON file with every median, and a picture.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose rooms are named like modules

import numpy as np  # noqa: E402

import spanflow as sf  # noqa: E402

SUITES = ("array.elementwise", "memory.mapped", "bindings.small_calls", "pipeline.per_item")


def main() -> int:
    options = parse()
    if options.threads:
        sf.set_num_threads(options.threads)
    print(heading(), flush=True)
    found = []
    for suite in SUITES:
        if options.only and not any(word in suite for word in options.only):
            continue
        for row in importlib.import_module(f"bench.{suite}").rows(options):
            print(line(row), flush=True)
            found.append(row)
    asked = [row for row in found if row.reached is not None]
    print(
        f"\n{sum(row.reached for row in asked)} of {len(asked)} figures that were asked are reached"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    written = write_json(options.out / "bench.json", found)
    print(f"written: {written}, {draw(options.out / 'bench.png', found)}")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="also rows that nothing was asked of")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"suites of {', '.join(SUITES)}")
    parser.add_argument("--threads", type=int, help="threads per call (default: usable cores)")
    parser.add_argument("--elements", type=int, default=32 << 20, help="float32 per array (32 Mi)")
    parser.add_argument("--mapped-bytes", type=int, default=2 << 30, help="mapped file (2 GiB)")
    parser.add_argument("--slow-rounds", type=int, default=5, help="rounds of what takes seconds")
    parser.add_argument("--scratch", default=tempfile.gettempdir(), help="where files are mapped")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="results")
    return parser.parse_args()


def machine() -> dict[str, object]:
    return {
        "spanflow": sf.__version__,
        "simd_target": sf.simd.target(),
        "threads": sf.get_num_threads(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "architecture": platform.machine(),
    }


def heading() -> str:
    facts = machine()
    about = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())
    columns = f"{'room':<9} {'work':<58} {'asked':>12} {'seen':>12}"
    return f"{about}\n\n{columns}\n{'-' * len(columns)}"


def line(row) -> str:
    sign = "≥" if row.at_least else "≤"
    asked = "" if row.asked is None else f"{sign} {show(row.asked, row.unit)}"
    mark = {True: "", False: "  MISSED", None: ""}[row.reached]
    note = f"  {row.note}" if row.note else ""
    return f"{row.room:<9} {row.work:<58} {asked:>12} {show(row.seen, row.unit):>12}{mark}{note}"


def show(value: float, unit: str) -> str:
    return f"{value:.0f} ns" if unit == "ns" else f"{value:.2f} {'µs' if unit == 'µs' else 'x'}"


def write_json(path: Path, found) -> Path:
    rows = [{**asdict(row), "reached": row.reached} for row in found]
    path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1, ensure_ascii=False))
    return path


def draw(path: Path, found) -> str:
    """Bars of seen against asked; a logarithmic axis, because units differ."""
    try:
        import matplotlib
    except ImportError:
        return "no picture (matplotlib is not installed)"
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in found if row.reached is not None]
    if not rows:
        return "no picture (nothing was asked)"
    shares = [row.asked / row.seen if row.at_least else row.seen / row.asked for row in rows]
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(rows) + 1.4), layout="constrained")
    colours = ["#2a7f9e" if row.reached else "#c8553d" for row in rows]
    axes.barh([row.work for row in rows], shares, color=colours, height=0.62)
    axes.axvline(1, color="#333333", linewidth=1.2)
    for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
        axes.text(share, place, f" {show(row.seen, row.unit)}", va="center", fontsize=8)
    axes.set_xlim(0, max(1.35, *(share * 1.2 for share in shares)))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("share of what was asked (left of the line is better)")
    axes.set_title(f"spanflow {sf.__version__}, {sf.simd.target()}, {sf.get_num_threads()} threads")
    figure.savefig(path, dpi=150)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
