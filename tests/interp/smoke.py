"""What an interpreter must be able to do with spanflow; run as text inside of each.

Needs nothing but the standard library: NumPy cannot be loaded where interpreters have a GIL each.
`path` is a .npy file of 1,000 float64 numbers 0 … 999.
"""

import gc
import pickle
import sys
import threading

import spanflow as sf

# Arrays, operations, reductions, large ones over the shared pool of threads.
a = sf.arange(12, dtype="f4").reshape(3, 4)
assert (a * 2 + 1).tolist()[2] == [17.0, 19.0, 21.0, 23.0]
assert a[::-1, 1:3].sum() == 33 and a[a > 8].tolist() == [9.0, 10.0, 11.0]
big = sf.ones(1 << 20, "f4")
assert (big + big).sum() == 1 << 21 and big.mean() == 1

# Buffers, both ways.
view = memoryview(a)
assert view.obj is a and view.shape == (3, 4)
try:
    a.close()
except BufferError as error:
    assert "exported" in str(error)
else:
    raise AssertionError("closed under an export")
view.release()
owner = bytearray(b"abcd")
wrapped = sf.asarray(owner)
try:
    owner.append(1)
except BufferError:
    pass
else:
    raise AssertionError("resized under an array")
wrapped[0] = 120
assert owner == b"xbcd"
wrapped.close()
owner.append(1)

# Mappings.
m = sf.open(path)  # noqa: F821
assert m.sum() == 499500 and m.storage == "mapped" and m.max() == 999

# Errors are this interpreter's own classes.
for bad, error in ((lambda: a[99], IndexError), (lambda: sf.zeros(2) + sf.zeros(3), ValueError)):
    try:
        bad()
    except error:
        pass
    else:
        raise AssertionError(error)

# Pickle, repr, records, threads, the collector.
assert pickle.loads(pickle.dumps(a)).tolist() == a.tolist()
assert repr(a).startswith("Array(shape=(3, 4), dtype=float32, heap)")
r = sf.zeros(3, [("x", "f4"), ("n", "i2")])
r["n"] = [1, 2, 3]
assert r["n"].sum() == 6
totals = []
threads = [threading.Thread(target=lambda: totals.append(big.sum())) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert totals == [1 << 20] * 3


# Pipelines: native stages, Python functions on threads of the run, errors, an end before the end.
pipe = sf.Pipeline(sf.read(m, rows=30))
assert pipe.map(sf.multiply, 2).reduce(sf.sum, threads=3) == 999000
firsts = pipe.map(lambda chunk: float(chunk[0])).collect(threads=3)
assert firsts == [float(n) for n in range(0, 1000, 30)]
assert sf.Pipeline(map(str, range(50))).map(int).map(sf.add, 1).reduce(sf.max, threads=2) == 50
try:
    pipe.map(lambda chunk: chunk[99]).collect(threads=2)
except IndexError as error:
    assert "item 0" in error.__notes__[0]
else:
    raise AssertionError("the error of a stage is lost")
with pipe.map(lambda chunk: chunk).run(threads=3) as run:
    assert next(run)[1] == 1
try:
    next(run)
except sf.PipelineError as error:
    assert "cancelled" in str(error)
else:
    raise AssertionError("the run goes on")


class Node:
    pass


node = Node()
node.owner = bytearray(10)
node.array = sf.asarray(node.owner)
node.me = node
del node
gc.collect()

assert "numpy" not in sys.modules
