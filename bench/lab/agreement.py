#!/usr/bin/env python3
"""Holds the kernel lab against Google Benchmark: the same operations, timed from C++.

    python3 setup.py bench --google

Both take turns, and each size is judged by the fastest of several turns (each of them a mean or a
median of many calls), because what else a machine does only adds time, and not to both alike. A
difference is shown and never fails anything.
"""

from __future__ import annotations

import json
import subprocess
import sys

import spanflow as sf

TURNS = 9
SECONDS = 0.1  # of one operation and size in one turn
ALLOWED = 0.10


def main(binary: str) -> int:
    lab: dict[tuple[str, int], list[float]] = {}
    google: dict[tuple[str, int], list[float]] = {}
    for turn in range(TURNS):
        print(f"turn {turn + 1} of {TURNS}", file=sys.stderr, flush=True)
        for key, seconds in from_google(binary).items():
            google.setdefault(key, []).append(seconds)
        for key, seconds in from_lab(google).items():
            lab.setdefault(key, []).append(seconds)
    print(f"{'operation':<12}{'elements':>12}{'lab':>12}{'google':>12}{'lab / google':>14}")
    agreeing = 0
    for key, ours in lab.items():
        mine, theirs = min(ours), min(google[key])
        agreeing += abs(mine / theirs - 1) <= ALLOWED
        name, size = key
        times = f"{mine * 1e6:>9.1f} µs{theirs * 1e6:>9.1f} µs"
        print(f"{name:<12}{size:>12,}{times}{mine / theirs:>14.3f}")
    print(f"\n{agreeing} of {len(lab)} agree within {ALLOWED:.0%}")
    return 0


def from_google(binary: str) -> dict[tuple[str, int], float]:
    command = [binary, "--benchmark_format=json", f"--benchmark_min_time={SECONDS}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = {}
    for row in json.loads(done.stdout)["benchmarks"]:
        name, size = row["name"].split("/")
        found[name, int(size)] = row["real_time"] * 1e-9
    return found


def from_lab(wanted) -> dict[tuple[str, int], float]:
    names = list(dict.fromkeys(name for name, _ in wanted))
    sizes = list(dict.fromkeys(size for _, size in wanted))
    results = sf.lab.run(names, size=sizes, seconds=SECONDS).results
    return {(r.op, r.size): r.seconds for r in results}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
