"""The `spanflow` command: describe a file, say what this installation can do.

Exit codes: 0 done · 1 the file or the machine did not let us (the reason is on standard error) ·
2 wrong use of the command · 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

import spanflow as sf
from spanflow import _describe, _info

EXAMPLES = """examples:
  spanflow describe big.npy
  spanflow describe samples.bin --dtype '<f4' --shape 1000,512 --offset 64
  spanflow info --json"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command == "describe" and args.dtype is None and (args.shape or args.offset):
        parser.error("--shape and --offset describe a raw file: give its --dtype as well")
    try:
        answer = args.run(args)
        print(json.dumps(answer, indent=2) if args.json else args.text(answer))
        sys.stdout.flush()
    except BrokenPipeError:  # `spanflow … | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("spanflow: stopped", file=sys.stderr)
        return 130
    except (OSError, ValueError, TypeError, MemoryError) as error:
        print(f"spanflow {args.command}: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanflow",
        description="Zero-copy arrays and native pipelines for Python data work.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"spanflow {sf.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    describe = commands.add_parser(
        "describe", help="shape, dtype, order, and statistics per field in one pass"
    )
    describe.add_argument("file", help="a .npy file, or with --dtype a raw file")
    describe.add_argument("--dtype", help="a raw file of this dtype, such as '<f4' or float32")
    describe.add_argument("--shape", type=_shape, help="of a raw file, such as 1000,512")
    describe.add_argument("--offset", type=int, default=0, help="bytes before a raw file's data")
    describe.add_argument("--bins", type=_bins, default=16, help="bars of the histogram (16)")
    describe.add_argument("--threads", type=_threads, help="default: every usable core")
    describe.set_defaults(run=_run_describe, text=_describe.text)
    info = commands.add_parser("info", help="version, SIMD targets, allocator, Python, caches")
    info.set_defaults(run=lambda args: _info.info(), text=_info.text)
    for command in (describe, info):
        command.add_argument("--json", action="store_true", help="the same as one JSON object")
    return parser


def _run_describe(args: argparse.Namespace) -> dict[str, Any]:
    if args.threads is not None:
        sf.set_num_threads(args.threads)
    raw = {} if args.dtype is None else {"shape": args.shape, "offset": args.offset}
    with sf.open(args.file, dtype=args.dtype, **raw) as a:
        return _describe.describe(a, args.file, bins=args.bins)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip("()").split(",") if part.strip())


def _bins(text: str) -> int:
    return _between(text, 1, 100)


def _threads(text: str) -> int:
    return _between(text, 1, 1024)


def _between(text: str, low: int, high: int) -> int:
    value = int(text)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
    return value
