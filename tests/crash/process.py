"""Runs a script in a process of its own and says how it ended."""

import inspect
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass


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


def run_threads():
    """How many threads the runs of this process have."""
    count = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                count += file.read() == "spanflow-run\n"
        except OSError:  # it ended meanwhile
            continue
    return count


RUN_THREADS = "import os\n" + inspect.getsource(run_threads)  # the same for scripts


# Ctrl-C. A job in the background ignores it, and its children do.
INTERRUPTIBLE = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
def ready():
    print("ready", flush=True)
def caught():
    print(time.monotonic(), flush=True)
"""


@dataclass
class Interrupted:
    returncode: int
    seconds: float  # from the first signal until the script said that it was caught
    stderr: str


def interrupt(script, *args, delay=0.15, signals=1, timeout=30, wait_for_caught=True):
    """Runs a script that calls `ready()`, sends SIGINT after `delay`, and waits for its end.

    The script calls `caught()` in its `except KeyboardInterrupt`; then further signals follow, or
    without waiting for that.
    """
    command = [sys.executable, "-c", INTERRUPTIBLE + textwrap.dedent(script), *map(str, args)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    try:
        line = process.stdout.readline()
        if line != "ready\n":
            raise AssertionError(f"the script did not begin: {line}{process.communicate()[1]}")
        time.sleep(delay)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        line = process.stdout.readline() if signals > 1 and wait_for_caught else ""
        for _ in range(signals - 1):
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=timeout)
        said = (line + out).split()
        return Interrupted(process.returncode, float(said[0]) - sent if said else -1.0, err)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
