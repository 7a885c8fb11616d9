"""The arguments of the commands.

Standard library only, and nothing else of this package: the front door of the source tree reads the
demo's options with this file before anything is built.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

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
