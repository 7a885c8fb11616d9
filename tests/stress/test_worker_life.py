"""Ends of runs whose stages have workers: exit, Ctrl-C, fork, kill; each case a process of its own.

What must be gone afterwards is counted: threads, descriptors, processes, mappings.
"""

import sys
import textwrap
import time

import pytest

from tests.crash.process import check, interrupt

KINDS = ["thread", "process", "async"] + ["interpreter"] * (sys.version_info >= (3, 12))

# A program of its own, as processes import it again.
PRELUDE = """
import asyncio, gc, os, sys, time
sys.path.insert(0, {folder!r})
import spanflow as sf
from life_functions import *
kind = {kind!r}
def call(function):
    return ASYNC[function] if kind == "async" else function
def pipe(function, items=10**9, n=2, **more):
    return sf.Pipeline(x for x in range(items)).map(call(function), workers=sf.Workers(kind, n, **more))
"""

FUNCTIONS = """
import asyncio, time
def quick(x):
    return x
def slow(x):
    time.sleep(0.02)
    return x
def hangs(x):
    time.sleep(30)
    return x
def fails(x):
    raise ValueError(x)
async def quick_async(x):
    return x
async def slow_async(x):
    await asyncio.sleep(0.02)
    return x
async def hangs_async(x):
    await asyncio.sleep(30)
async def fails_async(x):
    raise ValueError(x)
ASYNC = {quick: quick_async, slow: slow_async, hangs: hangs_async, fails: fails_async}
"""


@pytest.fixture
def program(tmp_path):
    """Writes a script to a file, with the functions beside it."""
    (tmp_path / "life_functions.py").write_text(FUNCTIONS)

    def write(kind, script):
        text = PRELUDE.format(folder=str(tmp_path), kind=kind)
        path = tmp_path / "program.py"
        path.write_text(text + textwrap.dedent(script))
        return f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"

    return write


ENDS = {
    "left open": "run = pipe(slow).run(); next(run)",
    "not begun": "run = pipe(slow).run()",
    "in a cycle": "class A: pass\na = A(); a.run = pipe(slow).run(); next(a.run); a.a = a",
    "an exception": "run = pipe(slow).run(); next(run); sys.exit(7)",
    "an error": "run = pipe(fails).run()\ntry: next(run)\nexcept ValueError: pass\nsys.exit(7)",
    "os._exit": "run = pipe(slow).run(); next(run); os._exit(7)",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ENDS)
def test_exit_with_a_run_in_flight(program, kind, name):
    code = 7 if "7" in ENDS[name] else 0
    guarded = 'if __name__ == "__main__":\n' + textwrap.indent(ENDS[name], "    ")
    done = check(program(kind, guarded), code=code, timeout=30)
    assert done.stderr == ""


COUNT = """
def counts():
    gc.collect()
    with open("/proc/self/status") as status:
        threads = next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
    with open("/proc/self/maps") as maps:
        shared = sum("memfd" in line for line in maps)
    children = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children") as children_of:
                children += len(children_of.read().split())
        except FileNotFoundError:
            pass
    blocks = sf.memory_stats()["live_blocks"]
    return threads, len(os.listdir("/proc/self/fd")), children, shared, blocks
def settled(wanted):
    end = time.monotonic() + 3
    while counts() != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return counts()
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_stays_after_many_runs(program, kind):
    script = """
    def round(i):
        if i % 5 == 0:
            assert list(pipe(quick, 3).run(threads=1 + i % 3)) == [0, 1, 2]
        elif i % 5 == 1:
            with pipe(slow).run(threads=2) as run:
                next(run)
        elif i % 5 == 2:
            run = pipe(quick).run()  # nobody ends it
        elif i % 5 == 3:
            run = pipe(slow).run()
            run.cancel()
        else:
            try:
                list(pipe(fails))
            except ValueError:
                pass
            data = sf.shared_empty(20_000)
            assert len(list(sf.Pipeline([data, data[1:]]).map(call(quick), workers=kind))) == 2
    if __name__ == "__main__":
        for i in range(10):
            round(i)
        before = counts()
        for i in range(100):
            round(i)
        after = settled(before)
        sys.exit(0 if after == before else f"{before} became {after}")
    """
    check(program(kind, COUNT + textwrap.dedent(script)), timeout=240)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ("break", "error", "del"))
def test_the_end_is_quick(program, kind, how):
    script = f"""
    if __name__ == "__main__":
        run = pipe(slow, n=2).run(threads=2)
        for i in range(6):
            next(run)
        begun = time.monotonic()
        if {how!r} == "break":
            with run:
                pass
        elif {how!r} == "error":
            try:
                with run:
                    raise KeyError
            except KeyError:
                pass
        else:
            del run
        took = time.monotonic() - begun
        print(took)
        sys.exit(0 if took < LIMIT else f"took {{took}} s")
    """
    # The item in hand, 20 ms, and 100 ms; more on a machine that is busy with other tests.
    check(program(kind, script.replace("LIMIT", "0.5")), timeout=30)


@pytest.mark.parametrize("kind", ("process", "async"))
def test_what_can_be_stopped_is_not_waited_for(program, kind):
    script = """
    if __name__ == "__main__":
        with pipe(hangs).run() as run:
            time.sleep(0.5)
            begun = time.monotonic()
        sys.exit(0 if time.monotonic() - begun < 0.5 else 1)
    """
    check(program(kind, script), timeout=30)


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c(program, kind):
    script = """
    if __name__ == "__main__":
        run = pipe(slow).run(threads=2)
        next(run)
        ready()
        try:
            with run:
                for item in run:
                    pass
        except KeyboardInterrupt:
            caught()
            sys.exit(7)
    """
    text = program(kind, script).replace(
        "run_name='__main__')",
        "run_name='__main__', init_globals={'ready': ready, 'caught': caught})",
    )
    done = interrupt(text)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.seconds < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_fork_with_a_run_in_flight(program, kind):
    """The child ends as it likes; the run goes on in the parent.

    CPython itself ends any child that is forked while there are interpreters (it destroys them
    without being attached), so there the child proves nothing.
    """
    script = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    if __name__ == "__main__":
        run = pipe(slow, 40).run(threads=2)
        seen = [next(run)]
        pid = os.fork()
        if pid == 0:
            try:
                next(run)
            except sf.PipelineError as error:
                sys.exit(0 if "forked" in str(error) else 1)
            sys.exit(2)
        seen += run
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.exit(0 if code in EXPECTED and seen == list(range(40)) else f"{code} {seen}")
    """
    expected = "(0, -6, -11)" if kind == "interpreter" else "(0,)"
    done = check(program(kind, script.replace("EXPECTED", expected)), timeout=60)
    if kind != "interpreter":
        assert "spanflow/_" not in done.stderr  # multiprocessing's own may complain in the child


def test_a_killed_program_leaves_no_processes(program, tmp_path):
    script = f"""
    import signal
    if __name__ == "__main__":
        run = sf.Pipeline(range(100)).map(ident, workers=sf.Workers("process", 2)).run()
        with open({str(tmp_path / "pids")!r}, "w") as file:
            file.write(f"{{next(run)}} {{next(run)}} {{next(run)}} {{next(run)}}")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    text = program("process", script)
    (tmp_path / "life_functions.py").write_text(
        FUNCTIONS + "\ndef ident(x):\n    import os\n    return os.getpid()\n"
    )
    check(text, code=-9)
    pids = {int(pid) for pid in (tmp_path / "pids").read_text().split()}
    end = time.monotonic() + 5
    while any(is_running(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert [pid for pid in pids if is_running(pid)] == []


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_unguarded_program_is_told_what_it_needs(program):
    done = check(program("process", "print(list(pipe(quick, 3)))"), code=1, timeout=60)
    assert 'needs `if __name__ == "__main__":`' in done.stderr
