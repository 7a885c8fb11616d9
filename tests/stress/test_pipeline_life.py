"""Ends of processes, Ctrl-C and fork with runs in flight; each case is a process of its own."""

import sys

import pytest

from tests.crash.process import RUN_THREADS, check, interrupt

pytestmark = pytest.mark.timeout(120)

# One array that seems to be large: 4 TiB of float32, of which all rows are the same 1 MiB.
SETUP = """
import gc, os, sys, threading, time, weakref
import spanflow as sf

class Large:
    row = bytearray(1 << 20)
    __array_interface__ = {
        "version": 3, "shape": (1 << 22, 1 << 18), "strides": (0, 4), "typestr": "<f4",
        "data": (sf.asarray(row).address, False),
    }
large = sf.asarray(Large())
endless = sf.Pipeline(sf.read(large, rows=1))

def slowly(x):
    time.sleep(0.002)
    return x
def forever():
    while True:
        yield [1]
def no_threads_within(seconds):
    end = time.monotonic() + seconds
    while run_threads() and time.monotonic() < end:
        time.sleep(0.005)
    return run_threads() == 0
"""
SETUP += RUN_THREADS


# The end of the interpreter.

EXITS = {
    "native": "run = endless.map(sf.sqrt).run(threads=3); next(run)",
    "never asked": "run = endless.map(sf.sqrt).run(threads=3)",
    "not assigned": "next(endless.map(sf.sqrt).run(threads=3))",
    "python": "run = endless.map(slowly).run(threads=4); next(run)",
    "python objects": "run = sf.Pipeline(forever()).map(slowly).run(threads=4); next(run)",
    "one thread": "run = sf.Pipeline(forever()).map(slowly).run(threads=1); next(run)",
    "prefetch": "run = endless.map(slowly).prefetch(5).run(threads=1); time.sleep(0.05)",
    "slow item": "run = endless.map(lambda x: time.sleep(0.3)).run(threads=3); time.sleep(0.05)",
    "many runs": "runs = [endless.map(slowly).run(threads=3) for _ in range(20)]",
    "items kept": "run = endless.map(sf.sqrt).run(threads=2); kept = [next(run), next(run)]",
    "in a block": """
with endless.map(slowly).run(threads=3) as run:
    for chunk in run:
        sys.exit()
""",
    "in the block of a generator": """
def generate():
    with endless.map(slowly).run(threads=3) as run:
        yield from run
generator = generate()
next(generator)
""",
    "in a cycle": """
class Cycle:
    def __call__(self, x): return x
cycle = Cycle()
cycle.run = sf.Pipeline(forever()).map(cycle).run(threads=3)
next(cycle.run)
""",
    "error not fetched": "run = endless.map(lambda x: 1 / 0).run(threads=3); time.sleep(0.02)",
    "cancelled": "run = endless.map(slowly).run(threads=3); next(run); run.cancel()",
    "daemon thread consumes": """
def consume():
    try:
        with endless.map(slowly).run(threads=3) as run:
            for chunk in run: pass
    except sf.PipelineError: pass  # by the end of the interpreter
for _ in range(3): threading.Thread(target=consume, daemon=True).start()
time.sleep(0.05)
""",
    "daemon threads work for their runs": """
def consume():
    try: list(endless.map(slowly).filter(lambda x: False).run(threads=1))
    except sf.PipelineError: pass
for _ in range(4): threading.Thread(target=consume, daemon=True).start()
time.sleep(0.05)
""",
    "daemon threads share a run": """
run = endless.map(sf.sqrt).map(slowly).run(threads=2)
def consume():
    try: list(run)
    except sf.PipelineError: pass
for _ in range(4): threading.Thread(target=consume, daemon=True).start()
time.sleep(0.05)
""",
    "daemon threads from a stage": """
def start_daemon(x):
    threading.Thread(target=lambda: [slowly(x) for x in forever()], daemon=True).start()
    return slowly(x)
run = endless.map(start_daemon).run(threads=3)
for _ in range(5): next(run)
""",
    "a thread goes on": """
def consume():
    for n, chunk in enumerate(endless.map(slowly).run(threads=2)):
        if n == 50: break
threading.Thread(target=consume).start()
""",
    "threads wait for a lock": """
lock = threading.Lock()
def locked(x):
    with lock: return slowly(x)
run = endless.map(locked).run(threads=4)
next(run)
""",
    "exit handler": """
import atexit
run = endless.map(slowly).run(threads=3)
atexit.register(lambda: [next(run) for _ in range(5)])
""",
    "finalizer": """
class Last:
    def __init__(self): self.run = endless.map(sf.sqrt).run(threads=2)
    def __del__(self):
        try: next(self.run)
        except sf.PipelineError: pass
last = Last()
sys.modules["keep"] = last
""",
    "modules cleared": "run = endless.map(slowly).run(threads=3); next(run); sys.modules.clear()",
    "os._exit": "run = endless.map(slowly).run(threads=3); next(run); os._exit(0)",
    "collector off": "gc.disable(); run = [endless.map(slowly).run(threads=3)]; run.append(run)",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit_with_a_run_in_flight(name):
    assert check(SETUP + EXITS[name], timeout=60).stderr == ""


def test_a_run_after_the_end_has_begun():
    """An exit handler older than the import comes after ours: no run attaches threads any more."""
    done = check(
        """
        import atexit
        def late():
            native = sf.Pipeline(sf.arange(1000.0)).map(sf.sqrt).reduce(sf.max, threads=3)
            alone = sf.Pipeline(range(5)).map(str).collect(threads=1)
            print(native > 31, alone)
            try:
                print(len(sf.Pipeline(range(50)).map(str).collect(threads=3)))
            except sf.PipelineError:
                print(50)
        atexit.register(late)
        import spanflow as sf
        """,
        timeout=60,
    )
    assert done.stdout == "True ['0', '1', '2', '3', '4']\n50\n"
    assert done.stderr == ""


def test_exit_from_inside_a_stage():
    done = check(
        SETUP
        + """
def leave(x):
    sys.exit(7)
run = endless.map(leave).run(threads=3)
next(run)
""",
        code=7,
        timeout=30,
    )
    assert done.stderr == ""


def test_threads_end_with_their_run():
    check(
        SETUP
        + """
def left():
    for chunk in endless.map(slowly).run(threads=3): return
def with_left():
    with endless.map(slowly).run(threads=3) as run:
        while run_threads() == 0: next(run)
def exhausted():
    run = sf.Pipeline(range(50)).map(slowly).run(threads=3)
    list(run)
    kept.append(run)
def failed():
    run = sf.Pipeline(range(50)).map(lambda x: 1 / (x - 20)).run(threads=3)
    try: list(run)
    except ZeroDivisionError: pass
    kept.append(run)
def cancelled():
    run = endless.map(slowly).run(threads=3)
    run.cancel()
    kept.append(run)
def dropped():
    run = endless.map(slowly).prefetch(4).run(threads=1)
    next(run)
def in_cycle():
    cycle = [endless.map(slowly).run(threads=3)]
    cycle.append(cycle)
    run = weakref.ref(cycle[0])
    del cycle
    while run() is not None: gc.collect()
def by_a_thread(end):
    thread = threading.Thread(target=end)
    thread.start()
    thread.join()

kept = []
for end in (left, with_left, exhausted, failed, cancelled, dropped, in_cycle):
    end()
    assert no_threads_within(10), end
    by_a_thread(end)
    assert no_threads_within(10), end
"""
    )


# Ctrl-C.

INTERRUPTS = {
    "native, one thread": "endless.map(sf.sqrt).map(sf.add, 1.0).reduce(sf.sum, threads=1)",
    "native, two threads": "endless.map(sf.sqrt).map(sf.add, 1.0).reduce(sf.sum, threads=2)",
    "native, tiny items": "sf.Pipeline(sf.read(large[:, :8], rows=1)).map(sf.sqrt).reduce(sf.max)",
    "native, large items": "sf.Pipeline(sf.read(large, rows=64)).reduce(sf.sum, threads=2)",
    "native, iterated": "[0 for chunk in endless.map(sf.sqrt).run(threads=2)]",
    "native, collected": "sf.Pipeline(forever()).map(sf.add, 1).filter(sf.equal, 3).collect()",
    "stage sleeps": "[0 for x in endless.map(slowly).run(threads=4)]",
    "stage sleeps, one thread": "[0 for x in endless.map(slowly).run(threads=1)]",
    "stage is busy": "[0 for x in endless.map(lambda x: sum(range(5000))).run(threads=3)]",
    "source sleeps": "[0 for x in sf.Pipeline(map(slowly, forever())).run(threads=3)]",
    "nothing comes out": "[0 for x in endless.map(slowly).filter(lambda x: False).run(threads=2)]",
    "fold in python": "endless.map(sf.sum).reduce(lambda x, y: x + y, threads=3)",
    "list of quick items": "list(sf.Pipeline(forever()).map(slowly).run(threads=3))",
    "loop of C": "collections.deque(endless.map(sf.sum).run(threads=2), maxlen=0)",
    "long items among quick ones": "[0 for x in sf.Pipeline(uneven()).map(work).run(threads=1)]",
    "consumer works": "[slowly(0) for x in endless.map(sf.sqrt).run(threads=3)]",
}


@pytest.mark.parametrize("name", INTERRUPTS)
def test_ctrl_c(name):
    ended = interrupt(
        SETUP
        + f"""
import collections
def uneven():
    while True:
        yield from (50, 0, 0)
def work(n):  # in pieces, as a native stage that never looks at signals
    for _ in range(n): sf.sum(large[:8])
ready()
try:
    {INTERRUPTS[name]}
except KeyboardInterrupt:
    caught()
gc.collect()
assert no_threads_within(2)
large.close()
sys.exit(7)
"""
    )
    assert ended.returncode == 7, ended.stderr
    print(f"KeyboardInterrupt after {ended.seconds * 1e3:.1f} ms")
    assert 0 <= ended.seconds < 1  # meant: 0.1, on a machine with nothing else to do


def test_ctrl_c_while_the_consumer_waits():
    """For an item that takes forever: next() says so at once, and leaving the block can be too."""
    ended = interrupt(
        SETUP
        + """
run = endless.map(lambda x: time.sleep(60)).run(threads=3)
try:
    with run:
        ready()
        try:
            next(run)
        except KeyboardInterrupt:
            caught()
            raise
except KeyboardInterrupt:
    os._exit(7)  # the threads sleep on
""",
        signals=2,
    )
    assert ended.returncode == 7, ended.stderr
    print(f"KeyboardInterrupt after {ended.seconds * 1e3:.1f} ms")
    assert 0 <= ended.seconds < 1


@pytest.mark.parametrize("loop", ["in a loop", "kept and dropped"])
def test_ctrl_c_while_a_run_is_dropped(loop):
    """Dropping a run waits for the item in hand: not after Ctrl-C, and the exception comes out."""
    ended = interrupt(
        SETUP
        + f"""
pipe = endless.map(lambda x: time.sleep(60))
def drop():
    run = pipe.run(threads=3)
    while run.stats()["stages"][0]["items"] == 0: time.sleep(0.001)
    time.sleep(0.05)
    ready()
    if {loop == "in a loop"}:
        for chunk in run: pass  # the first Ctrl-C; then the frame and the run go
try:
    try:
        drop()
    except KeyboardInterrupt:
        pass  # the traceback is dropped
    [0 for _ in range(1000)]
    if {loop == "in a loop"}: caught()
except KeyboardInterrupt:
    caught()
os._exit(7)
""",
        signals=1 if loop == "kept and dropped" else 2,
        wait_for_caught=False,
    )
    assert ended.returncode == 7, ended.stderr
    assert 0 <= ended.seconds < 5


def test_ctrl_c_in_a_stage_keeps_its_traceback():
    """With one thread it strikes inside the stage, and comes out of it as it is."""
    ended = interrupt(
        SETUP
        + """
import traceback
def sleeps(x):
    ready()
    time.sleep(60)
try:
    endless.map(sleeps).collect(threads=1)
except KeyboardInterrupt as error:
    caught()
    text = "".join(traceback.format_exception(error))
    assert "in sleeps" in text and "map(sleeps), item 0" in text, text
    sys.exit(7)
"""
    )
    assert ended.returncode == 7, ended.stderr
    assert 0 <= ended.seconds < 1


def test_ctrl_c_ends_an_exit_that_waits():
    """For a source that waits for something that will never come."""
    ended = interrupt(
        SETUP
        + """
import atexit, queue
run = sf.Pipeline(iter(queue.SimpleQueue().get, None)).map(str).run(threads=3)
time.sleep(0.05)
atexit.register(ready)  # called before our own handler
class Last:
    def __del__(self, now=time.monotonic, write=os.write):
        write(1, str(now()).encode())
sys.last = Last()
""",
        timeout=20,
    )
    assert ended.returncode == 0, ended.stderr
    assert "KeyboardInterrupt" in ended.stderr
    assert 0 <= ended.seconds < 1


def test_a_handler_of_the_user_runs():
    """A handler that raises nothing interrupts nothing."""
    ended = interrupt(
        SETUP
        + """
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(time.monotonic()))
def numbers():
    n = 0
    while n < 400 or not seen:
        yield n
        n += 1
run = sf.Pipeline(numbers()).map(slowly).run(threads=2)
ready()
items = list(run)
print(seen[0])
sys.exit(7 if items == list(range(len(items))) and len(seen) == 1 else 1)
"""
    )
    assert ended.returncode == 7, ended.stderr
    assert 0 <= ended.seconds < 1


# fork.

FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)

def in_child(function):
    # Ends as a process does, with all finalizers; True when the function and the end were good.
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        function()
        sys.exit(0)
    end = time.monotonic() + 40
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False

def refuses(run):
    try:
        next(run)
    except sf.PipelineError as error:
        assert "before this process was forked" in str(error), error
    else:
        raise AssertionError("a run went on in the child")
"""

RUNS_TO_FORK = {
    "native": "sf.Pipeline(sf.read(numbers, rows=10)).map(sf.sqrt)",
    "python": "sf.Pipeline(sf.read(numbers, rows=10)).map(slowly)",
    "objects": "sf.Pipeline(iter(range(300))).map(slowly)",
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", RUNS_TO_FORK)
def test_fork_in_the_middle_of_a_run(name, threads):
    done = check(
        SETUP
        + FORK
        + f"""
numbers = sf.arange(3000.0)
run = {RUNS_TO_FORK[name]}.run(threads={threads})
seen = [next(run) for _ in range(20)]

def child():
    refuses(run)
    assert run_threads() == 0
    assert run.stats()["delivered"] == 20 and "20 items" in repr(run)
    run.close()
    run.cancel()
    refuses(run)
    with run:
        pass
    assert sf.Pipeline(sf.read(numbers, rows=10)).map(sf.sqrt).reduce(sf.max, threads=3) > 54
    assert sf.Pipeline(range(30)).map(str).collect(threads=3)[29] == "29"
    if len(seen) == 20:
        globals().pop("run")
        gc.collect()

assert in_child(child)
assert in_child(lambda: None)
seen += run
assert len(seen) == 300
if {name!r} == "objects":
    assert seen == list(range(300))
else:
    assert sum(len(c) for c in seen) == 3000 and seen[299][9] in (2999, 2999 ** 0.5)
del seen
numbers.close()
""",
        timeout=90,
    )
    assert done.stderr == ""


def test_fork_inside_the_block():
    """The child leaves the block as well, by an exception."""
    check(
        SETUP
        + FORK
        + """
with endless.map(slowly).run(threads=3) as run:
    next(run)
    assert in_child(lambda: sys.exit(0))
    next(run)
assert run_threads() == 0
""",
        timeout=60,
    )


def test_fork_again_and_again():
    """At moments when threads of the run hold its locks."""
    check(
        SETUP
        + FORK
        + """
numbers = sf.arange(1000.0)
run = sf.Pipeline(forever()).map(list).map(len).run(threads=4)
native = sf.Pipeline(sf.read(large[:, :4], rows=1)).map(sf.add, 1).run(threads=3)
def child():
    refuses(run)
    refuses(native)
    run.stats(), native.stats(), repr(run)
    run.cancel(), native.close()
for n in range(25):
    assert [next(run) for _ in range(200)] == [1] * 200
    next(native)
    assert in_child(child), n
""",
        timeout=90,
    )


def test_fork_inside_a_stage():
    """As multiprocessing does, and subprocess: the child has this thread only, and leaves at once."""
    check(
        SETUP
        + FORK
        + """
import multiprocessing, subprocess
context = multiprocessing.get_context("fork")
def with_process(n):
    process = context.Process(target=sys.exit, args=(n,))
    process.start()
    process.join()
    return process.exitcode
def with_subprocess(n):
    return subprocess.run([sys.executable, "-c", f"raise SystemExit({n})"]).returncode
expected = list(range(6))
assert sf.Pipeline(range(6)).map(with_process).collect(threads=3) == expected
assert sf.Pipeline(range(6)).map(with_subprocess).collect(threads=3) == expected
""",
        timeout=90,
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_a_child_leaves_a_stage(threads):
    """By its exit code, by an exception, or by going on."""
    done = check(
        SETUP
        + FORK
        + f"""
def leave(n):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        if n == 0: sys.exit(5)
        if n == 1: raise LookupError("of the child")
        return n
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
try:
    print(list(sf.Pipeline(range(3)).map(leave).run(threads={threads})))
except sf.PipelineError as error:
    assert "before this process was forked" in str(error)
"""
    )
    assert "LookupError: of the child" in done.stderr
    assert done.stdout == "[5, 1, 0]\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 does not warn")
def test_no_threads_without_a_run():
    """A process that only ran pipelines may fork: Python warns about processes with threads."""
    check(
        SETUP
        + """
import warnings
warnings.simplefilter("error")
with endless.map(sf.sqrt).map(slowly).run(threads=3) as run:
    next(run)
assert no_threads_within(5)
pid = os.fork()
if pid == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
    )
