"""Random shapes, strides and offsets: reading, slicing and assigning, against plain lists."""

import ctypes
import itertools
import random
import struct

import pytest

import spanflow as sf
from tests.bindings import harness
from tests.bindings.harness import DTYPES, Strided, mismatches

ROUNDS = 30


def random_shape(rng, most=4, longest=6):
    ndim = rng.randrange(most + 1)
    low = rng.choice([0, 1, 2, 2, 2, 2])
    return tuple(rng.randint(low, longest) for _ in range(ndim))


def random_strided(rng, fmt, shape):
    """An array over a buffer of its own with any strides (zero and overlapping ones too)."""
    size = struct.calcsize(fmt)
    reach = 3
    strides = []
    for extent in reversed(shape):
        unit = rng.choice([-reach, -1, 1, reach, rng.randint(-reach, reach)])
        strides.append(unit * size + rng.choice([0, 0, 0, 1]))  # unaligned, now and then
        reach *= max(extent, 1)
    strides.reverse()
    low = sum(min(s * (n - 1), 0) for s, n in zip(strides, shape, strict=True) if n)
    high = sum(max(s * (n - 1), 0) for s, n in zip(strides, shape, strict=True) if n)
    raw = harness.raw_items("B", high - low + size, seed=rng.randrange(250))
    if fmt == "?":
        raw = bytes(b & 1 for b in raw)
    elif fmt[-1] in "efd":
        raw = bytes(b & 0x3B for b in raw)  # never an infinity or NaN, in any byte order
    owner = bytearray(raw)
    base = harness.address_of(owner)
    truth = harness.Truth(fmt, size, shape, tuple(strides), base - low, False, bytes(owner), base)
    code = sf.dtype(DTYPES[fmt]).str
    array = sf.asarray(Strided(owner, truth.address, code, shape, strides), copy=False)
    return array, truth, owner


@pytest.mark.parametrize("fmt", DTYPES)
def test_random_structures(fmt):
    rng = random.Random(f"structures {fmt}")
    for _ in range(ROUNDS):
        array, truth, _owner = random_strided(rng, fmt, random_shape(rng))
        assert array.shape == truth.shape
        assert array.strides == truth.strides
        assert array.c_contiguous is truth.c_contiguous
        assert array.f_contiguous is truth.f_contiguous
        assert array.tolist() == truth.tolist()
        assert array.tobytes() == truth.tobytes()
        assert array.tobytes("F") == truth.tobytes("F")
        copied = array.copy()
        assert copied.c_contiguous and copied.tobytes() == truth.tobytes()
        fortran = array.copy(order="F")
        assert fortran.f_contiguous and fortran.tolist() == truth.tolist()
        assert array.T.tobytes() == truth.tobytes("F")
        assert sf.asarray(memoryview(array)).tobytes() == truth.tobytes()


@pytest.mark.parametrize("fmt", ["B", "i", "d", ">h"])
def test_random_structures_answer_every_request(fmt):
    rng = random.Random(f"requests {fmt}")
    for _ in range(ROUNDS):
        array, truth, _owner = random_strided(rng, fmt, random_shape(rng))
        wrong = mismatches(array, truth)
        assert not wrong, f"{truth.shape} {truth.strides}: {wrong}"


def pick(nested, key):
    """nested[key] for a tuple of slices, on lists."""
    if not key:
        return nested
    return [pick(row, key[1:]) for row in nested[key[0]]]


def put(nested, key, values):
    """nested[key] = values for a tuple of slices, on lists."""
    rows = range(len(nested))[key[0]]
    for row, value in zip(rows, values, strict=True):
        if len(key) == 1:
            nested[row] = value
        else:
            put(nested[row], key[1:], value)


def random_slice(rng, extent, count=None):
    """Any slice, or one that takes exactly `count` of `extent` elements."""
    if count is None:
        ends = [None, *range(-extent - 2, extent + 3)]
        step = rng.choice([None, 1, 2, 3, -1, -2, -extent - 1])
        return slice(rng.choice(ends), rng.choice(ends), step)
    if count == 0:
        at = rng.randint(0, extent)
        return slice(at, at)
    step = rng.randint(1, max((extent - 1) // max(count - 1, 1), 1))
    start = rng.randint(0, extent - (count - 1) * step - 1)
    taken = range(start, start + count * step, step)
    if rng.random() < 0.5:
        return slice(start, taken[-1] + 1, step)
    stop = start - 1
    return slice(taken[-1], stop if stop >= 0 else None, -step)


def as_lists(value):
    return value.tolist() if isinstance(value, sf.Array) else value


@pytest.mark.parametrize("fmt", DTYPES)
def test_random_slices(fmt):
    rng = random.Random(f"slices {fmt}")
    for _ in range(ROUNDS):
        array, truth, _owner = random_strided(rng, fmt, random_shape(rng))
        key = tuple(random_slice(rng, n) for n in array.shape)
        cut = array[(*key, ...)]  # the ellipsis keeps a 0-d array an array
        expected = pick(truth.tolist(), key)
        assert cut.shape == tuple(len(range(n)[s]) for n, s in zip(array.shape, key, strict=True))
        assert cut.tolist() == expected
        assert cut.copy().tobytes() == cut.tobytes()
        if cut.size:
            first = tuple(range(n)[s][0] for n, s in zip(array.shape, key, strict=True))
            steps = [range(n)[s].step for n, s in zip(array.shape, key, strict=True)]
            assert cut.address == truth.base + truth.offset(first)
            for axis, extent in enumerate(cut.shape):
                if extent > 1:
                    assert cut.strides[axis] == truth.strides[axis] * steps[axis]


@pytest.mark.parametrize("fmt", DTYPES)
def test_random_slice_assignment(fmt):
    rng = random.Random(f"assignment {fmt}")
    for _ in range(ROUNDS):
        shape = tuple(rng.randint(1, 6) for _ in range(rng.randint(1, 4)))
        counts = tuple(rng.randint(0, n) for n in shape)
        other = tuple(rng.randint(n, 6) for n in counts)
        # Elements that share bytes have no defined result: the target is an ordinary array.
        target = sf.asarray(random_strided(rng, fmt, shape)[0]).copy()
        if rng.random() < 0.5:
            target = target.T.copy().T
        source, truth, _owner = random_strided(rng, fmt, other)
        left = tuple(random_slice(rng, n, c) for n, c in zip(shape, counts, strict=True))
        right = tuple(random_slice(rng, n, c) for n, c in zip(other, counts, strict=True))
        expected = target.tolist()
        put(expected, left, pick(truth.tolist(), right))
        target[left] = source[right]
        assert target.tolist() == expected
        assert source.tolist() == truth.tolist()


@pytest.mark.parametrize("fmt", ["B", "h", "d", ">i"])
def test_random_assignment_within_one_array(fmt):
    """Target and source overlap; the result is as if the source had been copied first."""
    rng = random.Random(f"overlap {fmt}")
    for _ in range(ROUNDS):
        shape = tuple(rng.randint(1, 7) for _ in range(rng.randint(1, 3)))
        count = tuple(rng.randint(1, n) for n in shape)
        array = sf.asarray(random_strided(rng, fmt, shape)[0]).copy()
        left = tuple(random_slice(rng, n, c) for n, c in zip(shape, count, strict=True))
        right = tuple(random_slice(rng, n, c) for n, c in zip(shape, count, strict=True))
        expected = array.tolist()
        put(expected, left, pick(array.tolist(), right))
        array[left] = array[right]
        assert array.tolist() == expected


def test_all_slices_of_a_short_axis():
    array = sf.arange(5, dtype="i2")
    plain = list(range(5))
    ends = [None, *range(-7, 8)]
    for start, stop, step in itertools.product(ends, ends, [None, -6, -2, -1, 1, 2, 6]):
        key = slice(start, stop, step)
        assert array[key].tolist() == plain[key], key


# CPython's own randomised tests, with our array in the place of NumPy's.


class Ours(sf.Array):
    """With the word that older versions of test_buffer ask NumPy for."""

    tostring = sf.Array.tobytes


def our_ndarray(buffer, shape, strides, dtype, offset=0):
    """What test_buffer asks numpy.ndarray for."""
    names = {"l": "i8", "L": "u8", "q": "i8", "Q": "u8", "P": "u8", "c": "S1", "n": "i8", "N": "u8"}
    code = sf.dtype(names.get(dtype, dtype)).str
    size = sf.dtype(code).itemsize
    reach = [s * (n - 1) for s, n in zip(strides, shape, strict=True)] if 0 not in shape else []
    low = offset + sum(min(r, 0) for r in reach)
    high = offset + sum(max(r, 0) for r in reach) + size
    if low < 0 or high > len(buffer):
        raise ValueError("outside of the buffer")
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer)) + offset
    return Ours(Strided(buffer, address, code, shape, strides))


@pytest.mark.parametrize(
    "name",
    [
        "test_ndarray_random",
        "test_ndarray_random_invalid",
        "test_ndarray_random_slice_assign",
        "test_py_buffer_to_contiguous",
    ],
)
def test_cpythons_random_tests(name, monkeypatch):
    test_buffer = pytest.importorskip("test.test_buffer")
    if test_buffer.ndarray is None:
        pytest.skip("no _testbuffer")

    def numpy_array(*args, order=None, **kwargs):
        if order is None:
            return our_ndarray(*args, **kwargs)
        strides = test_buffer.strides_from_shape(len(kwargs["shape"]), kwargs["shape"], 1, order)
        return our_ndarray(**kwargs, strides=strides)

    monkeypatch.setattr(test_buffer, "numpy_array", numpy_array)
    monkeypatch.setattr(test_buffer, "ITERATIONS", 20)
    random.seed(1)
    test = test_buffer.TestBufferProtocol(name)
    test.setUp()
    getattr(test, name)()
