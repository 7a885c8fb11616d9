"""Eight threads and one array. Meaningful on every build, and most of all on free-threaded ones.

Each thread makes its own memoryviews from the array: sharing one memoryview, bytearray or
array.array among threads races inside CPython itself (up to 3.15).
"""

import ctypes
import gc
import sys
import sysconfig
import threading
import time
import weakref

import pytest

import spanflow as sf
from tests.crash.process import check
from tests.stress.crew import THREADS, Crew


def test_eight_threads_share_an_array():
    array = sf.arange(100_000, dtype="f8")
    total, view = array.sum(), array.reshape(100, 1000)

    def work(number):
        assert array.sum() == total
        assert view[number].sum() == sum(range(1000 * number, 1000 * (number + 1)))
        assert array[number::1000].shape == (100,)
        assert (view[number] * 2 - view[number])[5] == 1000 * number + 5
        assert view.T[number, 3] == 3000 + number
        assert array[[number, -1 - number]].tolist() == [number, 99_999 - number]
        assert memoryview(view)[number, 7] == 1000 * number + 7
        assert array.dtype == "f8" and array.shape == (100_000,) and array.format == "d"
        assert "..." in repr(array)

    rounds = Crew().run(work)
    assert min(rounds) > 0
    array.close()


def test_disjoint_writes():
    array = sf.zeros((THREADS, 5000), "i8")

    def work(number):
        row = array[number]
        row += 1
        assert row.min() == row.max()
        row[:] = row[::-1]
        sf.add(row, 0, out=array[number])

    rounds = Crew().run(work)
    assert [array[n].max() for n in range(THREADS)] == rounds


@pytest.mark.parametrize("kind", ["heap", "mapped", "interface"])
def test_buffers_against_close(kind, tmp_path):
    """Buffers are taken and given back by eight threads while another one tries to close."""
    for _ in range(6):
        if kind == "heap":
            array = sf.ones(1000, "u1")
        elif kind == "mapped":
            (tmp_path / "a.raw").write_bytes(b"\1" * 1000)
            array = sf.open(tmp_path / "a.raw", "r+", dtype="u1")
        else:
            array = sf.asarray(Provider())
        refused = []

        def work(number, array=array):
            try:
                with memoryview(array) as view:
                    assert view[0] == 1 and len(view) == 1000
                    inner = view[10:20]
                    assert inner.tolist() == [1] * 10
                    inner.release()
                    again = sf.asarray(view)
                    assert again.sum() == 1000
                    again.close()
            except ValueError as error:
                assert "closed" in str(error)
                return False

        def meanwhile(array=array, refused=refused):
            try:
                array.close()
            except BufferError as error:
                assert "exported buffer" in str(error) or "running operation" in str(error)
                refused.append(error)
                return None
            return False

        Crew().run(work, meanwhile, seconds=0.2)
        array.close()  # nobody holds it any more: the count came back to zero
        assert array.closed


class Provider:
    """Bytes of a ctypes array by address; it has no counter that threads could race for."""

    def __init__(self):
        self.memory = (ctypes.c_ubyte * 1000)(*[1] * 1000)
        self.__array_interface__ = {
            "version": 3,
            "shape": (1000,),
            "typestr": "|u1",
            "data": (ctypes.addressof(self.memory), False),
        }


def test_everything_against_close():
    """Any access while another thread closes: a right answer or ValueError, nothing else."""
    uses = [
        lambda a: a.sum() == 1000,
        lambda a: a[5] == 1,
        lambda a: a[1:3].tolist() == [1, 1],
        lambda a: a.shape == (1000,),
        lambda a: (a + 1).max() == 2,
        lambda a: a.tobytes() == b"\1" * 1000,
        lambda a: len(list(a[:10])) == 10,
        lambda a: a.copy().sum() == 1000,
        lambda a: a[a > 0].size == 1000,
        lambda a: a[[1, 2]].sum() == 2,
        lambda a: len(repr(a)) > 10,
        lambda a: bytes(memoryview(a))[:1] == b"\1",
        lambda a: a.astype("f4").sum() == 1000,
        lambda a: a.reshape(10, 100).T.shape == (100, 10),
    ]
    for round_ in range(15):
        array = sf.ones(1000, "u1")

        def work(number, array=array, round_=round_):
            for use in uses[(number + round_) % len(uses) :]:
                try:
                    assert use(array)
                except ValueError as error:
                    assert "closed" in str(error), error
                    return False

        def meanwhile(array=array):
            try:
                array.close()
            except BufferError:
                return None
            return False

        Crew().run(work, meanwhile, seconds=0.1)
        array.close()


def test_large_operations_against_close():
    array = sf.ones(3_000_000, "f4")
    said = []

    def work(number):
        try:
            assert array.sum() == 3_000_000
        except ValueError:
            return False

    def meanwhile():
        time.sleep(0.002)
        try:
            array.close()
        except BufferError as error:
            said.append(str(error))
            return None
        return False

    Crew().run(work, meanwhile)
    array.close()
    assert all("operation" in text for text in said)


def test_a_foreign_owner_is_released_once():
    """Views come and go in all threads; the owner goes with the last of them, exactly once."""
    for _ in range(5):
        owner = Provider()
        gone = weakref.ref(owner)
        array = sf.asarray(owner)
        del owner
        holders = [array[n:] for n in range(THREADS)]
        del array
        start = threading.Barrier(THREADS)

        def work(number, holders=holders, start=start):
            view = holders[number]
            start.wait()
            for _ in range(50):
                view = view[:]
            holders[number] = None
            del view

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
        assert gone() is None


def test_wrapping_from_all_threads():
    def work(number):
        owner = bytearray(b"abc" * number + b"d")
        array = sf.asarray(owner)
        with pytest.raises(BufferError):
            owner.append(1)
        assert array.tobytes() == bytes(owner)
        array.close()
        owner.append(1)
        with pytest.raises(ValueError, match="ragged"):
            sf.array([[1], [1, 2]])
        assert sf.array([number, 2.5]).tolist() == [number, 2.5]

    Crew().run(work)


def test_memory_comes_back():
    gc.collect()
    before = sf.memory_stats()["live_blocks"]

    def work(number):
        arrays = [sf.empty(1 << k, "u1") for k in range(0, 22, 3)]
        assert all(a.address % 64 == 0 for a in arrays)
        arrays[number % 5].close()
        keep.append(arrays[-1])  # freed by another thread
        if len(keep) > 20:
            keep.clear()

    keep = []
    Crew().run(work)
    keep.clear()
    gc.collect()
    assert sf.memory_stats()["live_blocks"] == before
    sf.trim_memory()


def test_settings_change_while_others_compute():
    before, target = sf.get_num_threads(), sf.simd.target()
    values = sf.arange(400_000, dtype="f4")
    expected = values.sum()
    counts = iter(range(10**9))

    def meanwhile():
        sf.set_num_threads(1 + next(counts) % 5)
        with sf.simd.use(sf.simd.targets()[next(counts) % len(sf.simd.targets())]):
            time.sleep(0.001)

    def work(number):
        assert values.max() == 399_999
        assert abs(values.sum() - expected) <= 1e-5 * expected

    try:
        Crew().run(work, meanwhile)
    finally:
        sf.set_num_threads(before)
    assert sf.simd.target() == target


def test_one_file_in_all_threads(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(10_000))

    def work(number):
        with sf.open(path) as array:
            assert array[number] == number and array.sum() == 49_995_000
        own = tmp_path / f"{number}.npy"
        sf.save(own, sf.full(100, number))
        with sf.open(own, "r+") as array:
            array += 1
        assert sf.open(own).tolist() == [number + 1] * 100

    Crew().run(work)


def test_dtypes_from_all_threads():
    spec = [("x", "f4"), ("n", ">i2", (3,)), ("in", [("a", "S3")])]

    def work(number):
        dtype = sf.dtype(spec)
        assert dtype == spec and hash(dtype) == hash(sf.dtype(spec))
        array = sf.zeros(3, dtype)
        assert array["in"]["a"].tolist() == [b""] * 3
        assert sf.dtype("f4") is sf.float32 or sf.dtype("f4") == sf.float32
        assert sf.float64.name == "float64" and sf.float64.format == "d"

    Crew().run(work)


def test_iterators_and_errors_from_all_threads():
    array = sf.arange(50)
    shared = iter(array)
    seen = []

    def work(number):
        assert list(array) == list(range(50))
        seen.extend(value for value, _ in zip(shared, range(3), strict=False))
        for bad in (lambda: array[100], lambda: array + sf.zeros(3), lambda: sf.open("/no/file")):
            with pytest.raises((IndexError, ValueError, OSError)):
                bad()

    Crew().run(work)
    assert set(seen) <= set(range(50))  # one iterator in many threads: no element twice is promised


def test_the_gil_stays_off():
    """On a free-threaded build nothing that we do may turn the GIL on."""
    if not hasattr(sys, "_is_gil_enabled"):
        pytest.skip("this Python always has a GIL")
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this Python always has a GIL")
    check(
        """
    import sys, warnings
    warnings.simplefilter("error")
    import spanflow as sf
    assert sys._is_gil_enabled() is False
    a = sf.ones(1 << 20)
    (a + a).sum(), repr(a), memoryview(a), sf.asarray(bytearray(5))
    assert sys._is_gil_enabled() is False
    """,
        env={"PYTHON_GIL": ""},
    )


@pytest.mark.parametrize("kind", ["select", "assign", "beside an index"])
def test_a_mask_that_changes_while_it_is_used(kind):
    """What was counted first is the limit, whatever the mask says later."""
    n = 1 << 20
    numbers, mask = sf.full(n, 7.0), sf.zeros(n, "?")
    table = numbers.reshape(n, 1)
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            mask[...] = False
            mask[...] = True

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            if kind == "select":
                assert numbers[mask].size <= n
            elif kind == "assign":
                numbers[mask] = 7.0
            else:
                assert table[mask, 0].size <= n
    finally:
        stop.set()
        thread.join()
    assert numbers.min() == 7.0
