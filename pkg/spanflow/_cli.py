"""The `spanflow` command: describe a file, say what this installation can do, measure its kernels.

Exit codes: 0 done · 1 the file or the machine did not let us (the reason is on standard error) ·
2 wrong use of the command · 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
from typing import Any

import spanflow as sf
from spanflow import _arguments, _console, _describe, _describe_text, _info

EXAMPLES = """examples:
  spanflow describe big.npy
  spanflow describe samples.bin --dtype '<f4' --shape 1000,512 --offset 64
  spanflow describe table.bin --dtype "[('time', '<f8'), ('value', '<f4', (3,))]"
  spanflow info --json
  spanflow bench kernels --op add,exp --size 1k:16M --target all --vs numpy --out report.html"""
_MAGIC = b"\x93NUMPY"


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    _console.forgive()
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command == "describe" and args.dtype is None and (args.shape or args.offset):
        parser.error("--shape and --offset describe a raw file: give its --dtype as well")
    if args.command == "bench":
        from spanflow import _cli_bench

        args.plan = _cli_bench.plan(args, parser.error)
    return _console.run(f"spanflow {args.command}", lambda: _answer(args))


def _answer(args: argparse.Namespace) -> None:
    answer = args.run(args)
    print(json.dumps(answer, indent=2) if getattr(args, "json", False) else args.text(answer))


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
    describe.add_argument(
        "--dtype", type=_dtype, help="a raw file of this dtype: '<f4', float32, or a record's list"
    )
    describe.add_argument("--shape", type=_arguments.shape, help="of a raw file, such as 1000,512")
    describe.add_argument(
        "--offset",
        type=_arguments.whole(0, _arguments.MOST),
        default=0,
        help="bytes before a raw file's data",
    )
    describe.add_argument(
        "--bins", type=_arguments.whole(1, 100), default=16, help="bars of the histogram (16)"
    )
    describe.add_argument(
        "--threads", type=_arguments.whole(1, 1024), help="default: every usable core"
    )
    describe.set_defaults(run=_run_describe, text=_describe_text.text)
    info = commands.add_parser("info", help="version, SIMD targets, allocator, Python, caches")
    info.set_defaults(run=lambda args: _info.info(), text=_info.text)
    bench = commands.add_parser("bench", help="measure the kernels on this machine")
    kernels = _arguments.bench_kernels(
        bench.add_subparsers(dest="suite", required=True, metavar="SUITE")
    )
    kernels.set_defaults(run=_run_bench, text=str)
    for command in (describe, info):
        command.add_argument("--json", action="store_true", help="the same as one JSON object")
    return parser


def _run_describe(args: argparse.Namespace) -> dict[str, Any]:
    if args.threads is not None:
        sf.set_num_threads(args.threads)
    raw = {} if args.dtype is None else {"shape": args.shape, "offset": args.offset}
    if args.dtype is not None and args.offset == 0 and _is_npy(args.file):
        raise ValueError(
            f"{args.file!r} is a .npy file, which says its dtype and shape itself: leave --dtype "
            "away. To read it as raw bytes, say with --offset where they begin"
        )
    with sf.open(args.file, dtype=args.dtype, **raw) as a:
        return _describe.describe(a, args.file, bins=args.bins)


def _run_bench(args: argparse.Namespace) -> str:
    from spanflow import _cli_bench

    return _cli_bench.run(args.plan, args.out)


def _is_npy(path: str) -> bool:
    """Whether a file begins as .npy does; what cannot be read is left to sf.open to refuse."""
    try:
        # Only of a regular file: a pipe would lose what is read here.
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _dtype(text: str) -> sf.dtype:
    """A name, or the list of a record's fields as Python writes it."""
    try:
        return sf.dtype(ast.literal_eval(text) if text.lstrip().startswith("[") else text)
    except (TypeError, ValueError, SyntaxError) as error:
        raise argparse.ArgumentTypeError(
            f"{error}. Write a record as \"[('time', '<f8'), ('value', '<f4', (3,))]\""
        ) from None
