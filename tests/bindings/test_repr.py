"""How arrays look: a header that says what they are, elements as NumPy shows them."""

import math

import pytest

import spanflow as sf


def lines(array):
    return repr(array).splitlines()


def test_header():
    assert lines(sf.zeros((2, 3), "f4"))[0] == "Array(shape=(2, 3), dtype=float32, heap)"
    assert (
        lines(sf.frombuffer(b"ab", "u1"))[0] == "Array(shape=(2,), dtype=uint8, foreign, read-only)"
    )
    assert lines(sf.zeros(3, ">i2"))[0] == "Array(shape=(3,), dtype=>i2, heap)"
    assert lines(sf.zeros((), "c8"))[0] == "Array(shape=(), dtype=complex64, heap)"
    assert lines(sf.zeros(1, "S3"))[0] == "Array(shape=(1,), dtype=S3, heap)"
    assert "('x', '<f4')" in lines(sf.zeros(1, [("x", "f4")]))[0]


def test_mapped_header(tmp_path):
    sf.save(tmp_path / "a.npy", sf.arange(3))
    assert (
        lines(sf.open(tmp_path / "a.npy"))[0] == "Array(shape=(3,), dtype=int64, mapped, read-only)"
    )
    assert lines(sf.open(tmp_path / "a.npy", "r+"))[0] == "Array(shape=(3,), dtype=int64, mapped)"


def test_str_is_the_elements():
    array = sf.arange(3)
    assert str(array) == "[0, 1, 2]"
    assert repr(array) == f"Array(shape=(3,), dtype=int64, heap)\n{array}"
    assert f"{array}" == str(array)


TEXTS = [
    ([], "f8", "[]"),
    (5, "i4", "5"),
    (2.5, "f8", "2.5"),
    (True, "?", "True"),
    ([1, -20, 300], "i4", "[  1, -20, 300]"),
    ([True, False], "?", "[ True, False]"),
    ([1.0, 2.5, -3.0], "f8", "[ 1.0,  2.5, -3.0]"),
    ([1.0, 2.0], "f4", "[1., 2.]"),
    ([0.0, -0.0], "f8", "[ 0., -0.]"),
    ([1.5, math.nan, math.inf], "f8", "[1.5, nan, inf]"),
    ([[1, 2], [3, 4]], "i2", "[[1, 2],\n [3, 4]]"),
    ([[[1], [2]], [[3], [4]]], "i2", "[[[1],\n  [2]],\n\n [[3],\n  [4]]]"),
    ([b"ab", b""], "S2", "[b'ab',   b'']"),
    ([1 + 2j, -1j], "c16", "[ (1+2j), (-0-1j)]"),
]


@pytest.mark.parametrize(("value", "dtype", "text"), TEXTS, ids=str)
def test_elements(value, dtype, text):
    assert str(sf.array(value, dtype)) == text


def test_empty_shapes_are_said():
    for shape in [(0,), (0, 3), (3, 0)]:
        assert str(shape) in repr(sf.zeros(shape))


def test_float32_is_shown_short():
    assert str(sf.array([0.1, 0.2], "f4")) == "[0.1, 0.2]"
    assert str(sf.array([1 / 3], "f4")).startswith("[0.333333")
    assert str(sf.array([1 / 3], "f8")).startswith("[0.33333333")
    assert "e+30" in str(sf.array([1e30, 1.0]))
    assert "e-30" in str(sf.array([1e-30]))


def test_a_scalar_shows_enough_digits():
    assert float(str(sf.full((), 0.1))) == 0.1
    assert float(str(sf.full((), 1e22))) == 1e22


def test_long_arrays_are_cut():
    text = repr(sf.arange(100_000))
    assert "..." in text and len(text) < 200
    assert "[    0,     1,     2, ..., 99997, 99998, 99999]" in text
    text = repr(sf.zeros((2000, 2000)))
    assert text.count("...") >= 3 and len(text) < 1000
    assert "..." not in repr(sf.arange(1000))
    assert "..." in repr(sf.arange(1001))
    cube = repr(sf.zeros((100, 100, 100), "u1"))
    assert len(cube) < 3000
    wide = repr(sf.zeros((2, 600)))
    assert "..." in wide and len(wide) < 500


def test_nothing_is_left_out_up_to_1000():
    text = str(sf.arange(1000))
    assert [int(x) for x in text.strip("[]").split(",")] == list(range(1000))
    assert max(map(len, text.splitlines())) <= 90


def test_records():
    array = sf.array([(1, 2.5), (3, 4.5)], [("n", "i4"), ("x", "f8")])
    assert str(array) == "[(1, 2.5), (3, 4.5)]"
    assert repr(array[0]).splitlines()[1] == "(1, 2.5)"


def test_large_mapped_arrays_are_not_read(tmp_path):
    """repr touches a few elements only; a sparse file of 64 GiB proves it."""
    path = tmp_path / "sparse.raw"
    try:
        with open(path, "wb") as file:
            file.truncate(1 << 36)
        array = sf.open(path, dtype="f4")
    except (OSError, MemoryError):
        pytest.skip("no sparse files of this size here")
    assert "..." in repr(array)
    assert repr(array.reshape(1 << 17, 1 << 17)).count("...") >= 3


def test_many_dimensions():
    array = sf.zeros((1,) * 64)
    assert str(array).count("[") == 64
    assert "0" in str(array)


def test_bfloat16_and_float16():
    assert str(sf.array([1.5, 2.0], "bfloat16")) == "[1.5, 2.0]"
    assert str(sf.array([1.5, 65504.0], "f2")) == "[    1.5, 65500.0]"


def test_dtype_repr():
    assert repr(sf.float32) == "spanflow.dtype('float32')"
    assert repr(sf.dtype(">i4")) == "spanflow.dtype('>i4')"
    assert repr(sf.dtype("S5")) == "spanflow.dtype('S5')"
    assert repr(sf.dtype([("x", "f4")])) == "spanflow.dtype([('x', '<f4')])"


def test_numpy_prints_the_same_numbers():
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(0)
    for values in (
        rng.integers(-1000, 1000, (4, 5)),
        rng.random((3, 3)).round(3),
        rng.random(7).astype("f4").round(2),
        np.array([1e-3, 5.25, 100.0]),
    ):
        ours = str(sf.asarray(values)).replace("[", " ").replace("]", " ").replace(",", " ").split()
        theirs = str(values).replace("[", " ").replace("]", " ").split()
        assert [float(x) for x in ours] == [float(x) for x in theirs]
