#!/usr/bin/env python3
"""Measures spanflow against NumPy and prints the table of asked and seen figures.

    python3 setup.py bench [OPTIONS]

A row that misses its mark is shown as such; the exit code stays 0, because a time never decides
whether a change may land. Beside the table: a JSON file with every median, and a picture.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose rooms are named like modules

import numpy as np  # noqa: E402

import spanflow as sf  # noqa: E402
from bench.options import ASKED, PEERS, PIPELINE, SUITES, parser  # noqa: E402


def main() -> int:
    options = parser().parse_args()
    if options.threads:
        sf.set_num_threads(options.threads)
    sizes = {name: getattr(options, name) for name in ASKED if name != "threads"}
    facts = {**machine(), **sizes}
    judged = all(facts[name] == value for name, value in ASKED.items())
    print(heading(facts), flush=True)
    found = []
    for suite in chosen(options):
        for row in importlib.import_module(f"bench.{suite}").rows(options):
            print(line(row, judged), flush=True)
            found.append(row)
    print(f"\n{verdict(found, judged)}")
    options.out.mkdir(parents=True, exist_ok=True)
    written = write_json(options.out / "bench.json", facts, judged, found)
    print(f"written: {written}, {draw(options.out / 'bench.png', found, judged)}")
    return 0


def chosen(options) -> list[str]:
    """The suites that shall run. `--only` chooses among those of the plain table."""
    if options.peers or options.pipeline:
        return [*(PEERS if options.peers else ()), *(PIPELINE if options.pipeline else ())]
    words = options.only or [""]
    return [suite for suite in SUITES if any(word in suite for word in words)]


def verdict(found, judged: bool) -> str:
    asked = [row for row in found if row.reached is not None]
    if judged:
        reached = sum(row.reached for row in asked)
        return f"{reached} of {len(asked)} figures that were asked are reached"
    sizes = ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in ASKED.items())
    return f"not judged: the figures are asked for {sizes}"


def machine() -> dict[str, object]:
    facts = sf.lab.machine()
    return {
        "date": facts["date"],
        "cpu": facts["cpu"],
        "spanflow": sf.__version__,
        "simd_target": sf.simd.target(),
        "threads": sf.get_num_threads(),
        "numpy": np.__version__,
        "python": facts["python"],
        "architecture": platform.machine(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def heading(facts) -> str:
    about = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())
    columns = f"{'room':<9} {'work':<58} {'asked':>12} {'seen':>12} {'of peer':>9}"
    return f"{about}\n\n{columns}\n{'-' * len(columns)}"


def line(row, judged: bool) -> str:
    sign = "≥" if row.at_least else "≤"
    asked = "" if row.asked is None else f"{sign} {show(row.asked, row.unit)}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    mark = ""
    if row.reached is not None and not judged:
        mark = "  not judged"
    elif row.reached is False:
        mark = "  MISSED"
    note = f"  {row.note}" if row.note else ""
    seen = show(row.seen, row.unit)
    return f"{row.room:<9} {row.work:<58} {asked:>12} {seen:>12} {ratio:>9}{mark}{note}"


def show(value: float, unit: str) -> str:
    if unit in ("x", "x heap"):
        return f"{value:.2f} x"
    return f"{value:.0f} ns" if unit == "ns" else f"{value:.3g} {unit}"


def write_json(path: Path, facts, judged: bool, found) -> Path:
    rows = [
        {**asdict(row), "ratio": row.ratio, "reached": row.reached if judged else None}
        for row in found
    ]
    whole = {"machine": facts, "judged": judged, "rows": rows}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def draw(path: Path, found, judged: bool) -> str:
    """Bars of seen as shares of what was asked; grey where that is not judged."""
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
    good, bad = ("#2a7f9e", "#c8553d") if judged else ("#8a8f94", "#8a8f94")
    colours = [good if row.reached else bad for row in rows]
    axes.barh([row.work for row in rows], shares, color=colours, height=0.62)
    axes.axvline(1, color="#333333", linewidth=1.2)
    beside = axes.get_yaxis_transform()  # a column to the right, clear of bars and the line at 1
    for place, row in enumerate(rows):
        axes.text(1.01, place, show(row.seen, row.unit), transform=beside, va="center", fontsize=8)
    axes.set_xlim(0, max(1.1, *(share * 1.05 for share in shares)))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("share of what was asked (left of the line is better)")
    axes.set_title(f"spanflow {sf.__version__}, {sf.simd.target()}, {sf.get_num_threads()} threads")
    figure.savefig(path, dpi=150)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
