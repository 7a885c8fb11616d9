"""Creation: what is wrapped, what is copied, what is refused."""

import contextlib
import ctypes
import sys

import pytest

import spanflow as sf
from tests.bindings import harness

# copy=None copies only if needed, False never, True always.


def test_no_copy_of_an_exporter():
    owner = bytearray(b"\1\2\3\4")
    for copy in (None, False):
        array = sf.asarray(owner, copy=copy)
        assert array.address == harness.address_of(owner)
        assert (array.storage, array.dtype, array.tolist()) == ("foreign", "u1", [1, 2, 3, 4])
    copied = sf.asarray(owner, copy=True)
    assert copied.storage == "heap"
    assert copied.address != harness.address_of(owner)
    copied[0] = 9
    assert owner[0] == 1


def test_an_array_is_itself():
    array = sf.zeros((2, 3))
    assert sf.asarray(array) is array
    assert sf.asarray(array, "f8", copy=False) is array
    assert sf.asarray(array, copy=True) is not array
    assert sf.array(array) is not array
    assert sf.array(array).address != array.address
    assert sf.array(array, copy=False) is array
    assert sf.array(array, copy=None) is array


def test_another_dtype_needs_a_copy():
    array = sf.arange(3, dtype="i4")
    cast = sf.asarray(array, "f8")
    assert (cast.dtype, cast.tolist(), cast.storage) == ("f8", [0.0, 1.0, 2.0], "heap")
    with pytest.raises(ValueError, match="int32.*float64"):
        sf.asarray(array, "f8", copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        sf.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        sf.asarray(1.5, copy=False)
    with pytest.raises(ValueError, match=">i4|int32"):
        sf.asarray(array, ">i4", copy=False)


def test_array_copies_unless_told():
    owner = bytearray(4)
    assert sf.array(owner).storage == "heap"
    assert sf.array(owner, copy=False).storage == "foreign"
    assert sf.array(owner, "u1", copy=None).storage == "foreign"


def test_copies_keep_fortran_order():
    array = sf.empty((3, 4), "i4", order="F")
    assert array.f_contiguous and not array.c_contiguous
    for copied in (sf.array(array), sf.asarray(array, "f8"), array.astype("f4")):
        assert copied.f_contiguous and not copied.c_contiguous
    assert array.copy().c_contiguous
    assert array.copy(order="F").f_contiguous


def test_the_type_constructs():
    owner = bytearray(4)
    assert isinstance(sf.Array(owner), sf.Array)
    assert sf.Array(owner).address == harness.address_of(owner)
    assert sf.Array([1, 2], "f4").dtype == "f4"
    with pytest.raises(ValueError, match="copy=False"):
        sf.Array([1], copy=False)
    with pytest.raises(TypeError):
        sf.Array()


def test_heap_memory_is_aligned():
    for shape in (0, 1, 3, (5, 7), 1000, 1 << 18):
        for dtype in ("u1", "f4", "c16"):
            for array in (sf.empty(shape, dtype), sf.zeros(shape, dtype), sf.ones(shape, dtype)):
                assert array.address % 64 == 0
                assert array.storage == "heap"
                assert not array.readonly


# Values from Python objects.

NESTED = [
    ([], "float64"),
    ([[], []], "float64"),
    ([True, False], "bool"),
    ([1, 2, 3], "int64"),
    ([1, True], "int64"),
    ([1, 2.5], "float64"),
    ([1, 2j], "complex128"),
    ([[1, 2], [3, 4]], "int64"),
    ([[[1.0]], [[2.0]]], "float64"),
    ((1, (2)), "int64"),
    (5, "int64"),
    (2.5, "float64"),
    (True, "bool"),
    (1j, "complex128"),
    (range(5), "int64"),
    ([range(3), range(3)], "int64"),
    ([2**63 - 1], "int64"),
    ([-(2**63)], "int64"),
    ([2**63], "uint64"),
    ([2**64 - 1, 2**63], "uint64"),
    ([2**64 - 1, 0], "float64"),
    ([b"a", b"bcd"], "S3"),
]


@pytest.mark.parametrize(("value", "dtype"), NESTED, ids=str)
def test_nested_sequences(value, dtype):
    np = pytest.importorskip("numpy")
    array = sf.asarray(value)
    theirs = np.asarray(value)
    assert array.dtype == dtype
    assert array.shape == theirs.shape
    assert array.tolist() == theirs.tolist()
    assert array.storage == "heap"


def test_a_given_dtype_decides():
    assert sf.array([1, 2, 3], "u1").tolist() == [1, 2, 3]
    assert sf.array([1.9, -1.9], "i4").tolist() == [1, -1]
    assert sf.array([0, 2, -1], "?").tolist() == [False, True, True]
    assert sf.array([1, 2], ">f4").tobytes() == b"\x3f\x80\0\0\x40\0\0\0"
    assert sf.array([b"abcdef", b"x"], "S3").tolist() == [b"abc", b"x"]
    records = sf.array([(1, 2.5), (3, 4.5)], [("n", "i2"), ("x", "f4")])
    assert records.shape == (2,) and records.tolist() == [(1, 2.5), (3, 4.5)]
    nested = sf.array([[(1, (2, 3))]], [("n", "i2"), ("v", "u1", (2,))])
    assert nested.shape == (1, 1) and nested.tolist() == [[(1, [2, 3])]]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [([256], "u1"), ([-1], "u1"), ([128], "i1"), ([2**63], "i8"), ([2**64], "u8"), ([-1], "u8")],
)
def test_integers_that_do_not_fit(value, dtype):
    with pytest.raises(OverflowError, match=str(value[0])):
        sf.array(value, dtype)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_floats_that_are_no_integers(value):
    with pytest.raises((ValueError, OverflowError)):
        sf.array([value], "i4")


def test_sequences_of_arrays():
    np = pytest.importorskip("numpy")
    rows = [sf.arange(3), np.arange(3, 6), [6, 7, 8]]
    assert sf.array(rows).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert sf.array([np.float32(1.5), np.float32(2)]).dtype == "float32"
    assert sf.array([np.int8(1), np.int16(2)]).dtype == "int16"
    assert sf.array([sf.float32.itemsize, np.float64(2)]).dtype == "float64"
    assert sf.array([np.bool_(True)]).dtype == "bool"
    assert sf.array([sf.zeros((2, 2)), sf.ones((2, 2))]).shape == (2, 2, 2)


RAGGED = [
    [[1, 2], [3]],
    [[1], 2],
    [1, [2]],
    [[1, 2], [3, [4]]],
    [[[1]], [[2], [3]]],
    [[], [1]],
    [[1, 2], []],
]


@pytest.mark.parametrize("value", RAGGED, ids=str)
@pytest.mark.parametrize("dtype", [None, "f4"])
def test_ragged_lists(value, dtype):
    with pytest.raises(ValueError, match="ragged"):
        sf.array(value, dtype)


def test_ragged_arrays():
    with pytest.raises(ValueError, match="ragged"):
        sf.array([sf.zeros(2), sf.zeros(3)])
    with pytest.raises(ValueError, match="ragged"):
        sf.array([sf.zeros((2, 2)), [1, 2]])


NO_ARRAYS = [
    None,
    object(),
    "text",
    ["text"],
    [None],
    {1: 2},
    {1, 2},
    [{}],
    [1, "2"],
    [b"a", 1],
    iter([1, 2]),
    (x for x in range(3)),
    lambda: 1,
    int,
    sys,
]


@pytest.mark.parametrize("value", NO_ARRAYS, ids=lambda v: type(v).__name__ + str(v)[:10])
def test_objects_that_are_no_arrays(value):
    with pytest.raises(TypeError):
        sf.asarray(value)
    with pytest.raises((TypeError, ValueError)):
        sf.asarray(value, copy=False)


def test_a_list_that_contains_itself():
    loop = []
    loop.append(loop)
    with pytest.raises((ValueError, RecursionError)):
        sf.array(loop)


def test_deep_lists():
    deep = 1
    for _ in range(64):
        deep = [deep]
    assert sf.array(deep).ndim == 64
    with pytest.raises(ValueError, match="64"):
        sf.array([deep])


def test_a_list_that_changes_while_it_is_read():
    class Shrinks(list):
        def __getitem__(self, index):
            self.clear()
            return 1

        def __iter__(self):
            rest = list.copy(self)
            self.clear()
            return iter(rest)

    rows = [Shrinks([1, 2]), Shrinks([3, 4])]
    try:
        array = sf.array(rows)
    except (ValueError, TypeError):
        return
    assert array.shape[0] == 2

    class Index:
        """A number that changes the list that it stands in."""

        def __init__(self, owner):
            self.owner = owner

        def __index__(self):
            self.owner.clear()
            return 7

        def __float__(self):
            return 7.0

    owner = [1, 2, 3]
    owner[1] = Index(owner)
    with contextlib.suppress(TypeError, ValueError):
        assert sf.array(owner, "i4").tolist() == [1, 7, 3]


# empty, zeros, ones, full, arange.


@pytest.mark.parametrize("dtype", ["?", "u1", ">i4", "f2", "bfloat16", "f8", "c8", "S3"])
def test_zeros_ones_full(dtype):
    assert sf.zeros((2, 3), dtype).tobytes() == bytes(6 * sf.dtype(dtype).itemsize)
    assert sf.empty((2, 3), dtype).dtype == dtype
    if dtype != "S3":
        assert sf.ones((2, 3), dtype).tolist() == [[1, 1, 1], [1, 1, 1]]
        assert sf.full((2,), 1, dtype).tolist() == [1, 1]
    else:
        assert sf.full((2,), b"xy", dtype).tolist() == [b"xy", b"xy"]


def test_shapes():
    assert sf.zeros(3).shape == (3,)
    assert sf.zeros(()).shape == () and sf.zeros(()).size == 1
    assert sf.zeros([2, 3]).shape == (2, 3)
    assert sf.zeros((0, 5)).size == 0
    np = pytest.importorskip("numpy")
    assert sf.zeros(np.int64(3)).shape == (3,)
    assert sf.zeros((np.int8(2), 3)).shape == (2, 3)


def test_default_dtype_and_full():
    for make in (sf.empty, sf.zeros, sf.ones):
        assert make(2).dtype == "float64"
    assert sf.full(2, 7).dtype == "int64"
    assert sf.full(2, 7.5).tolist() == [7.5, 7.5]
    assert sf.full(2, True).dtype == "bool"
    assert sf.full((2, 2), [1, 2]).tolist() == [[1, 2], [1, 2]]
    assert sf.full((2, 2), sf.array([[1], [2]])).tolist() == [[1, 1], [2, 2]]
    with pytest.raises(ValueError, match="broadcast|shape"):
        sf.full((2, 2), [1, 2, 3])
    with pytest.raises(OverflowError):
        sf.full(2, 300, "u1")


ARANGE = [
    (5,),
    (0,),
    (-3,),
    (2, 7),
    (7, 2),
    (0, 10, 3),
    (10, 0, -3),
    (0, 1, 0.1),
    (1.0, 2.0, 0.25),
    (5.5,),
    (0.0, -1.0, -0.3),
    (2**62, 2**62 + 3),
]


@pytest.mark.parametrize("args", ARANGE, ids=str)
def test_arange(args):
    np = pytest.importorskip("numpy")
    ours, theirs = sf.arange(*args), np.arange(*args)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-15)


def test_arange_dtype_and_errors():
    assert sf.arange(4, dtype="u1").tolist() == [0, 1, 2, 3]
    assert sf.arange(3, dtype=">f4").dtype == ">f4"
    assert sf.arange(start=1, stop=3).tolist() == [1, 2]
    with pytest.raises(ValueError):
        sf.arange(0, 5, 0)
    with pytest.raises(ValueError):
        sf.arange(0.0, 5.0, 0.0)
    with pytest.raises((ValueError, MemoryError, OverflowError)):
        sf.arange(0, 1e30)
    with pytest.raises((ValueError, MemoryError, OverflowError)):
        sf.arange(2**63)
    with pytest.raises((ValueError, MemoryError)):
        sf.arange(0, float("inf"))
    with pytest.raises((ValueError, MemoryError)):
        sf.arange(float("nan"))
    with pytest.raises(TypeError):
        sf.arange("5")


# frombuffer.


def test_frombuffer():
    owner = bytearray(range(16))
    array = sf.frombuffer(owner, "<u2", count=3, offset=2)
    assert array.tolist() == [0x0302, 0x0504, 0x0706]
    assert array.address == harness.address_of(owner) + 2
    array[0] = 0
    assert owner[2:4] == b"\0\0"
    assert sf.frombuffer(owner, "u1").shape == (16,)
    assert sf.frombuffer(owner, ">u4", offset=4).shape == (3,)
    assert sf.frombuffer(owner, "u2", 0).shape == (0,)
    assert sf.frombuffer(owner, "u2", -1, 1 + 1).shape == (7,)
    assert sf.frombuffer(b"", "u1").shape == (0,)
    assert sf.frombuffer(owner, "u2", offset=1, count=2).tolist() == [
        int.from_bytes(owner[1:3], "little"),
        int.from_bytes(owner[3:5], "little"),
    ]
    assert sf.frombuffer(memoryview(owner).cast("I", (2, 2)), "u1").shape == (16,)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((b"123", "u2"), "multiple"),
        ((b"1234", "u2", 3), "count"),
        ((b"1234", "u2", -1, 5), "offset"),
        ((b"1234", "u2", -1, -1), "offset"),
        ((b"1234", "u2", -1, 3), "multiple"),
        ((memoryview(b"1234")[::2], "u1"), "contiguous"),
        ((b"1234", "S0"), "itemsize"),
    ],
)
def test_frombuffer_errors(args, word):
    with pytest.raises(ValueError, match=word):
        sf.frombuffer(*args)


def test_frombuffer_needs_a_buffer():
    with pytest.raises(TypeError, match="list"):
        sf.frombuffer([1, 2], "u1")
    with pytest.raises((ValueError, TypeError)):
        sf.frombuffer(b"1234", "u1", 1 << 70)


# The array interface, from objects that lie.


class Interface:
    def __init__(self, **changes):
        self.memory = ctypes.create_string_buffer(64)
        interface = {
            "version": 3,
            "shape": (4,),
            "typestr": "<i4",
            "data": (ctypes.addressof(self.memory), False),
        }
        interface.update(changes)
        self.__array_interface__ = {k: v for k, v in interface.items() if v is not ...}


def test_a_sound_interface():
    array = sf.asarray(Interface())
    assert (array.shape, array.dtype, array.readonly) == ((4,), "i4", False)
    assert sf.asarray(Interface(strides=(8,), shape=(2,))).strides == (8,)
    assert sf.asarray(Interface(data=(64, True), shape=(0,))).readonly


LYING = [
    ({"shape": ...}, TypeError),
    ({"typestr": ...}, TypeError),
    ({"data": ...}, TypeError),
    ({"data": None}, TypeError),
    ({"data": (0, False)}, ValueError),
    ({"data": (1,)}, TypeError),
    ({"data": b"1234"}, TypeError),
    ({"data": ("x", False)}, TypeError),
    ({"shape": (-1,)}, ValueError),
    ({"shape": (2**62, 4)}, ValueError),
    ({"shape": 4}, TypeError),
    ({"shape": (1.5,)}, TypeError),
    ({"strides": (4, 4)}, ValueError),
    ({"strides": (2**62,)}, ValueError),
    ({"typestr": "<f16"}, TypeError),
    ({"typestr": "|O"}, TypeError),
    ({"typestr": 3}, TypeError),
    ({"typestr": ""}, TypeError),
]


@pytest.mark.parametrize(("change", "error"), LYING, ids=str)
def test_lying_interfaces(change, error):
    with pytest.raises(error):
        sf.asarray(Interface(**change))


def test_interfaces_that_are_no_dicts():
    class Broken:
        __array_interface__ = 5

    with pytest.raises(TypeError, match="__array_interface__"):
        sf.asarray(Broken())

    class Raises:
        @property
        def __array_interface__(self):
            raise LookupError("not today")

    with pytest.raises(LookupError, match="not today"):
        sf.asarray(Raises())


def test_interface_keeps_its_owner():
    owner = Interface()
    before = sys.getrefcount(owner)
    array = sf.asarray(owner)[1:]
    assert sys.getrefcount(owner) == before + 1
    array.close()
    assert sys.getrefcount(owner) == before


# Signatures.


@pytest.mark.parametrize(
    "call",
    [
        lambda: sf.asarray(),
        lambda: sf.asarray([1], "f4", False),
        lambda: sf.asarray([1], unknown=1),
        lambda: sf.asarray([1], obj=[2]),
        lambda: sf.zeros(),
        lambda: sf.zeros(2, "f4", "C", 1, 2),
        lambda: sf.zeros(shape=2, nope=1),
        lambda: sf.full(2),
        lambda: sf.arange(),
        lambda: sf.frombuffer(),
        lambda: sf.open(),
        lambda: sf.save("x"),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(TypeError):
        call()


def test_order_is_checked():
    for order in ("X", "c", 3):
        with pytest.raises((ValueError, TypeError), match="order"):
            sf.zeros((2, 2), order=order)
    assert sf.zeros((2, 3), "i2", "F").strides == (2, 4)
