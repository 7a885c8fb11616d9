"""Nothing stays behind: objects, native blocks, descriptors, threads and memory, after many rounds.

One process runs every case in batches of 100 rounds. Caches of the interpreter fill up and stop
growing; a leak grows in every batch. The largest of these caches, of names that types were asked
for, takes thousands of rounds to fill, so it is emptied before each look.
"""

import gc
import json
import sys
import sysconfig
import time
import weakref

import pytest

import spanflow as sf
from tests.crash.process import run

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

CASES = {
    "zeros": "sf.zeros(100)",
    "large": "sf.empty(5 << 20, 'u1')",
    "many dimensions": "sf.zeros((1,) * 40).reshape((1,) * 64).T[..., None, 0]",
    "wrap": "sf.asarray(owner)",
    "wrap and close": "sf.asarray(owner).close()",
    "wrap an interface": "sf.asarray(provider)[1:]",
    "wrap fails": "fails(lambda: sf.asarray(bad_buffer))",
    "wrap nothing": "fails(lambda: sf.asarray(object()))",
    "wrap a broken interface": "fails(lambda: sf.asarray(broken))",
    "cast": "sf.asarray(a, 'f8')",
    "copy refused": "fails(lambda: sf.asarray(a, 'f8', copy=False))",
    "list": "sf.array([[1, 2.5], [3, 4]])",
    "ragged": "fails(lambda: sf.array([[1], [1, 2]]))",
    "list of text": "fails(lambda: sf.array([1, 'x']))",
    "overflow": "fails(lambda: sf.array([1, 2**70], 'i4'))",
    "records": "sf.array([(1, b'x')], record)['n']",
    "dtype": "sf.dtype([('x', 'f4'), ('n', 'i2', (3,))])",
    "dtype fails": "fails(lambda: sf.dtype([('x', 'f4'), ('x', 'O')]))",
    "dtype compared": "(sf.float32 == 'f4', sf.float32 == 'nonsense', sf.float32 != None)",
    "attributes": "(a.shape, a.strides, a.dtype, a.T, a.__array_interface__, a.format, a.storage)",
    "slices": "(a[1:], a[::-1, 1], a[0, 0], a[..., None], a[-1])",
    "index fails": "fails(lambda: a[100]), fails(lambda: a['x']), fails(lambda: a[0, 0, 0])",
    "take": "(a[[0, 1]], a[a > 2], a[:, [1]])",
    "take fails": "fails(lambda: a[[0, 100]]), fails(lambda: a[[1.5]])",
    "assign": "(a.__setitem__(0, 1), a.__setitem__(slice(None), a), a.__setitem__([0], 2))",
    "assign fails": "fails(lambda: a.__setitem__(0, [1, 2])), fails(lambda: a.__setitem__(0, 'x'))",
    "arithmetic": "(a + 1, 1 - a, a * a, -a, a == a, a < 2, sf.where(a, 1, a), sf.sqrt(a))",
    "arithmetic fails": "fails(lambda: a + 'x'), fails(lambda: a + sf.zeros(7)), fails(lambda: a & 1.5)",
    "not implemented": "(a == None, a != 'x')",
    "out": "sf.add(a, 1, out=a)",
    "out fails": "fails(lambda: sf.add(a, 1, out=[1])), fails(lambda: sf.add(a, 1, out=sf.zeros(3)))",
    "in place": "a.__iadd__(0)",
    "reductions": "(a.sum(), a.mean(axis=0), a.max(axis=(0, 1), keepdims=True), sf.var(a, 1))",
    "thread pool": "(p := sf.ThreadPool(2), list(p.map(len, [a, a], chunksize=2)), p.shutdown())",
    "thread pool fails": "(p := sf.ThreadPool(1), p.submit(len).exception(), p.shutdown(), fails(lambda: p.submit(len)))",
    "parallel loops": "(sf.parallel_map(len, [a] * 9, threads=3), sf.parallel_reduce(sf.add, [a] * 5))",
    "parallel loop fails": "fails(lambda: sf.parallel_for(lambda i: 1 // (i - 5), 9, threads=3))",
    "reductions fail": "fails(lambda: a.sum(axis=5)), fails(lambda: sf.max(sf.zeros(0)))",
    "buffer": "memoryview(a).release()",
    "buffers kept": "[memoryview(a) for _ in range(5)]",
    "buffer refused": "fails(lambda: memoryview(b'').cast('B') if buffer_of(a.T, 0x38) else 0)",
    "close refused": "fails(lambda: held.obj.close())",
    "bytes": "(bytes(a), a.tobytes('F'), a.tolist(), a.item(0, 0))",
    "iterate": "list(a), [x for row in a for x in row]",
    "iterator dropped": "next(iter(a))",
    "repr": "(repr(a), str(a), repr(sf.float32))",
    "pickle": "pickle.loads(pickle.dumps(a))",
    "pickle buffers": (
        "(lambda b: pickle.loads(pickle.dumps(a, 5, buffer_callback=b.append), buffers=b))([])"
    ),
    "pickle mapped": "pickle.loads(pickle.dumps(sf.open(path)[::2]))",
    "pickle expression": "pickle.loads(pickle.dumps((sf.lazy(a) * 2 + 1).sum(axis=0)))",
    "pickle compiled": "pickle.loads(pickle.dumps(sf.compile({'x': sf.col('x') * a})))",
    "pickle pipeline": "pickle.loads(pickle.dumps(sf.Pipeline(a).map(sf.add, 1))).collect()",
    "pipeline": "repr(sf.Pipeline(a).map(sf.add, 1) | sf.Pipeline().filter(sf.any, axis=1))",
    "pipeline refused": "fails(lambda: sf.Pipeline(a).map(sf.sum, axis=9))",
    "run traced": "(lambda r: (list(r), r.report().levels))(sf.Pipeline(a).run(trace=9, threads=2))",
    "run watched": "list(sf._core._start_run([1], (), 2, 0, -1, 10**9, 0, lambda run, last: run))",
    "run timed out": "fails(lambda: list(sf.Pipeline([1]).run(timeout=1e-9)))",
    "pickle dtype": "pickle.loads(pickle.dumps(record))",
    "open": "sf.open(path)",
    "open and close": "sf.open(path, 'r+').close()",
    "open raw": "sf.open(path, dtype='u1', offset=5)[3:].sum()",
    "open fails": "fails(lambda: sf.open('/no/such/file')), fails(lambda: sf.open(folder))",
    "bad header": "fails(lambda: sf.open(bad_file))",
    "save": "sf.save(other, a)",
    "save fails": "fails(lambda: sf.save('/no/folder/x.npy', a)), fails(lambda: sf.save(other, 'x'))",
    "with": "sf.zeros(10).__enter__().__exit__(None, None, None)",
    "subclass": "Sub([1, 2]).attribute",
    "cycle": "make_cycle()",
    "arguments": "fails(lambda: sf.zeros()), fails(lambda: sf.sum(a, nope=1)), sf.zeros(shape=2, dtype='f4')",
    "reduce many": "sf._core._reduce_many(a, (sf.min, sf.mean))",
    "thread": "run_thread(a.sum)",
}

# Each leaves its run the way that its name says; `pipe` has ten chunks of six rows.
PIPELINES = {
    "described": "pipe.map(sf.add, 1).filter(bool).prefetch(2).map(sf.mean, axis=1)",
    "description fails": (
        "fails(lambda: sf.Pipeline(5)), fails(lambda: pipe.map(7)), fails(lambda: pipe.prefetch(-1)),"
        "fails(lambda: sf.read(())), fails(lambda: sf.read((a, small))),"
        "fails(lambda: pipe.run(memory='much'))"
    ),
    "start fails": (
        "fails(lambda: pipe.map(len).map(sf.add, 1, 2, 3).run()),"
        "fails(lambda: pipe.map(sf.add, small).filter(sf.sum, axis='x').run()),"
        "fails(lambda: sf.Pipeline(NoIterator()).map(len).run())"
    ),
    "never asked": "pipe.map(sf.sqrt).map(len).run(threads=3)",
    "native map": "list(pipe.map(sf.multiply, 2).map(sf.add, small[:6]).run(threads=3))",
    "native filter": "list(pipe.filter(sf.greater, 5).run(threads=2))",
    "native reduce": "pipe.map(sf.sqrt).reduce(sf.sum, threads=3)",
    "several reductions": "pipe.reduce({'lo': sf.min, 'mean': sf.mean, 'std': sf.std}, threads=2)",
    "native collect": "pipe.map(sf.mean, axis=1).collect(threads=3)",
    "nothing collected": "sf.Pipeline([]).collect(), fails(lambda: sf.Pipeline([]).reduce(sf.max))",
    "python map": "list(pipe.map(double).run(threads=3))",
    "python map in one thread": "list(pipe.map(double).run(threads=1))",
    "python filter": "list(pipe.filter(odd_chunk).run(threads=2))",
    "python mask": "list(pipe.filter(mask_of).run(threads=2))",
    "python reduce": "pipe.map(sf.sum).reduce(lambda x, y: x + y, 0.0, threads=2)",
    "python objects": "sf.Pipeline(range(50)).map(str).filter(str.isdigit).collect(threads=3)",
    "python arguments": "list(pipe.map(combine, {}, scale=[2]).run(threads=2))",
    "between both": "pipe.map(double).map(sf.add, 1).map(bytes).map(len).reduce(max, threads=3)",
    "to arrays": "sf.Pipeline([[1.0, 2], (3, 4.0), weights[:, 0]]).map(sf.add, 1).collect(threads=2)",
    "to arrays fails": "fails(lambda: sf.Pipeline([1, 'x']).map(sf.add, 1).collect(threads=2))",
    "aligned": "pipe.map(sf.multiply, sf.aligned(weights)).reduce(sf.sum, threads=3)",
    "aligned in python": "list(pipe.map(combine, sf.aligned(weights)).run(threads=3))",
    "aligned fails": "fails(lambda: pipe.map(combine, sf.aligned(weights[:9])).collect(threads=2))",
    "tuples": "sf.Pipeline(sf.read((small, weights), rows=7)).map(sf.add).collect(threads=2)",
    "tuples in python": "list(sf.Pipeline(sf.read((small, weights), rows=7)).map(len).run(threads=2))",
    "tuples as items": "list(sf.Pipeline(sf.read((small, weights), rows=7)).run(threads=2))",
    "foreign": "sf.Pipeline(sf.read(owner, rows=9)).map(sf.add, sf.asarray(owner)[0]).collect(threads=2)",
    "foreign abandoned": "next(sf.Pipeline(sf.read(owner, rows=9)).run(threads=3))",
    "mapped": "sf.Pipeline(sf.read(sf.open(path), rows=99)).reduce(sf.max, threads=2)",
    "prefetch": "list(pipe.map(double).prefetch(3).run(threads=1))",
    "prefetch abandoned": "next(pipe.map(double).prefetch(8).run(threads=2))",
    "bounded memory": "list(pipe.map(sf.sqrt).run(threads=3, memory=1000))",
    "too little memory": "fails(lambda: list(pipe.map(sf.sqrt).run(threads=3, memory=100)))",
    "abandoned": "next(pipe.map(sf.sqrt).run(threads=3))",
    "abandoned in python": "next(pipe.map(double).filter(len).run(threads=3))",
    "abandoned objects": "next(sf.Pipeline(endless()).map(double).run(threads=3))",
    "loop left": "leave_loop(pipe.map(double).run(threads=3))",
    "with left": "leave_with(pipe.map(sf.sqrt).map(double).run(threads=3))",
    "with and error": "fails(lambda: leave_with(pipe.map(double).run(threads=3), ValueError))",
    "items kept": "(lambda run: [next(run), next(run)])(pipe.map(sf.sqrt).run(threads=2))",
    "closed": "closed(pipe.map(double).run(threads=2))",
    "cancelled": "cancelled(pipe.map(sf.sqrt).map(double).run(threads=3))",
    "cancelled at once": "pipe.map(double).run(threads=3).cancel()",
    "stage raises": "fails(lambda: list(pipe.map(raises).run(threads=3)))",
    "one stage raises": "fails(lambda: list(pipe.map(sf.negative).map(raises_late).run(threads=3)))",
    "urgent": "fails(lambda: list(pipe.map(interrupts).run(threads=3)))",
    "error not fetched": "pipe.map(raises).run(threads=3)",
    "filter raises": "fails(lambda: list(pipe.filter(raises).run(threads=2)))",
    "stop iteration": "fails(lambda: list(pipe.map(next).run(threads=2)))",
    "native stage fails": "fails(lambda: list(pipe.map(sf.add, sf.zeros(3)).run(threads=3)))",
    "source raises": "fails(lambda: list(sf.Pipeline(broken_source()).map(double).run(threads=3)))",
    "source raises at once": "fails(lambda: list(sf.Pipeline(map(raises, [1])).run(threads=2)))",
    "cycle": "RunCycle(pipe)",
    "cycle not asked": "RunCycle(pipe, ask=False)",
    "cycle of arguments": "argument_cycle(pipe)",
    "statistics": "(lambda run: (list(run), run.stats(), repr(run)))(pipe.map(double).run(threads=2))",
    "weak reference": "weakref.ref(pipe.run(threads=2))()",
    "from a thread": "run_thread(lambda: pipe.map(double).collect(threads=2))",
    "several consumers": "several(pipe.map(double).run(threads=2))",
    "inside each other": "list(pipe.map(lambda c: sf.Pipeline(c).reduce(sf.sum)).run(threads=3))",
}
CASES |= {f"pipeline: {name}": code for name, code in PIPELINES.items()}

SCRIPT = """
import ctypes, gc, json, os, pickle, sys, threading, time, traceback
import weakref
import spanflow as sf

cases = json.loads(sys.argv[1])
folder = sys.argv[2]
path, other, bad_file = (os.path.join(folder, n) for n in ("a.npy", "b.npy", "c.npy"))
sf.save(path, sf.arange(1000.0))
open(bad_file, "wb").write(b"\\x93NUMPY\\x01\\x00\\x20\\x00{'descr': '|O', 'fortran_order': 0")

class Provider:
    memory = (ctypes.c_ubyte * 100)()
    __array_interface__ = {
        "version": 3, "shape": (100,), "typestr": "|u1", "data": (ctypes.addressof(memory), False),
    }
class Broken:
    __array_interface__ = {"typestr": "<f4", "shape": (3,), "data": None}
class Sub(sf.Array):
    attribute = 1
class Node(bytearray):
    pass

def make_cycle():
    node = Node(10)
    node.array = sf.asarray(node)
    node.view = memoryview(node.array)

def fails(call):
    try:
        call()
    except (Exception, KeyboardInterrupt):
        return
    raise AssertionError("did not fail")

def run_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()

def buffer_of(array, flags):
    view = (ctypes.c_char * 128)()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(array), view, flags)

owner, provider, broken, bad_buffer = bytearray(100), Provider(), Broken(), (ctypes.c_longdouble * 2)()
record = sf.dtype([("n", "i4"), ("s", "S3")])
a = sf.arange(12, dtype="i4").reshape(3, 4)
held = memoryview(sf.zeros(5))

small = sf.arange(600.0).reshape(60, 10)
weights = sf.ones((60, 1))
pipe = sf.Pipeline(sf.read(small, rows=6))

class NoIterator:
    def __iter__(self):
        raise RuntimeError("no")
class RunCycle:
    def __init__(self, pipe, ask=True):
        self.run = pipe.map(self).map(self.method).run(threads=2)
        if ask:
            next(self.run)
    def __call__(self, chunk):
        return chunk
    def method(self, chunk):
        return [chunk]

def argument_cycle(pipe):
    box = []
    box.append(pipe.map(combine, box, scale=box).run(threads=2))

def double(x):
    return x + x
def combine(x, other=None, scale=1):
    return x
def odd_chunk(chunk):
    return chunk[0, 0] % 120 == 60
def mask_of(chunk):
    return chunk[:, 0] > 250
def raises(x):
    raise ValueError(x)
def raises_late(chunk):
    if chunk[0, 0] < -300:
        raise ValueError(chunk)
def interrupts(chunk):
    raise KeyboardInterrupt
def endless():
    while True:
        yield bytearray(100)
def broken_source():
    yield from ([1], [2])
    raise ValueError("broken")
def leave_loop(run):
    for chunk in run:
        break
def leave_with(run, error=None):
    with run:
        for chunk in run:
            if error is not None:
                raise error
            return
def closed(run):
    next(run)
    run.close()
    list(run)
def cancelled(run):
    next(run)
    run.cancel()
    fails(lambda: next(run))
def several(run):
    threads = [threading.Thread(target=list, args=(run,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def settle():
    # While another thread collects, gc.collect does nothing; and a joined thread is still listed for
    # a moment.
    for _ in range(4000):
        if gc.collect() == 0 and len(os.listdir("/proc/self/task")) <= POOL:
            break
        time.sleep(0.005)

def state():
    settle()
    ctypes.pythonapi.PyType_ClearCache()
    stats = sf.memory_stats()
    return {
        "objects": sys.getallocatedblocks(),
        "blocks": stats["live_blocks"],
        "bytes": stats["live_bytes"],
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "resident": resident(),
    }

def repeat(code, rounds):
    for _ in range(rounds):
        exec(code)

sf.set_num_threads(2)
sf.ones(1 << 22).sum()  # the pool's threads stay
sf.parallel_for(lambda i: time.sleep(0.05), 3, grain=1, threads=3)  # and these
POOL = len(os.listdir("/proc/self/task"))
ROUNDS, BATCHES = 100, 5

def growth(code):
    repeat(code, 10)
    for _ in range(BATCHES):
        before = state()
        repeat(code, ROUNDS)
        after = state()
        grown = {key: after[key] - before[key] for key in before}
        if grown["objects"] < 20 and grown["resident"] < 1 << 20 or grown["threads"] > 0:
            break
    return grown

for name, text in cases.items():
    try:
        result = growth(compile(text, name, "exec"))
    except Exception:
        result = {"failed": traceback.format_exc()}
    print(json.dumps([name, result]), flush=True)
counts = {
    key: sys.getrefcount(x) for key, x in
    {"a": a, "owner": owner, "provider": provider, "bad": bad_buffer, "small": small}.items()
}
print(json.dumps(["reference counts", counts]))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each case said; a crash is the failure of the case that it happened in."""
    done = run(SCRIPT, json.dumps(CASES), tmp_path_factory.mktemp("leaks"), timeout=200)
    said = dict(map(json.loads, done.stdout.splitlines()))
    if done.returncode != 0:
        crashed = next((name for name in CASES if name not in said), "reference counts")
        said[crashed] = {"failed": f"ended with {done.returncode}\n{done.stderr}"}
    return said


@pytest.mark.parametrize("name", CASES)
def test_nothing_grows(results, name):
    grown = results.get(name) or pytest.skip("the process crashed in an earlier case")
    assert "failed" not in grown, grown["failed"]
    assert grown["blocks"] == 0
    assert grown["bytes"] == 0
    assert grown["descriptors"] == 0
    assert grown["threads"] == 0
    # One object, or a page, left behind by each of 100 rounds shows. The free-threaded 3.13 itself
    # keeps one of each exception that Python code raises, once a second thread has run.
    if not (FREE_THREADED and sys.version_info < (3, 14)):
        assert grown["objects"] < 20, grown
    assert grown["resident"] < 1 << 20, grown


def test_reference_counts(results):
    counts = results["reference counts"]
    assert "failed" not in counts, counts["failed"]
    assert max(counts.values()) < 10, counts


# Each ends a run over a bytearray `owner` and lets go of it.
ENDS = {
    "exhausted": "list(rows.run(threads=3))",
    "exhausted, kept": "run = rows.run(threads=3); list(run)",
    "left": "next(rows.run(threads=3))",
    "with": "with rows.map(len).run(threads=3) as run: next(run)",
    "one thread": "next(rows.run(threads=1))",
    "cancelled": "run = rows.map(len).run(threads=3); run.cancel(); del run",
    "failed": "fails(sf.Pipeline(sf.read(owner, rows=4)).map(sf.add, sf.zeros(2)).run().__next__)",
    "operand": "next(sf.Pipeline([[0] * 9] * 99).map(sf.add, sf.asarray(owner)).run(threads=3))",
    "reduced": "rows.reduce(sf.sum, threads=3)",
    "cycle": (
        "cycle = [rows.map(len).run(threads=3)]; cycle.append(cycle)\n"
        "run = weakref.ref(cycle[0]); del cycle; collect(run)"
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_a_run_borrowed_is_free(name):
    """At once, and not when something else happens to be done later."""

    def fails(call):
        with pytest.raises(ValueError):
            call()

    def collect(reference):
        """Not while another thread collects, or one of the run is inside a call."""
        end = time.monotonic() + 20
        while reference() is not None and time.monotonic() < end:
            gc.collect()
            time.sleep(0.001)

    for _ in range(20):
        owner = bytearray(9)
        rows = sf.Pipeline(sf.read(owner, rows=1))
        exec(
            ENDS[name],
            {
                "sf": sf,
                "weakref": weakref,
                "owner": owner,
                "rows": rows,
                "fails": fails,
                "collect": collect,
            },
        )
        del rows
        owner.append(0)  # BufferError while anybody has its buffer


def test_items_of_a_run_go_with_it():
    class Item:
        pass

    def items():
        for _ in range(100):
            references.append(weakref.ref(item := Item()))
            yield item
            del item

    for _ in range(20):
        references = []
        run = sf.Pipeline(items()).map(lambda item: (item,)).run(threads=3)
        next(run)
        run.cancel()
        del run
        gc.collect()
        assert references and not any(reference() for reference in references)
