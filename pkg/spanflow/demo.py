"""`python -m spanflow.demo`: the main job on real data.

Exit codes: 0 done, 1 a result is wrong or the machine did not let us, 2 wrong use, 130 Ctrl-C.
"""

from __future__ import annotations

import sys

import spanflow as sf
from spanflow import _arguments, _console, _data
from spanflow._info import size as bytes_text
from spanflow._limits import bytes_of


def main(argv: list[str] | None = None) -> int:
    """Runs the demo; returns its exit code."""
    _console.forgive()
    parser = _arguments.demo()
    args = parser.parse_args(argv)
    try:
        memory = _memory(args.memory, args.rows_per_chunk)
    except (ValueError, OverflowError) as error:
        parser.error(f"argument --memory: {error}")
    try:
        from spanflow import _demo_job
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        print(f"demo: NumPy, its peer, is not installed; {_data.INSTALL}", file=sys.stderr)
        return 1
    threads = args.threads or sf.get_num_threads()
    options = _demo_job.Options(args.rows_per_chunk, threads, memory, args.picture)
    failures = (_data.DataError, _demo_job.WrongError)
    return _console.run("demo", lambda: _demo_job.run(options), *failures)


def _memory(text: str, rows: int) -> int:
    """Bytes, at least those of one chunk: a run that may hold less could not begin."""
    memory = bytes_of(text)
    chunk = rows * _arguments.COLUMNS
    if memory < chunk:
        raise ValueError(
            f"a chunk of {rows} rows has {bytes_text(chunk)}, more than {text}: allow more, or "
            "choose fewer --rows-per-chunk"
        )
    return memory


if __name__ == "__main__":
    sys.exit(main())
