"""arange and frombuffer beside NumPy's, and long work that gives the interpreter lock up."""

import sys
import sysconfig
import threading
import time

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")


def same(ours, theirs):
    assert ours.dtype == theirs.dtype
    assert ours.tolist() == theirs.tolist()


# arange


@pytest.mark.parametrize(
    "args",
    [
        (5,), (np.int64(5),), (np.uint8(2), np.int16(9), np.int32(3)), (np.array(4),),
        (5.0,), (np.float64(2.5),), (np.array(2.5),), (np.float32(0.5), 3),
        (1e6, 1e6 + 1, 0.1), (-1, 1, 0.2), (0, 1, 0.1), (3, 1, 0.5), (1, 0, -0.1), (0, 0.0),
        (0, 1e-320, 1e10), (0, -1e-320, 1e10), (1, 0, float("inf")), (0, 1, float("inf")),
        (-(2**63), 2**63 - 1, 2**62), (2**63 - 1, -(2**63), -(2**62)),
    ],
    ids=str,
)  # fmt: skip
def test_arange_is_numpys(args):
    same(sf.arange(*args), np.arange(*args))


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
@pytest.mark.parametrize("args", [(0, 1, 0.1), (-1, 1, 0.2), (1e6, 1e6 + 1, 0.1), (7,)], ids=str)
def test_arange_of_a_dtype_is_numpys(args, dtype):
    same(sf.arange(*args, dtype=dtype), np.arange(*args, dtype=dtype))


def test_arange_beyond_int64():
    large = sf.arange(2**63 - 2, 2**63 + 10, 5)
    assert large.dtype == "u8"
    assert large.tolist() == [2**63 - 2, 2**63 + 3, 2**63 + 8]
    assert sf.arange(2**64 - 1, 2**63, -(2**62)).tolist() == [2**64 - 1, 2**64 - 1 - 2**62]
    for args in ((0, 2**65, 2**63), (-1, 2**64, 2**63), (2**70, 2**70 + 1)):
        with pytest.raises(OverflowError, match="out of bounds"):
            sf.arange(*args)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((0, float("inf")), ValueError),
        ((0, 1, float("nan")), ValueError),
        ((0.0, 1, 0), ValueError),
        ((0, 1, 0), ValueError),
        ((0, 1, 1e-320), ValueError),
        (("3",), TypeError),
    ],
)
def test_arange_refuses(args, error):
    with pytest.raises(error):
        sf.arange(*args)


# frombuffer


@pytest.mark.parametrize("dtype", ["U2", "M8[s]", "longdouble", "O", "f4"])
def test_frombuffer_takes_bytes_of_any_format(dtype):
    source = np.zeros(3, dtype)
    bytes_ = sf.frombuffer(source, "u1")
    assert bytes_.shape == (source.nbytes,)
    assert bytes_.address == source.ctypes.data
    assert not bytes_.readonly
    source.flags.writeable = False
    assert sf.frombuffer(source, "u1").readonly


def test_frombuffer_says_what_the_exporter_said():
    with pytest.raises(ValueError, match=r"C-contiguous.*asarray"):
        sf.frombuffer(np.zeros((3, 3))[:, 0])
    closed = sf.zeros(3)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        sf.frombuffer(closed)


# NumPy's scalars are elements, not their bytes.


def test_scalars_without_a_format():
    for value in (np.datetime64("2020"), np.timedelta64(1, "s")):
        for wrapped in (value, [value], [[value, value]]):
            with pytest.raises(TypeError, match="M8|m8"):
                sf.asarray(wrapped)
    text = sf.asarray(np.bytes_(b"ab"))
    assert (text.dtype, text.shape, text.item()) == ("S2", (), b"ab")
    assert sf.array([np.bytes_(b"ab"), b"c"]).tolist() == [b"ab", b"c"]
    assert sf.asarray(b"ab").tolist() == [97, 98]
    assert sf.asarray(np.uint8(3)).item() == 3


# Records whose format leaves things unsaid.

RECORDS = [
    np.dtype({"names": ["a"], "formats": ["i4"], "offsets": [0], "itemsize": 12}),
    np.dtype([("a", "f8"), ("b", "i1")], align=True),
    np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [4, 0]}),
]


@pytest.mark.parametrize("dtype", RECORDS, ids=str)
def test_the_exporter_knows_its_record(dtype):
    source = np.zeros(3, dtype)
    source["a"] = [1, 2, 3]
    assert sf.asarray(source).dtype == dtype
    assert sf.asarray(source)["a"].tolist() == [1, 2, 3]
    try:
        view = memoryview(source)
    except ValueError:  # NumPy has no format for fields out of order
        return
    assert sf.asarray(view).dtype == dtype
    target = sf.zeros(2, dtype)
    target[0] = source[1]
    assert target[0].item()[0] == 2


def test_a_record_with_a_padded_end_and_nobody_to_ask():
    class Buffer:
        def __init__(self):
            self.source = np.zeros(3, RECORDS[1])

        def __buffer__(self, flags):
            return memoryview(self.source)

    if sys.version_info < (3, 12):
        pytest.skip("no __buffer__ in Python")
    assert sf.asarray(Buffer()).dtype == RECORDS[1]


# Long work lets other threads run.

BIG = 1 << 20


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="there is no lock to give up"
)
@pytest.mark.parametrize(
    "work",
    [
        lambda x: sf.array(x),
        lambda x: sf.asarray(x, "f4"),
        lambda x: sf.full(BIG, 3.0),
        lambda x: sf.full(BIG, sf.zeros(())),
        lambda x: sf.ones(BIG),
        lambda x: sf.arange(BIG),
        lambda x: sf.arange(float(BIG)),
    ],
)
def test_long_work_gives_the_lock_up(work):
    x = sf.zeros(BIG)
    interval = sys.getswitchinterval()
    ran = threading.Event()
    sys.setswitchinterval(1000)  # so that nobody takes it
    try:
        thread = threading.Thread(target=lambda: (time.sleep(0.001), ran.set()))
        thread.start()
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:  # until the thread waits for the lock
            pass
        for _ in range(50):
            work(x)
            if ran.is_set():
                break
        assert ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()
