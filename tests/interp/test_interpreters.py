"""Sub-interpreters, each with its own GIL from Python 3.12 on. Every case is a process of its own.

The main thread imports threading in every interpreter: up to 3.12 CPython waits forever at the end
of an interpreter in which another thread did so first, with any extension or none.
"""

import sys
from pathlib import Path

import pytest

import spanflow as sf
from tests.crash.process import check

HERE = Path(__file__).parent
pytestmark = pytest.mark.timeout(120)

if sys.version_info < (3, 12):
    pytest.skip("interpreters have a GIL of their own from 3.12 on", allow_module_level=True)
try:
    from tests.interp import interpreters
except ImportError:
    pytest.skip("this Python has no module for sub-interpreters", allow_module_level=True)

PRELUDE = f"""
import sys, threading
sys.path.insert(0, {str(HERE)!r})
import interpreters
SMOKE = open({str(HERE / "smoke.py")!r}).read()
path = sys.argv[1]

def create():
    # Imports here and one by one: CPython 3.12 loads extension modules of its own without a lock.
    i = interpreters.create()
    interpreters.run(i, "import gc, pickle, sys, threading, spanflow, spanflow._restore, spanflow._text")
    return i
"""


@pytest.fixture
def path(tmp_path):
    sf.save(tmp_path / "a.npy", sf.arange(1000.0))
    return tmp_path / "a.npy"


def in_process(script, *args, code=0):
    return check(PRELUDE + script, *args, code=code, timeout=90)


def test_smoke_in_the_main_interpreter(path):
    in_process("exec(compile(SMOKE, 'smoke', 'exec'), {'path': path, '__name__': 'smoke'})", path)


def test_smoke_in_one(path):
    in_process(
        """
i = create()
interpreters.run(i, SMOKE, path=path)
interpreters.destroy(i)
""",
        path,
    )


@pytest.mark.skipif(not interpreters.OWN_GIL, reason="interpreters share one GIL before 3.12")
def test_the_interpreter_has_its_own_gil():
    """The control: an extension without the promise is refused there, ours is not."""
    in_process(
        """
i = create()
for name in ("_testbuffer", "_testsinglephase"):
    try:
        __import__(name)
    except ImportError:
        continue
    try:
        interpreters.run(i, f"import {name}")
    except Exception as error:
        assert "does not support loading in subinterpreters" in str(error), error
        break
else:
    print("no control")
interpreters.run(i, "import spanflow; assert spanflow.ones(3).sum() == 3")
interpreters.destroy(i)
""",
        "",
    )


def test_import_is_light():
    """Every module of the standard library that comes along must load in many interpreters."""
    in_process(
        """
before = set(sys.modules)
import spanflow
extra = {m for m in set(sys.modules) - before if not m.startswith("spanflow")}
heavy = {"datetime", "_datetime", "decimal", "email", "importlib.metadata", "inspect", "ctypes"}
if sys.version_info >= (3, 13):
    heavy.add("re")  # before, typing needs it
assert not extra & heavy, extra & heavy
""",
        "",
    )


@pytest.mark.skipif(not interpreters.OWN_GIL, reason="interpreters share one GIL before 3.12")
def test_imported_by_four_at_once():
    in_process(
        """
ids = [interpreters.create() for _ in range(4)]
barrier = threading.Barrier(4)
errors = []
def work(k):
    try:
        interpreters.run(ids[k], "import abc, collections.abc, contextlib")
        barrier.wait()
        interpreters.run(ids[k], "import spanflow; assert spanflow.ones(5).sum() == 5")
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert not errors, errors
for i in ids: interpreters.destroy(i)
""",
        "",
    )


@pytest.mark.parametrize("main_first", [True, False])
def test_four_map_the_same_file(path, main_first):
    """All at once, in threads: read it whole, write a quarter each; the bytes are shared."""
    in_process(
        f"""
if {main_first}:
    import spanflow
ids = [create() for _ in range(4)]
errors = []
read = threading.Barrier(4)
def work(k):
    try:
        interpreters.run(ids[k], SMOKE, path=path)
        read.wait()
        interpreters.run(ids[k], '''
import spanflow as sf
quarter = slice(250 * k, 250 * (k + 1))
with sf.open(path) as r, sf.open(path, "r+") as w:
    for _ in range(200):
        assert r[quarter].sum() == sum(range(250 * k, 250 * (k + 1)))
        w[quarter] = w[quarter] + 0
    w[quarter] *= -1
    assert r[quarter].tolist() == [-float(i) for i in range(250 * k, 250 * (k + 1))]
''', path=path, k=k)
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert not errors, errors
import spanflow as sf
assert sf.open(path).tolist() == [-float(i) for i in range(1000)]
for i in ids: interpreters.destroy(i)
assert sf.open(path).sum() == -499500
""",
        path,
    )


def test_created_and_destroyed_again_and_again(path):
    """Blocks, descriptors and mappings of a dead interpreter are gone."""
    in_process(
        """
import os
import spanflow as sf
def state():
    with open("/proc/self/maps") as f:
        mapped = f.read().count(path)
    return sf.memory_stats()["live_blocks"], len(os.listdir("/proc/self/fd")), mapped
before = None
for round in range(8):
    i = create()
    interpreters.run(i, SMOKE, path=path)
    interpreters.run(i, '''
kept = sf.open(path), sf.ones(1000), sf.asarray(bytearray(10)), memoryview(sf.ones(5))
''', path=path)
    interpreters.destroy(i)
    if round == 0:
        before = state()
assert state() == before, (state(), before)
""",
        path,
    )


def test_types_belong_to_their_interpreter():
    in_process(
        """
import spanflow as sf
i = create()
mine = (id(sf.Array), id(sf.float32), id(sf.add), id(sf._core))
interpreters.run(i, '''
import spanflow as sf
theirs = (id(sf.Array), id(sf.float32), id(sf.add), id(sf._core))
assert not set(mine) & set(theirs), "shared objects"
class Sub(sf.Array):
    pass
assert Sub([1, 2]).sum() == 3
''', mine=mine)
interpreters.destroy(i)
assert sf.ones(3).sum() == 3
""",
        "",
    )


def test_settings_of_the_process_are_shared():
    """Threads and SIMD target are native and process-wide; they can be set from anywhere."""
    in_process(
        """
import spanflow as sf
i = create()
sf.set_num_threads(3)
interpreters.run(i, '''
import spanflow as sf
assert sf.get_num_threads() == 3
sf.set_num_threads(2)
''')
assert sf.get_num_threads() == 2
before = sf.memory_stats()["live_blocks"]
interpreters.run(i, "a = sf.ones(1000)")
assert sf.memory_stats()["live_blocks"] == before + 1
interpreters.run(i, "del a")
assert sf.memory_stats()["live_blocks"] == before
interpreters.destroy(i)
""",
        "",
    )


def test_exit_with_interpreters_alive(path):
    in_process(
        """
import spanflow as sf
keep = sf.ones(100), memoryview(sf.ones(10))
for _ in range(3):
    i = create()
    interpreters.run(i, SMOKE, path=path)
    interpreters.run(i, "view = memoryview(sf.ones(100)); kept = sf.open(path)", path=path)
""",
        path,
    )


def test_an_error_inside_is_only_theirs(path):
    in_process(
        """
import spanflow as sf
i = create()
for text in ("import spanflow as sf; sf.open('/no/file')", "sf.ones(3)[7]", "raise SystemError('x')"):
    try:
        interpreters.run(i, text)
    except BaseException as error:
        pass
    else:
        raise AssertionError(text)
interpreters.run(i, SMOKE, path=path)
interpreters.destroy(i)
assert sf.ones(3).sum() == 3
""",
        path,
    )


@pytest.mark.skipif(sys.version_info < (3, 13), reason="memoryviews cross from 3.13 on")
def test_a_view_crosses_without_a_copy():
    """main → sub: same address, writes visible, and main's array is locked until they let go."""
    in_process(
        """
import gc
import spanflow as sf
i = create()
interpreters.run(i, "import _interpreters")
a = sf.arange(12, dtype="i4").reshape(3, 4)[::2]
interpreters.run(i, '''
import spanflow as sf
mine = sf.asarray(shared, copy=False)
assert mine.address == address
assert mine.shape == (2, 4) and mine.strides == (32, 4)
assert mine.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
mine[1, 1] = -7
''', shared=memoryview(a), address=a.address)
gc.collect()
assert a[1, 1] == -7
try:
    a.close()
except BufferError as error:
    assert "exported" in str(error)
else:
    raise AssertionError("closed under another interpreter")
interpreters.run(i, '''
import gc
mine.close()
del mine, shared
gc.collect()
''')
a.close()
interpreters.destroy(i)
""",
        "",
    )


@pytest.mark.skipif(sys.version_info < (3, 13), reason="memoryviews cross from 3.13 on")
def test_a_view_is_let_go_by_the_end_of_its_interpreter():
    in_process(
        """
import gc
import spanflow as sf
a = sf.zeros(100)
for _ in range(5):
    i = create()
    interpreters.run(i, "import _interpreters")
    interpreters.run(i, '''
import spanflow as sf
mine = sf.asarray(shared)
mine[5] += 1
''', shared=memoryview(a))
    interpreters.destroy(i)
    gc.collect()
assert a[5] == 5
a.close()
""",
        "",
    )


# Pipelines.

PIPELINES = """
import os, time
import spanflow as sf
m = sf.open(path)
pipe = sf.Pipeline(sf.read(m, rows=30))
def slowly(x):
    time.sleep(0.002)
    return x
def forever():
    while True:
        yield [1]
"""
# Up to 3.13.1 CPython ends the process when a thread joins an interpreter as the last one leaves
# it, so the text that starts a run goes on until all threads of the run are there.
JOINED = "\ntime.sleep(0.05)\n"


@pytest.mark.parametrize("main_too", [True, False])
def test_four_run_pipelines_at_once(path, main_too):
    """Native and Python stages over one mapped file, in four threads, and in the main interpreter."""
    in_process(
        f"""
WORK = {PIPELINES!r} + '''
for n in range(25):
    assert pipe.map(sf.multiply, n).reduce(sf.sum, threads=3) == 499500 * n
    assert pipe.map(lambda c: c.sum()).reduce(
        lambda x, y: x + y, threads=3) == 499500
    assert sf.Pipeline(range(40)).map(str).collect(threads=3) == [str(k) for k in range(40)]
    assert len(pipe.filter(lambda c: c[0] < 500).collect(threads=2)) == 510
    with pipe.map(slowly).run(threads=3) as run:
        assert next(run)[0] == 0
m.close()
'''
ids = [create() for _ in range(4)]
errors = []
def work(function, *args):
    try:
        function(*args)
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=work, args=(interpreters.run, i, f"path = {{path!r}}\\n" + WORK))
           for i in ids]
for t in threads: t.start()
if {main_too}:
    work(exec, WORK, {{"path": path}})
for t in threads: t.join()
assert not errors, errors
for i in ids: interpreters.destroy(i)
""",
        path,
    )


IN_FLIGHT = {
    "native": "run = pipe.map(sf.sqrt).run(threads=3); next(run)",
    "never asked": "run = pipe.map(slowly).run(threads=3)",
    "python": "run = pipe.map(slowly).run(threads=4); next(run)",
    "objects": "run = sf.Pipeline(forever()).map(slowly).run(threads=4); next(run)",
    "slow item": "run = pipe.map(lambda c: time.sleep(0.2)).run(threads=3); time.sleep(0.02)",
    "foreign": "run = sf.Pipeline(sf.read(bytearray(9999), rows=9)).map(slowly).run(threads=3)",
    "in a block": "def g():\n with pipe.map(slowly).run(threads=3) as r: yield from r\nit = g(); next(it)",
    "in a cycle": (
        "class Cycle:\n def __call__(self, x): return x\n"
        "cycle = Cycle(); cycle.run = sf.Pipeline(forever()).map(cycle).run(threads=3); next(cycle.run)"
    ),
    "items kept": "run = pipe.map(sf.sqrt).run(threads=2); kept = [next(run), memoryview(next(run))]",
    "error not fetched": "run = pipe.map(lambda c: 1 / 0).run(threads=3); time.sleep(0.02)",
    "cancelled": "run = pipe.map(slowly).run(threads=3); next(run); run.cancel()",
}


# Up to 3.12 CPython's module for interpreters uses the newest thread state of an interpreter as its
# own, whichever thread that belongs to: with threads of a run in there it cannot end it.
many_threads = pytest.mark.skipif(sys.version_info < (3, 13), reason="CPython cannot before 3.13")


@many_threads
@pytest.mark.parametrize("name", IN_FLIGHT)
def test_ended_with_a_run_in_flight(path, name):
    in_process(
        f"""
import os, time
import spanflow as sf
def state():
    end = time.monotonic() + 5  # a thread that was joined is still listed for a moment
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < end:
        time.sleep(0.002)
    with open("/proc/self/maps") as f:
        mapped = f.read().count(path)
    return sf.memory_stats()["live_blocks"], len(os.listdir("/proc/self/task")), mapped
before = state()
for _ in range(4):
    i = create()
    interpreters.run(i, f"path = {{path!r}}\\n" + {PIPELINES!r} + {IN_FLIGHT[name] + JOINED!r})
    interpreters.destroy(i)
    assert state() == before, (state(), before)
""",
        path,
    )


@many_threads
def test_four_ended_at_once_with_runs_in_flight(path):
    in_process(
        f"""
CODES = {list(IN_FLIGHT.values())!r}
for round in range(3):
    ids = [create() for _ in range(4)]
    for k, i in enumerate(ids):
        code = CODES[(4 * round + k) % len(CODES)]
        interpreters.run(i, f"path = {{path!r}}\\n" + {PIPELINES!r} + code + {JOINED!r})
    errors = []
    def end(i):
        try:
            interpreters.destroy(i)
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=end, args=(i,)) for i in ids]
    for t in threads: t.start()
    for t in threads: t.join()
    assert not errors, errors
""",
        path,
    )


@many_threads
def test_exit_with_runs_in_flight_in_interpreters(path):
    in_process(
        f"""
import spanflow as sf
mine = sf.Pipeline(range(10**9)).map(lambda x: x).run(threads=3)
next(mine)
for code in {list(IN_FLIGHT.values())!r}:
    i = create()
    interpreters.run(i, f"path = {{path!r}}\\n" + {PIPELINES!r} + code + {JOINED!r})
""",
        path,
    )
