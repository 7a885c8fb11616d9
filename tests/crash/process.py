"""Runs a script in a process of its own and says how it ended."""

import os
import subprocess
import sys
import textwrap


def run(script, *args, timeout=60, env=None, interpreter_options=()):
    """The finished process of `python -c script args…`, with its output as text."""
    variables = {**os.environ, "PYTHONFAULTHANDLER": "", **(env or {})}
    return subprocess.run(
        [sys.executable, *interpreter_options, "-c", textwrap.dedent(script), *map(str, args)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env=variables,
        check=False,
    )


def check(script, *args, code=0, **how):
    """Runs the script, which must end with `code` (negative: killed by that signal)."""
    done = run(script, *args, **how)
    assert done.returncode == code, (
        f"ended with {done.returncode}, must be {code}\n"
        f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
    )
    return done
