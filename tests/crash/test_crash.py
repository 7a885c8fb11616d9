"""Ends of processes and hostile surroundings; each case is a process whose exit code is known."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.crash.process import check, run

# Exit with everything still alive.

EXITS = {
    "arrays": "a = sf.ones(1 << 20); b = a[::2]; c = a * 2",
    "exports": "a = sf.ones(100); m = memoryview(a); n = memoryview(a)[5:]",
    "raw export": """
import ctypes
a = sf.ones(100)
view = (ctypes.c_char * 128)()
ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(a), view, 0)
""",
    "foreign": "owner = bytearray(100); a = sf.asarray(owner); b = a[1:]",
    "foreign cycle": """
class Owner(bytearray): pass
owner = Owner(100)
owner.array = sf.asarray(owner)
owner.view = memoryview(owner.array)
""",
    "mapping": "sf.save(path, sf.ones(1000)); a = sf.open(path, 'r+'); m = memoryview(a); a[0] = 5",
    "iterator": "it = iter(sf.ones(10)); next(it)",
    "exception": "a = sf.ones(10); a[100]",
    "in a finalizer": """
class Last:
    def __init__(self): self.a = sf.ones(1000)
    def __del__(self): self.a.sum(); (self.a + 1).tolist(); memoryview(self.a)
last = Last()
sys.modules["keep"] = last
""",
    "atexit": "import atexit; a = sf.ones(1 << 20); atexit.register(lambda: a.sum())",
    "module gone": "a = sf.ones(10); del sys.modules['spanflow'], sys.modules['spanflow._core']",
    "modules cleared": "a = sf.ones(10); m = memoryview(a); sys.modules.clear()",
    "threads done": """
import threading
a = sf.ones(1 << 20)
threads = [threading.Thread(target=a.sum) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
""",
    "threads running": """
import threading
a = sf.ones(1 << 20)
def work():
    for _ in range(50): (a + 1).sum()
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
""",
    "daemon threads": """
import threading, time
a = sf.ones(1 << 22)
def work():
    while True: sf.add(a, 1, out=a)
for _ in range(4): threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
    "daemon threads call back": """
import threading, time
class Slow:
    owner = sf.ones(100)
    @property
    def __array_interface__(self):
        time.sleep(0.005)
        return self.owner.__array_interface__
def work():
    while True: sf.asarray(Slow()).sum()
for _ in range(4): threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
""",
    "os._exit": "a = sf.ones(1 << 20); a.sum(); m = memoryview(a); import os; os._exit(0)",
    "gc off": "import gc; gc.disable(); a = sf.asarray(bytearray(9)); a2 = [a]; a2.append(a2)",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit(name, tmp_path):
    expected = 1 if name == "exception" else 0
    script = f"import sys\nimport spanflow as sf\npath = sys.argv[1]\n{EXITS[name]}\n"
    done = check(script, tmp_path / "a.npy", code=expected)
    if name == "exception":
        assert "IndexError" in done.stderr
    else:
        assert done.stderr == ""


@pytest.mark.parametrize("name", ["daemon threads", "threads running", "modules cleared"])
def test_exit_again_and_again(name, tmp_path):
    for _ in range(3):
        test_exit(name, tmp_path)


# fork.

FORK = """
    import os, sys, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    import spanflow as sf

    sf.set_num_threads(4)
    path = sys.argv[1]
    a = sf.ones(1 << 21, "f4")
    assert a.sum() == 1 << 21  # threads are there
    sf.save(path, a)
    mapped = sf.open(path)
    view = memoryview(a)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert a.sum() == 1 << 21
            assert (a + a).max() == 2
            assert mapped.sum() == 1 << 21
            assert sf.get_num_threads() == 4
            b = sf.zeros(1 << 21)
            sf.add(a, 1, out=b)
            try:
                a.close()
            except BufferError:
                code = 0
            view.release()
            a.close()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert a.sum() == 1 << 21  # and here all goes on
    view.release()
    a.close()
    sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_fork_and_use_in_the_child(tmp_path):
    check(FORK, tmp_path / "a.npy")


def test_fork_while_other_threads_compute(tmp_path):
    check(
        """
    import os, sys, threading, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    import spanflow as sf
    sf.set_num_threads(3)
    a = sf.ones(1 << 20, "f4")
    stop = False
    def work():
        while not stop:
            sf.add(a, 0, out=a)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads: t.start()
    codes = []
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            ok = sf.ones(1 << 20).sum() == 1 << 20 and (a * 2).shape == (1 << 20,)
            os._exit(0 if ok else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop = True
    for t in threads: t.join()
    sys.exit(0 if codes == [0] * 20 else str(codes))
    """
    )


def test_fork_before_any_thread(tmp_path):
    check(
        """
    import os, sys
    import spanflow as sf
    pid = os.fork()
    a = sf.ones(1 << 21, "f4")
    ok = a.sum() == 1 << 21 and (a + 1).max() == 2
    if pid == 0:
        os._exit(0 if ok else 1)
    sys.exit(0 if ok and os.waitpid(pid, 0)[1] == 0 else 1)
    """,
        interpreter_options=("-W", "error"),  # no thread was started by the import
    )


def test_multiprocessing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "import spanflow as sf\n"
        "def work(a):\n"
        "    return a.sum(), a * 2\n"
        "if __name__ == '__main__':\n"
        "    for method in ('fork', 'spawn'):\n"
        "        context = multiprocessing.get_context(method)\n"
        "        a = sf.ones(1000)\n"
        "        with context.Pool(2) as pool:\n"
        "            for total, double in pool.map(work, [a, a[:10]]):\n"
        "                assert total * 2 == double.sum()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Other extensions in the same process.


@pytest.mark.parametrize("first", ["spanflow", "other"])
@pytest.mark.parametrize(
    "other", ["numpy", "numpy.random", "kiwisolver", "contourpy", "matplotlib.ft2font"]
)
def test_another_cpp_extension(other, first):
    """Allocators, exceptions and static data of two C++ extensions stay apart."""
    script = """
        import importlib, sys
        other, first = sys.argv[1:]
        for name in ["spanflow", other] if first == "spanflow" else [other, "spanflow"]:
            try:
                importlib.import_module(name)
            except ImportError:
                sys.exit(77 if name == other else 1)
        import spanflow as sf
        for _ in range(3):
            assert (sf.ones(1 << 18) + 1).sum() == 1 << 19
            for bad in (lambda: sf.ones(3)[5], lambda: sf.ones(2) + sf.ones(3), lambda: sf.dtype("no")):
                try:
                    bad()
                except (IndexError, ValueError, TypeError):
                    pass
        if other.startswith("numpy"):
            import numpy as np
            x = np.random.default_rng(0).random(1 << 16)
            assert sf.asarray(np.sort(x)).min() == x.min() == sf.min(x)
    """
    done = run(script, other, first)
    if done.returncode == 77:
        pytest.skip(f"{other} is not installed")
    assert done.returncode == 0, done.stderr


def test_only_our_symbols_and_no_numpy():
    check(
        """
    import sys
    import spanflow as sf
    sf.ones(10).sum(), repr(sf.ones(3)), sf.asarray(bytearray(4))
    loaded = [m for m in sys.modules if m.split(".")[0] in ("numpy", "rich", "matplotlib")]
    sys.exit(str(loaded) if loaded else 0)
    """
    )


# Importing twice.


def test_import_again():
    check(
        """
    import importlib, sys
    import spanflow as sf
    a = sf.ones(10)
    for name in [n for n in sys.modules if n.startswith("spanflow")]:
        del sys.modules[name]
    import spanflow as again
    assert again is not sf
    b = again.ones(10)
    assert (b + 1).sum() == 20 and (a + 1).sum() == 20
    assert again.asarray(memoryview(a)).address == a.address
    assert (again.asarray(a) + 1).sum() == 20  # the other copy's array is an exporter like any
    del sf, a
    import gc; gc.collect()
    assert (b * 2).sum() == 20
    """
    )


# Deep structures end in an exception, not in a stack overflow.

DEEP = {
    "nested dtype list": "spec = 'f4'\nfor _ in range(100_000): spec = [('x', spec)]\nsf.dtype(spec)",
    "nested dtype dict": (
        "spec = 'f4'\n"
        "for _ in range(100_000): spec = {'names': ['x'], 'formats': [spec]}\n"
        "sf.dtype(spec)"
    ),
    "nested list": "value = 1\nfor _ in range(100_000): value = [value]\nsf.array(value)",
    "list in itself": "value = []\nvalue.append(value)\nsf.array(value, 'f4')",
    "nested record value": (
        "dtype = sf.dtype([('x', [('y', 'f4')])])\nvalue = 1\n"
        "for _ in range(100_000): value = (value,)\nsf.array([value], dtype)"
    ),
    "nested npy header": (
        "data = b'[(\"x\", ' * 10_000\n"
        "open(path, 'wb').write(b'\\x93NUMPY\\x02\\x00' + len(data).to_bytes(4, 'little') + data)\n"
        "sf.open(path)"
    ),
    "nested buffer format": (
        "import ctypes\n"
        "kind = ctypes.c_int\n"
        "for i in range(200):\n"
        "    kind = type('S', (ctypes.Structure,), {'_fields_': [('x', kind)]})\n"
        "sf.asarray((kind * 2)())"
    ),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_structures(name, tmp_path):
    script = (
        "import sys\nimport spanflow as sf\npath = sys.argv[1]\n"
        "sys.setrecursionlimit(1000)\n"
        "try:\n"
        + "".join(f"    {line}\n" for line in DEEP[name].splitlines())
        + "except (ValueError, TypeError, RecursionError) as error:\n"
        "    import os\n"
        "    os._exit(7)  # freeing such lists is Python's own affair\n"
    )
    check(script, tmp_path / "a.npy", code=7)


# Memory that is not there.


def test_out_of_memory():
    check(
        """
    import resource, sys
    import spanflow as sf
    sf.set_num_threads(1)
    a = sf.ones(1000)
    with open("/proc/self/statm") as f:
        used = int(f.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20), hard))
    class Wide:
        memory = bytearray(8)
        __array_interface__ = {
            "version": 3, "shape": (1 << 32,), "strides": (0,), "typestr": "<f8",
            "data": (sf.asarray(memory).address, False),
        }
    wide = sf.asarray(Wide())
    tries = [
        lambda: sf.empty(1 << 34),
        lambda: sf.zeros((1 << 17, 1 << 17)),
        lambda: wide + 1,
        lambda: wide.copy(),
        lambda: wide.tobytes(),
        lambda: wide.astype("f4"),
        lambda: wide == 0,
        lambda: wide[::2] * 2,
        lambda: sf.full(1 << 34, 1),
        lambda: sf.arange(1 << 34),
    ]
    for make in tries:
        try:
            make()
        except MemoryError:
            continue
        sys.exit("no MemoryError")
    assert a.sum() == 1000 and sf.ones(1 << 20).sum() == 1 << 20
    sys.exit(7)
    """,
        code=7,
    )


# Ctrl-C.


def test_ctrl_c_between_operations():
    script = textwrap.dedent(
        """
        import signal
        import sys
        import spanflow as sf
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may ignore it
        a = sf.ones(1 << 20)
        print("ready", flush=True)
        try:
            while True:
                sf.add(a, 1, out=a)
        except KeyboardInterrupt:
            assert a.min() >= 1
            a.close()
            sys.exit(7)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 7
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
