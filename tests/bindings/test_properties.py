"""Properties, with NumPy as the judge: any dtype, any layout, any operation."""

import math

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")
pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

settings.register_profile(
    "spanflow",
    max_examples=120,
    deadline=None,
    derandomize=True,  # the same examples on every machine
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PROFILE = settings.get_profile("spanflow")

DTYPES = st.sampled_from(
    ["?", "i1", "u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", ">i8", "<u8", "<f2", "<f4", ">f4",
     "<f8", ">f8", "<c8", ">c16"]
)  # fmt: skip
REAL = st.sampled_from(["?", "i1", "u1", ">i2", "<i4", "<u8", "<f2", "<f4", ">f8"])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


@st.composite
def arrays(draw, dtypes=DTYPES, shapes=SHAPES):
    """A NumPy array in any layout: order, steps, reversal, transposition, alignment."""
    dtype = np.dtype(draw(dtypes))
    shape = draw(shapes)
    count = math.prod(shape)
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    if dtype == bool:
        values = rng.random(count) < 0.5
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = rng.integers(max(info.min, -50), min(info.max, 50), count)
    else:
        values = (rng.standard_normal(count) * 4).round(1)
        if dtype.kind == "c":
            values = values + 1j * rng.permutation(values)
    array = values.astype(dtype).reshape(shape)
    layout = draw(st.sampled_from(["C", "F", "strided", "reversed", "unaligned", "transposed"]))
    if layout == "F":
        array = np.asfortranarray(array)
    elif layout == "strided" and array.ndim:
        wide = np.zeros((*shape[:-1], shape[-1] * 2 + 1), dtype)
        wide[..., : shape[-1] * 2 : 2] = array
        array = wide[..., : shape[-1] * 2 : 2]
    elif layout == "reversed" and array.ndim:
        array = np.ascontiguousarray(array[::-1])[::-1]
    elif layout == "unaligned":
        array = np.frombuffer(b"x" + array.tobytes(), dtype, offset=1).reshape(shape).copy("K")
        raw = bytearray(b"x" + array.tobytes())
        array = np.frombuffer(raw, dtype, offset=1, count=count).reshape(shape) if count else array
    elif layout == "transposed":
        array = array.T
    return array


def same(ours, theirs, rtol=0.0):
    theirs = np.asarray(theirs)
    if not isinstance(ours, sf.Array):
        ours = sf.array(ours, theirs.dtype)
    assert ours.shape == theirs.shape
    # NumPy's scalars lose a foreign byte order that 0-d arrays keep.
    assert ours.dtype == theirs.dtype or ours.dtype.newbyteorder() == theirs.dtype
    if rtol:
        np.testing.assert_allclose(
            np.asarray(ours), theirs, rtol=rtol, atol=rtol * 100, equal_nan=True
        )
    else:
        np.testing.assert_array_equal(np.asarray(ours), theirs)


@PROFILE
@given(arrays())
def test_wrapping(theirs):
    ours = sf.asarray(theirs, copy=False)
    assert ours.address == theirs.__array_interface__["data"][0] or theirs.size == 0
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert ours.readonly is not theirs.flags.writeable
    assert ours.tobytes() == theirs.tobytes()
    assert ours.tobytes("F") == theirs.tobytes("F")
    same(ours.copy(), theirs)
    same(ours.T, theirs.T)
    assert ours.tolist() == theirs.tolist()


@PROFILE
@given(arrays(), DTYPES)
def test_astype(theirs, target):
    with np.errstate(all="ignore"):
        if theirs.dtype.kind in "fc" and np.dtype(target).kind == "u":
            theirs = np.abs(theirs)
        if theirs.dtype.kind == "i" and np.dtype(target).kind == "u":
            theirs = np.abs(theirs)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs.astype(target)
    same(sf.asarray(theirs).astype(target), expected)


@PROFILE
@given(st.data())
def test_binary_operations(data):
    shapes = data.draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=5)
    )
    a = data.draw(arrays(shapes=st.just(shapes.input_shapes[0])))
    b = data.draw(arrays(shapes=st.just(shapes.input_shapes[1])))
    if a.shape != shapes.input_shapes[0] or b.shape != shapes.input_shapes[1]:
        a, b = a.reshape(shapes.input_shapes[0]), b.reshape(shapes.input_shapes[1])
    name = data.draw(
        st.sampled_from(
            ["add", "subtract", "multiply", "divide", "equal", "less", "maximum", "bitwise_xor"]
        )
    )
    complex_order = "c" in a.dtype.kind + b.dtype.kind and name in ("less", "maximum")
    with np.errstate(all="ignore"):
        try:
            expected = getattr(np, name)(a, b)
        except TypeError:
            expected = None
    if expected is None or complex_order:
        with pytest.raises(TypeError):
            getattr(sf, name)(a, b)
        return
    loose = expected.dtype.kind == "c" and name in ("multiply", "divide")
    eps = float(np.finfo(expected.dtype).eps) if loose else 0
    same(getattr(sf, name)(a, b), expected, 8 * eps)
    out = np.empty(expected.shape, expected.dtype).T.copy().T if expected.ndim else None
    if out is not None:
        getattr(sf, name)(sf.asarray(a), b, out=out)
        same(sf.asarray(out), expected, 8 * eps)


@PROFILE
@given(arrays(dtypes=REAL), st.data())
def test_indexing(theirs, data):
    ours = sf.asarray(theirs)
    key = data.draw(hnp.basic_indices(theirs.shape, allow_ellipsis=True, allow_newaxis=True))
    expected = theirs[key]
    found = ours[key]
    if isinstance(expected, np.ndarray):
        same(found, expected)
    else:
        assert found == expected.item()


@PROFILE
@given(arrays(dtypes=REAL), st.data())
def test_masks_and_takes(theirs, data):
    if theirs.ndim == 0:
        return
    ours = sf.asarray(theirs)
    mask = data.draw(hnp.arrays(bool, theirs.shape))
    same(ours[mask], theirs[mask])
    if theirs.shape[0]:
        picks = data.draw(
            hnp.arrays(
                "i8", st.integers(0, 8), elements=st.integers(-theirs.shape[0], theirs.shape[0] - 1)
            )
        )
        same(ours[picks], theirs[picks])
        if len(picks):
            mine, copy = sf.array(theirs), theirs.copy()
            mine[picks] = theirs[0]
            copy[picks] = theirs[0]
            same(mine, copy)


@PROFILE
@given(arrays(), st.data())
def test_reductions(theirs, data):
    name = data.draw(
        st.sampled_from(["sum", "any", "all", "count_nonzero", "mean", "min", "max", "var"])
    )
    axis = data.draw(st.one_of(st.none(), hnp.valid_tuple_axes(theirs.ndim)))
    keepdims = data.draw(st.booleans())
    native = theirs.astype(theirs.dtype.newbyteorder("="))
    reduced = range(theirs.ndim) if axis is None else [a % theirs.ndim for a in axis]
    empty = 0 in [theirs.shape[a] for a in reduced]
    if name in ("min", "max") and (theirs.dtype.kind == "c" or empty):
        return
    if name in ("mean", "var") and empty:
        return
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(native, axis=axis, keepdims=keepdims)
    expected = np.asarray(expected)
    found = getattr(sf, name)(theirs, axis, keepdims=keepdims)
    if expected.dtype.kind in "fc":
        same(found, expected, 64 * float(np.finfo(expected.dtype).eps))
    else:
        same(found, expected)


@PROFILE
@given(arrays(), st.data())
def test_reshape_and_transpose(theirs, data):
    ours = sf.asarray(theirs)
    axes = data.draw(st.permutations(range(theirs.ndim)))
    same(ours.transpose(*axes) if axes else ours, theirs.transpose(axes))
    factors = data.draw(st.sampled_from(factorisations(theirs.size)))
    same(ours.reshape(factors), theirs.reshape(factors))
    same(ours.reshape(-1) if theirs.size else ours.reshape(0), theirs.reshape(-1))


def factorisations(size):
    found = [(size,), (1, size), (size, 1, 1)]
    found += [(k, size // k) for k in range(1, min(size, 12) + 1) if size % k == 0]
    if size == 1:
        found.append(())
    return found


@PROFILE
@given(arrays())
def test_files(tmp_path_factory, theirs):
    path = tmp_path_factory.getbasetemp() / "property.npy"
    sf.save(path, theirs)
    back = np.load(path)
    assert back.dtype == theirs.dtype
    np.testing.assert_array_equal(back, theirs)
    with sf.open(path) as ours:
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


@PROFILE
@given(arrays(), arrays())
def test_assignment_broadcasts(target, source):
    mine, copy = sf.array(target), target.copy()
    # Only kinds that NumPy converts without a warning.
    if source.dtype.kind > target.dtype.kind and target.dtype.kind != "c":
        source = source.astype(bool)
    if source.dtype.kind == "c" and target.dtype.kind != "c":
        source = source.real.copy()
    if source.dtype.kind == "f" and target.dtype.kind in "iu":
        source = np.abs(source).astype("u1")
    try:
        copy[...] = source
    except ValueError:
        with pytest.raises(ValueError):
            mine[...] = source
        assert mine.tobytes() == target.tobytes()
        return
    mine[...] = source
    same(mine, copy)


def test_contains_is_any_equal():
    for theirs in (np.arange(6).reshape(2, 3), np.array(3), np.zeros((0, 2)), np.array([1.5, 2])):
        ours = sf.asarray(theirs)
        for value in (3, 9, 2.0, np.int64(3), [0, 1, 2] if theirs.shape == (2, 3) else 1):
            assert (value in ours) == (value in theirs)
    assert "x" not in sf.arange(3)


def test_complex_of_one_element():
    assert complex(sf.array(1 + 2j)) == 1 + 2j
    assert complex(sf.array([3 - 1j], "c8")) == 3 - 1j
    assert complex(sf.array(2, "i4")) == 2
    with pytest.raises(TypeError, match="complex"):
        complex(sf.zeros(2, "c16"))
