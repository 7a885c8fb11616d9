"""Nothing stays behind: objects, native blocks, descriptors and memory, after many rounds.

One process runs every case in batches of 100 rounds. Caches of the interpreter fill up and stop
growing; a leak grows in every batch.
"""

import json

import pytest

from tests.crash.process import run

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

SCRIPT = """
import ctypes, gc, json, os, pickle, sys, threading
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
    except Exception:
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

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def state():
    gc.collect()
    gc.collect()
    stats = sf.memory_stats()
    return {
        "objects": sys.getallocatedblocks(),
        "blocks": stats["live_blocks"],
        "bytes": stats["live_bytes"],
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident": resident(),
    }

def repeat(code, rounds):
    for _ in range(rounds):
        exec(code)

ROUNDS, BATCHES = 100, 8
grown = {}
for name, text in cases.items():
    code = compile(text, name, "exec")
    repeat(code, 10)
    for _ in range(BATCHES):
        before = state()
        repeat(code, ROUNDS)
        after = state()
        grown[name] = {key: after[key] - before[key] for key in before}
        if grown[name]["objects"] < 20 and grown[name]["resident"] < 1 << 20:
            break
counts = {
    key: sys.getrefcount(x) for key, x in
    {"a": a, "owner": owner, "provider": provider, "bad": bad_buffer}.items()
}
print(json.dumps([grown, counts]))
"""


@pytest.fixture(scope="module")
def growth(tmp_path_factory):
    done = run(SCRIPT, json.dumps(CASES), tmp_path_factory.mktemp("leaks"), timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_nothing_grows(growth, name):
    grown = growth[0][name]
    assert grown["blocks"] == 0
    assert grown["bytes"] == 0
    assert grown["descriptors"] == 0
    # One object, or a page, left behind by each of 100 rounds shows.
    assert grown["objects"] < 20, grown
    assert grown["resident"] < 1 << 20, grown


def test_reference_counts(growth):
    counts = growth[1]
    assert counts["owner"] < 10 and counts["provider"] < 10 and counts["bad"] < 10
    assert counts["a"] < 10
