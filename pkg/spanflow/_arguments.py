"""The arguments of the commands.

Standard library only, and nothing else of this package: the front door of the source tree reads the
demo's options with this file before anything is built.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST = 2**63 - 1  # bytes, and elements along a dimension
ROWS, COLUMNS = 21_600, 43_200  # of the demo's land mask, a byte each
_PICTURES = (".png", ".pdf", ".svg")


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argparse type: a whole number from `low` to `high`."""

    def number(text: str) -> int:
        if text.strip().isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"it must be a whole number from {low:,} to {high:,}, got {text!r}"
        )

    return number


def shape(text: str) -> tuple[int, ...]:
    """1000,512 or (1000, 512); () has no dimensions."""
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1].strip()
        if not inner:
            return ()
    parts = [part.strip() for part in inner.removesuffix(",").split(",")]
    if not all(part.isdecimal() and int(part) <= MOST for part in parts):
        raise argparse.ArgumentTypeError(
            f"it must be whole numbers from 0 with commas between, such as 1000,512, got {text!r}"
        )
    return tuple(map(int, parts))


def picture(text: str) -> Path:
    """Where a picture can be written, found out before any work is done."""
    path = Path(text)
    if path.suffix.lower() not in _PICTURES:
        raise argparse.ArgumentTypeError(
            f"its name must end in {', '.join(_PICTURES[:-1])} or {_PICTURES[-1]}, got {text!r}"
        )
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written; choose another folder")
    return path


def demo(prog: str = "spanflow.demo") -> argparse.ArgumentParser:
    """The options of `python -m spanflow.demo`."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Maps and streams 933 MB of real data.", allow_abbrev=False
    )
    parser.add_argument(
        "--rows-per-chunk",
        type=whole(1, ROWS),
        default=64,
        metavar="N",
        help="rows of a block (64)",
    )
    parser.add_argument(
        "--threads", type=whole(1, 1024), metavar="N", help="default: every usable core"
    )
    parser.add_argument(
        "--memory", default="64MB", metavar="SIZE", help="what the run may hold (64MB)"
    )
    parser.add_argument(
        "--picture", type=picture, metavar="FILE",
        help="where the map goes, a .png, .pdf or .svg; default: world.png beside the data",
    )  # fmt: skip
    return parser


def bench_kernels(suites: Any) -> argparse.ArgumentParser:
    """Adds `kernels` to the suites of `spanflow bench`. Words are checked when all are known."""
    parser = suites.add_parser(
        "kernels",
        help="operations by dtype, layout, size, SIMD target and threads",
        description="Measures operations: GB/s, elements per ns, the share of what memory allows, "
        "and errors in ULP. Several words go with commas between.",
    )
    for name, default, about in (
        ("--op", None, "operations, families such as elementwise (default: all)"),
        ("--dtype", "f4", "such as f4,f2,i8; all"),
        ("--layout", "contiguous", "contiguous, strided, reversed, unaligned, big-endian, column, "
                                   "broadcast; all"),
        ("--size", "1k,64k,1M,16M", "elements; 1k:256M is a range in steps of 4"),
        ("--target", None, "SIMD targets, or all (default: the one in use)"),
        ("--threads", "1", "numbers of threads, such as 1,2"),
        ("--vs", "", "numpy"),
    ):  # fmt: skip
        shown = f"{about} ({default})" if default else about
        parser.add_argument(name, default=default, metavar="WORDS", help=shown)
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="for each contender in a case (0.05)"
    )
    parser.add_argument(
        "--load", action="append", default=[], metavar="FILE.py",
        help="runs a file that registers functions with spanflow.lab.register",
    )  # fmt: skip
    parser.add_argument(
        "--out", action="append", default=[], type=Path, metavar="FILE",
        help="also writes .json (pyperf reads it), .csv or .html; may be given several times",
    )  # fmt: skip
    return parser
