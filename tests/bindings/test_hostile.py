"""Objects whose methods change what is being read, fail half-way, or lie about their truth."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")


def run(code):
    """Code that may crash, in a process of its own; fails with what it printed."""
    prologue = "import gc, sys\nimport numpy as np\nimport spanflow as sf\n"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", prologue + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONMALLOC": "debug"},  # what is freed is overwritten
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr[-3000:]}"
    return done.stdout


class Unsure:
    def __bool__(self):
        raise RuntimeError("unsure")


# Exporters that fail.


def test_an_exporter_that_fails_with_obj_set():
    dtype = np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [4, 0]})
    scalar = np.zeros(3, dtype)[0]  # refuses its buffer, and leaves obj set
    before = sys.getrefcount(scalar)
    target = sf.zeros(2, "i4")
    for _ in range(3):
        assert sf.asarray(scalar).dtype == dtype  # through its __array_interface__
        with pytest.raises(TypeError):
            target[0] = scalar
    gc.collect()
    assert sys.getrefcount(scalar) == before


def test_the_owner_of_a_bad_interface_is_let_go():
    class Owner:
        def __init__(self):
            self.__array_interface__ = {
                "version": 3,
                "typestr": "<f8",
                "shape": (10, 10),
                "strides": (2**62, 2**62),
                "data": (4096, True),
            }

    owner = Owner()
    gone = weakref.ref(owner)
    with pytest.raises(ValueError):
        sf.asarray(owner)
    del owner
    gc.collect()
    assert gone() is None


# Containers that change while they are read.


def test_an_interface_that_is_cleared_while_it_is_read():
    run("""
        interface = {}
        class Code:
            @property
            def str(self):
                interface.clear()
                gc.collect()
                return "<f4"
        class Shape:
            def __iter__(self):
                interface.clear()
                gc.collect()
                return iter([1])
        class Owner:
            @property
            def __array_interface__(self):
                return interface
        data = np.zeros(64, "f4")
        for i in range(20):
            for shape, descr in (((1,), [(f"field{i}", Code())]), (Shape(), None)):
                interface.update(version=3, typestr="|V4" if descr else "<f4", shape=shape,
                                 descr=descr, data=(data.ctypes.data, False))
                try:
                    sf.asarray(Owner())
                except TypeError:
                    pass
    """)


def test_a_dtype_dict_that_is_cleared_while_it_is_read():
    run("""
        class Names:
            def __len__(self):
                return 1
            def __iter__(self):
                spec.clear()
                gc.collect()
                return iter(["x"])
        for i in range(20):
            spec = {"names": Names(), "formats": ["f4"], "offsets": [i], "itemsize": i + 4}
            try:
                sf.dtype(spec)
            except TypeError:
                pass
    """)


def test_a_dtype_list_that_is_cleared_while_it_is_read():
    run("""
        class Code:
            @property
            def str(self):
                spec.clear()
                gc.collect()
                return "<f4"
        for i in range(20):
            spec = [(f"name{i}", Code()), (f"other{i}", "f4")]
            assert sf.dtype(spec).names == (f"name{i}", f"other{i}")
    """)


@pytest.mark.parametrize("names", ["['x']", "('x',)"])
def test_a_dtype_with_names_in_a_list(names):
    out = run(f"""
        class D:
            str = "|V4"
            itemsize = 4
            fields = {{"x": (sf.float32, 0)}}
            names = {names}
        print(sf.dtype(D()))
    """)
    assert out == "[('x', '<f4')]\n"


@pytest.mark.parametrize("names", [None, 5])
def test_a_dtype_without_names(names):
    out = run(f"""
        class D:
            str = "|V4"
            itemsize = 4
            fields = {{"x": (sf.float32, 0)}}
            names = {names}
        try:
            sf.dtype(D())
        except TypeError as error:
            print("TypeError")
    """)
    assert out == "TypeError\n"


def test_keywords_that_are_no_strings():
    out = run("""
        for make, key in ((sf.Array, object()), (sf.dtype, b"abcdefgh" * 10), (sf.dtype, 5)):
            try:
                make(**{key: 2})
            except TypeError as error:
                print(str(error)[:40].split("must")[1][:11])
    """)
    assert out.split() == ["be", "strings"] * 3


# Arguments whose truth or value raises: that exception, and no other.


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.astype("f4", copy=Unsure()),
        lambda a: a.sum(keepdims=Unsure()),
        lambda a: sf.sum(a, keepdims=Unsure(), ddof=Unsure()),
        lambda a: sf.asarray(a, copy=Unsure()),
        lambda a: sf.asarray(Interface((a.address, Unsure()))),
    ],
)
def test_truth_that_raises(call):
    with pytest.raises(RuntimeError, match="unsure"):
        call(sf.zeros(4, "f4"))


class Interface:
    def __init__(self, data):
        self.__array_interface__ = {"version": 3, "typestr": "<f4", "shape": (4,), "data": data}


def test_nothing_is_asked_after_an_error():
    asked = []

    class Number:
        def __float__(self):
            asked.append("float")
            return 0.0

        def __index__(self):
            asked.append("index")
            return 0

    with pytest.raises(RuntimeError, match="unsure"):
        sf.zeros(4).var(keepdims=Unsure(), ddof=Number())
    with pytest.raises(TypeError):
        sf.frombuffer(b"abcd", "u1", count="1", offset=Number())
    assert asked == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError])
def test_other_exceptions_pass_through(error):
    class Code:
        @property
        def str(self):
            raise error

    class Operand:
        @property
        def __array_interface__(self):
            raise error

    with pytest.raises(error):
        assert sf.float32 == Code()
    with pytest.raises(error):
        sf.asarray(Operand())


def test_a_record_whose_dtype_is_interrupted():
    class Record(np.ndarray):
        @property
        def dtype(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sf.asarray(np.zeros(3, [("a", "i4")]).view(Record))


# What only shows with many threads, or many interpreters.


def test_one_iterator_for_several_threads():
    for _ in range(50):
        iterator = iter(sf.arange(400).reshape(200, 2))
        seen = [[] for _ in range(4)]

        def work(mine, shared=iterator):
            mine.extend(row[0] for row in shared)

        threads = [threading.Thread(target=work, args=(mine,)) for mine in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(x for mine in seen for x in mine) == list(range(0, 400, 2))
        assert list(iterator) == []


def test_the_collector_sees_a_module_that_was_dropped():
    # In a process without other threads: free-threaded 3.13 keeps types for ever once it has some.
    run("""
        import atexit, importlib.util, os, weakref
        os.register_at_fork = lambda **hooks: None
        kept = sys.modules["spanflow._core"]
        spec = importlib.util.find_spec("spanflow._core")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["spanflow._core"] = kept
        assert type(module.add) is not type(kept.add)
        module._close_hub()
        atexit.unregister(module._close_hub)
        types = [weakref.ref(t) for t in (module.dtype, module.Operation, module.Array)]
        module.__dict__.clear()
        del module, spec
        gc.collect()
        assert [t() for t in types] == [None] * 3
    """)


def test_an_index_whose_page_is_gone(tmp_path):
    path = tmp_path / "index.npy"
    np.save(path, np.int64(3))
    index = sf.open(path, "r")
    assert sf.arange(8)[index] == 3
    os.truncate(path, 0)
    with pytest.raises(OSError):
        sf.arange(8)[index]
