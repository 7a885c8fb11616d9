"""The options of `setup.py bench`. Standard library only: the front door reads them first."""

import argparse
import tempfile
from pathlib import Path

SUITES = (
    "array.elementwise",
    "array.layouts",
    "array.order",
    "expr.fused",
    "memory.mapped",
    "bindings.small_calls",
    "pipeline.per_item",
)
# Against other packages, which `--peers` installs; nothing else does.
PEERS = ("peers.kernels",)
PIPELINE = ("pipeline.items", "pipeline.batches", "pipeline.files", "pipeline.threads")
# What the asked figures are asked for; with other sizes they are shown and not judged.
ASKED = {
    "elements": 32 << 20,
    "mapped_bytes": 2 << 30,
    "threads": 2,
    "items": 20_000,
    "batches": 512,
}
QUICK = {
    "elements": 1 << 14,
    "mapped_bytes": 4 << 20,
    "items": 200,
    "batches": 4,
    "slow_rounds": 1,
}


def parser(prog="bench/run.py"):
    found = argparse.ArgumentParser(
        prog=prog,
        description="Measures spanflow against NumPy and shows what was asked and what is seen.",
        allow_abbrev=False,
    )
    found.add_argument("--all", action="store_true", help="also rows that nothing was asked of")
    found.add_argument(
        "--only", nargs="+", type=suite, metavar="NAME", help=f"suites of {', '.join(SUITES)}"
    )
    found.add_argument(
        "--peers",
        action="store_true",
        help="instead: against numba, polars, numexpr, bottleneck and NumKong, which it installs",
    )
    found.add_argument(
        "--pipeline",
        action="store_true",
        help="instead: pipelines against executors, queues, SPDL, Grain, numba, polars and NumPy",
    )
    found.add_argument(
        "--google",
        action="store_true",
        help="instead: hold the kernel lab against Google Benchmark",
    )
    found.add_argument(
        "--tbb",
        action="store_true",
        help="instead: the runtime and pipelines against oneTBB, from C++, with 2 threads",
    )
    for name, default, most, about in (
        ("--threads", None, 1024, "threads per call (default: usable cores)"),
        ("--elements", ASKED["elements"], 1 << 40, "float32 per array (32 Mi)"),
        ("--mapped-bytes", ASKED["mapped_bytes"], 1 << 50, "mapped file (2 GiB)"),
        ("--items", ASKED["items"], 1 << 30, "tiny items (20,000)"),
        ("--batches", ASKED["batches"], 1 << 20, "batches of 1 MiB (512)"),
        ("--slow-rounds", 5, 1000, "rounds of what takes seconds"),
    ):
        found.add_argument(name, type=up_to(most), default=default, metavar="N", help=about)
    found.add_argument(
        "--quick",
        action=Quick,
        nargs=0,
        help="small sizes, one round: whether everything runs; nothing is judged",
    )
    found.add_argument("--scratch", default=tempfile.gettempdir(), help="where files are mapped")
    results = Path(__file__).resolve().parents[1] / "build" / "bench"
    found.add_argument("--out", type=Path, default=results, help="results")
    return found


class Quick(argparse.Action):
    """Sets the sizes that are quick; options behind it change them again."""

    def __call__(self, parser, namespace, values, option_string=None):
        for name, value in QUICK.items():
            setattr(namespace, name, value)


def suite(word):
    if any(word in name for name in SUITES):
        return word
    raise argparse.ArgumentTypeError(f"{word!r} is in none of {', '.join(SUITES)}")


def up_to(most):
    def number(text):
        if text.isdecimal() and 1 <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"it must be a whole number from 1 to {most}, got {text!r}"
        )

    return number
