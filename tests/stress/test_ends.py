"""How soon runs end: within 100 ms and the item in hand, however they are told to.

Each case is a process of its own, and the best of five counts, so that other work on the machine does
not; what was measured is printed (pytest -s). SPANFLOW_STRESS=2 measures five times in any case.
"""

import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time

import pytest

from tests.crash.process import RUN_THREADS, check

TIMES = 5
EVERY_TIME = float(os.environ.get("SPANFLOW_STRESS", "1")) > 1
ITEM = 0.05  # seconds that the item in hand takes
SLACK = 0.5  # 100 ms, and 400 for a busy machine
CODE = 7

SETUP = f"""
import gc, os, signal, sys, threading, time
import spanflow as sf
signal.signal(signal.SIGINT, signal.default_int_handler)
def slow(x):
    time.sleep({ITEM})
    return x
class Forever:  # an iterator of its own for each run: two may run at once
    def __iter__(self):
        n = 0
        while True:
            yield n
            n += 1
pipe = sf.Pipeline(Forever())
def gone():
    while run_threads():
        time.sleep(0.0005)
def ready():
    print("ready", flush=True)
"""
SETUP += RUN_THREADS

STAGES = {
    "map": "pipe.map(slow)",
    "workers": "pipe.map(slow, workers=sf.Workers('thread', 2))",
    "nested": "pipe.map(slow).zip(pipe.map(slow)).map(slow)",
}

# The end begins at `begun` and is over when no thread of the run is left; they say how long it took.
INSIDE = {
    "early break": """
        for item in run:
            break
        begun = time.monotonic()
        del run
    """,
    "block left": """
        with run:
            next(run)
            begun = time.monotonic()
    """,
    "consumer raises": """
        try:
            with run:
                next(run)
                begun = time.monotonic()
                raise KeyError
        except KeyError:
            pass
    """,
    "collected": """
        ring = [run]
        ring.append(ring)
        next(run)
        del run, ring
        begun = time.monotonic()
        gc.collect()
    """,
    "cancelled": """
        next(run)
        begun = time.monotonic()
        run.cancel()
        del run  # with the pipelines that it reads
    """,
    "an error": """
        raises = sf.Pipeline(range(99)).map(slow).map(lambda n: 1 // (n - 3)).zip(run)
        begun = time.monotonic()
        try:
            for item in raises.run(threads=2):
                begun = time.monotonic()
        except ZeroDivisionError:
            pass
        del run, raises
    """,
}


def told(script):
    """The seconds that the script printed last."""
    done = check(SETUP + script)
    assert done.stderr == ""
    return float(done.stdout.split()[-1])


def check_times(name, measure, item):
    taken = []
    while len(taken) < TIMES and (EVERY_TIME or not taken or min(taken) >= item + 0.1):
        taken.append(measure())
    print(
        f"{name}: {statistics.median(taken) * 1e3:.1f} ms in the median, best {min(taken) * 1e3:.1f}"
    )
    assert 0 <= min(taken) < item + SLACK


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("end", INSIDE)
def test_inside_a_program(end, stages):
    script = f"""
run = {STAGES[stages]}.run(threads=3)
{textwrap.dedent(INSIDE[end])}
gone()
print(time.monotonic() - begun)
"""
    # Of nested pipelines one waits for the other, each with an item in hand.
    check_times(f"{end}, {stages}", lambda: told(script), ITEM * (2 if stages == "nested" else 1))


SIGNALS = {
    "Ctrl-C": (
        signal.SIGINT,
        CODE,
        """
try:
    ready()
    for item in run: pass
except KeyboardInterrupt:
    sys.exit(7)
""",
    ),
    "Ctrl-C, uncaught": (signal.SIGINT, -signal.SIGINT, "ready()\nfor item in run: pass"),
    "SIGTERM": (signal.SIGTERM, -signal.SIGTERM, "ready()\nfor item in run: pass"),
    "SIGTERM with a handler": (
        signal.SIGTERM,
        CODE,
        """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
ready()
for item in run: pass
""",
    ),
    "SIGTERM inside collect": (
        signal.SIGTERM,
        CODE,
        """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
run = None
ready()
pipe.map(slow).collect(threads=2)
""",
    ),
}


def until_the_end(script, number, code):
    """From the signal until the process is gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", SETUP + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.12)
        begun = time.monotonic()
        process.send_signal(number)
        process.wait(30)
        took = time.monotonic() - begun
        assert process.returncode == code, process.stderr.read()
        return took
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("name", SIGNALS)
def test_by_a_signal(name, stages):
    number, code, script = SIGNALS[name]
    script = f"run = {STAGES[stages]}.run(threads=3)\n{script}"
    item = ITEM * (2 if stages == "nested" else 1)
    check_times(f"{name}, {stages}", lambda: until_the_end(script, number, code), item)


@pytest.mark.parametrize("stages", STAGES)
def test_by_the_end_of_the_program(stages):
    """With work in flight: from the last statement until the process is gone."""

    def measure():
        script = f"run = {STAGES[stages]}.run(threads=3)\nnext(run)\nprint(time.monotonic())"
        last = told(script)
        return time.monotonic() - last

    check_times(f"exit, {stages}", measure, ITEM * (2 if stages == "nested" else 1))


@pytest.mark.parametrize("stages", STAGES)
def test_of_a_forked_child(stages):
    """A child that has a run of its parent ends as if there were none."""
    script = f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
run = {STAGES[stages]}.run(threads=3)
next(run)
begun = time.monotonic()
if os.fork() == 0:
    sys.exit(0)
code = os.wait()[1]
took = time.monotonic() - begun
assert code == 0
for _ in range(3):
    next(run)
with run: pass
print(took)
"""
    check_times(f"fork, {stages}", lambda: told(script), 0)
