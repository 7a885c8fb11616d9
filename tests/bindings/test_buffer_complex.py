"""Complex arrays: struct and memoryview learn their formats only with Python 3.15."""

import struct
import sys

import pytest

import spanflow as sf
from tests.bindings import harness
from tests.bindings.harness import LAYOUTS, buffer, mismatches

COMPLEX = {
    "complex64": ("Zf", "f"),
    "complex128": ("Zd", "d"),
    ">c8": (">Zf", ">f"),
    ">c16": (">Zd", ">d"),
}


def flat_array(dtype, readonly=False):
    _, part = COMPLEX[dtype]
    raw = harness.raw_items(part, 24)
    array = sf.frombuffer(raw if readonly else bytearray(raw), dtype)
    values = [value for (value,) in struct.iter_unpack(part, raw)]
    numbers = [complex(*pair) for pair in zip(values[::2], values[1::2], strict=True)]
    return array, raw, numbers


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", COMPLEX)
def test_every_request(dtype, layout):
    fmt, part = COMPLEX[dtype]
    size = 2 * struct.calcsize(part)
    for readonly in (False, True):
        flat, raw, _ = flat_array(dtype, readonly)
        case = LAYOUTS[layout]
        array = case.of(flat)
        truth = harness.Truth(
            fmt,
            size,
            case.shape,
            tuple(s * size for s in case.strides),
            flat.address + case.offset * size,
            readonly,
            raw,
            flat.address,
        )
        wrong = mismatches(array, truth) + mismatches(memoryview(array), truth, strict_scalar=False)
        assert not wrong, "\n".join(wrong)
        assert array.tobytes() == truth.tobytes() == memoryview(array).tobytes()


@pytest.mark.parametrize("dtype", COMPLEX)
def test_elements(dtype):
    array, _, numbers = flat_array(dtype)
    assert array.format == COMPLEX[dtype][0]
    assert array.tolist() == numbers
    assert array[3] == numbers[3]
    array[3] = 1 - 2j
    assert array.item(3) == 1 - 2j
    with buffer(array, harness.FULL) as view:
        assert view.format == COMPLEX[dtype][0].encode()
        assert view.itemsize == array.itemsize


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_memoryview(dtype):
    array, raw, numbers = flat_array(dtype)
    view = memoryview(array)
    assert view.cast("B").tobytes() == raw
    if sys.version_info >= (3, 15):
        assert view.tolist() == numbers
    else:
        with pytest.raises(NotImplementedError):
            view.tolist()
    again = sf.asarray(view)
    assert again.dtype == dtype and again.tolist() == numbers


@pytest.mark.parametrize("dtype", COMPLEX)
def test_numpy(dtype):
    np = pytest.importorskip("numpy")
    array, raw, numbers = flat_array(dtype)
    theirs = np.asarray(array)
    assert theirs.dtype == np.dtype(dtype)
    assert theirs.tolist() == numbers
    back = sf.asarray(theirs, copy=False)
    assert back.address == array.address and back.dtype == dtype
    assert back.tobytes() == raw
