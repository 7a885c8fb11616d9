"""What the commands share: streams that take every character, and what their exit codes say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from spanflow import PipelineError

_EXPECTED = (OSError, ValueError, TypeError, MemoryError, PipelineError)


def forgive() -> None:
    """Shows what a stream's encoding does not have as an escape; an old terminal is no error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a stream may be closed, or a test's
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def run(name: str, work: Callable[[], None], *failures: type[Exception]) -> int:
    """Does the work of a command; returns its exit code, with the reason on standard error.

    `failures` are the command's own errors, beside those that files, memory and arguments raise.
    """
    if sys.stdout is None:
        print(
            f"{name}: standard output is closed, so there is no place to write to", file=sys.stderr
        )
        return 1
    expected: tuple[type[Exception], ...] = (*_EXPECTED, *failures)
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # `… | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
    except expected as error:
        print(f"{name}: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        # Quoted as in the messages of the module, so that odd names can be read.
        where = f"{os.fsdecode(error.filename)!r}: " if error.filename else ""
        return where + error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    return str(error) or type(error).__name__
