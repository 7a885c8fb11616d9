"""`spanflow bench kernels`: the lab behind the command line."""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from spanflow._progress import progress
from spanflow.lab._page import INSTALL, can_draw
from spanflow.lab._plan import Plan
from spanflow.lab._plan import plan as plan_run
from spanflow.lab._report import SUFFIXES


def plan(args: argparse.Namespace, wrong: Callable[[str], NoReturn]) -> Plan:
    """What the arguments ask for; `wrong` ends the command with what is the matter with them."""
    for path in args.out:
        if path.suffix.lower() not in SUFFIXES:
            wrong(f"--out takes names that end in {', '.join(SUFFIXES)}, got {str(path)!r}")
        if not path.absolute().parent.is_dir():
            wrong(f"--out: there is no folder {str(path.absolute().parent)!r}")
        if path.suffix.lower() == ".html" and not can_draw():
            wrong(f"--out {path}: {INSTALL}")
    for file in args.load:
        if not Path(file).is_file():
            wrong(f"--load: there is no file {file!r}")
        runpy.run_path(file, run_name="spanflow_lab")
    if not all(word.strip().isdecimal() for word in args.threads.split(",")):
        wrong(f"--threads takes whole numbers such as 1,2, got {args.threads!r}")
    try:
        return plan_run(
            op=args.op,
            dtype=args.dtype,
            layout=args.layout,
            size=args.size,
            target=args.target,
            threads=[int(word) for word in args.threads.split(",")],
            versus=args.vs,
            seconds=args.seconds,
        )
    except (ValueError, TypeError, ImportError, MemoryError) as error:
        wrong(str(error))


def run(planned: Plan, files: Sequence[Path]) -> str:
    """Measures with a progress bar and writes the files; the table, and where they are."""
    with progress("measuring", len(planned.cases)) as bar:
        report = planned.run(lambda done, _total, _name: bar.update(done))
    written = [str(report.save(path)) for path in files]
    return "\n".join([str(report), *(["", "written: " + ", ".join(written)] if written else [])])
