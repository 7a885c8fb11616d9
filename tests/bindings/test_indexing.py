"""Indexing and assignment against NumPy: basic keys, masks, integer arrays, fields, iteration."""

import itertools
import random

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")

DTYPES = ["?", "i1", "u2", "i4", ">i4", "i8", "f2", "f4", ">f8", "c8", "S3"]


def pair(shape, dtype="i4"):
    """The same numbers for NumPy and for us, in separate memory."""
    count = int(np.prod(shape))
    theirs = (np.arange(count) % 120).astype(dtype).reshape(shape)
    return sf.array(theirs), theirs


def check(ours, theirs):
    """Same kind of result, shape, dtype and elements."""
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, sf.Array), f"{ours!r} instead of an array"
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()
    else:
        assert not isinstance(ours, sf.Array)
        assert ours == theirs.item()
        assert type(ours) is type(theirs.item())


def random_basic_key(rng, shape):
    """Integers, slices, new axes and at most one ellipsis, in range or a little out of it."""
    used = rng.randint(0, len(shape))
    key = []
    for extent in shape[:used]:
        kind = rng.random()
        if kind < 0.4 and extent:
            key.append(rng.randint(-extent, extent - 1))
        else:
            ends = [None, *range(-extent - 2, extent + 3)]
            key.append(slice(rng.choice(ends), rng.choice(ends), rng.choice([None, 1, 2, -1, -3])))
    if rng.random() < 0.3:
        at = rng.randint(0, len(key))
        # What stands behind the ellipsis counts from the end.
        tail = [
            i if isinstance(i, slice) else slice(None) if n == 0 else rng.randint(-n, n - 1)
            for i, n in zip(key[at:], shape[len(shape) - len(key[at:]) :], strict=True)
        ]
        key[at:] = [Ellipsis, *tail]
    while rng.random() < 0.2:
        key.insert(rng.randint(0, len(key)), None)
    return tuple(key)


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_basic_keys(dtype):
    rng = random.Random(f"basic {dtype}")
    for _ in range(150):
        shape = tuple(rng.choice([0, 1, 2, 3, 5]) for _ in range(rng.randint(0, 4)))
        ours, theirs = pair(shape, dtype)
        if rng.random() < 0.5 and len(shape) > 1:
            ours, theirs = ours.T, theirs.T
        key = random_basic_key(rng, theirs.shape)
        key = key[0] if len(key) == 1 and rng.random() < 0.5 else key
        expected = theirs[key]
        found = ours[key]
        check(found, expected)
        if isinstance(expected, np.ndarray):
            assert expected.size == 0 or found.strides == expected.strides or 1 in found.shape
            if expected.size:  # a view, not a copy
                shift = expected.__array_interface__["data"][0]
                shift -= theirs.__array_interface__["data"][0]
                assert found.address - ours.address == shift


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_basic_assignment(dtype):
    rng = random.Random(f"assign {dtype}")
    for _ in range(100):
        shape = tuple(rng.choice([1, 2, 3, 5]) for _ in range(rng.randint(0, 3)))
        ours, theirs = pair(shape, dtype)
        key = random_basic_key(rng, shape)
        target = theirs[key]
        # Any shape that broadcasts to the target's.
        cut = target.shape[rng.randint(0, target.ndim) :]
        value_shape = tuple(1 if rng.random() < 0.3 else n for n in cut)
        value = (np.arange(int(np.prod(value_shape))) % 100 + 3).reshape(value_shape)
        value = value.astype(dtype if dtype == "S3" else rng.choice(["i2", "u1", dtype]))
        theirs[key] = value
        ours[key] = sf.array(value) if rng.random() < 0.5 else value
        check(ours[...], theirs[...])


def test_scalars_are_assigned():
    ours, theirs = pair((3, 4), "f4")
    for key, value in [(0, 1), ((1, 2), 2.5), (slice(1, None), True), (..., -1), ((), 7)]:
        ours[key] = value
        theirs[key] = value
        check(ours, theirs)
    ours[0, 0] = np.float64(3.25)
    assert ours[0, 0] == 3.25
    ours[1] = sf.full((), 9, "i8")
    assert ours[1].tolist() == [9, 9, 9, 9]
    ours[...] = [1, 2, 3, 4]
    assert ours.tolist() == [[1, 2, 3, 4]] * 3
    ours[:, 0] = (7, 8, 9)
    assert ours[:, 0].tolist() == [7, 8, 9]


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8"])
def test_integers_that_do_not_fit_are_refused(dtype):
    array = sf.zeros((2, 2), dtype)
    for key in (0, (0, 0), ..., slice(None), [0], sf.ones((2, 2), "?")):
        for value in (2**70, -(2**70)):
            with pytest.raises(OverflowError, match=str(value)):
                array[key] = value
    assert array.tolist() == [[0, 0], [0, 0]]


def test_assignment_casts_as_numpy_does():
    for source, target in itertools.product(["f8", "i8", "u1", "f4", "?"], ["i2", "f4", "?", "u4"]):
        ours, theirs = pair((4,), target)
        value = np.array([0, 1, 2, 100], source)
        theirs[:] = value
        ours[:] = value
        check(ours, theirs)


# Errors of basic keys.


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (3, IndexError),
        (-4, IndexError),
        ((0, 4), IndexError),
        ((0, 0, 0), IndexError),
        ((0, slice(None), 0), IndexError),
        ((..., ...), IndexError),
        ((slice(None), slice(None), slice(None)), IndexError),
        (2**63, IndexError),
        (-(2**70), IndexError),
        (1.5, (IndexError, TypeError)),
        (1j, (IndexError, TypeError)),
        (True, IndexError),
        ((0, False), IndexError),
        ("x", (IndexError, ValueError, KeyError)),
        (b"x", (IndexError, TypeError)),
        ({}, (IndexError, TypeError)),
        (object(), (IndexError, TypeError)),
        (slice(None, None, 0), ValueError),
        (slice(1.5), TypeError),
        (slice("a"), TypeError),
        ([1.5], IndexError),
        (["x"], (IndexError, TypeError)),
        ([[0], [1, 2]], ValueError),
        ([0, 3], IndexError),
        ([-4], IndexError),
        ((0, [4]), IndexError),
        ([2**63], (IndexError, OverflowError)),
        ([2**70], (IndexError, OverflowError)),
    ],
    ids=str,
)
def test_bad_keys(key, error):
    array = sf.arange(12).reshape(3, 4)
    before = array.tolist()
    with pytest.raises(error):
        array[key]
    with pytest.raises(error):
        array[key] = 0
    assert array.tolist() == before


def test_index_errors_name_the_numbers():
    array = sf.zeros((3, 4))
    with pytest.raises(IndexError, match="index 3.*axis 0.*size 3"):
        array[3]
    with pytest.raises(IndexError, match="index -5.*axis 1.*size 4"):
        array[0, -5]
    with pytest.raises(IndexError, match="too many indices"):
        array[0, 0, 0]
    with pytest.raises(IndexError, match="index 7"):
        array[[0, 7]]


def test_assignment_errors():
    array = sf.zeros((3, 4))
    with pytest.raises(ValueError, match=r"\(3,\)|broadcast"):
        array[0] = [1, 2, 3]
    with pytest.raises(ValueError):
        array[...] = sf.zeros((2, 3, 4))
    with pytest.raises((TypeError, ValueError)):
        array[0, 0] = "text"
    with pytest.raises((TypeError, ValueError)):
        array[0, 0] = [1, 2]
    with pytest.raises(TypeError):
        array[0, 0] = None
    with pytest.raises(TypeError):
        array[0, 0] = 1j
    with pytest.raises(TypeError):
        del array[0]
    assert array.tolist() == sf.zeros((3, 4)).tolist()


def test_read_only_targets():
    array = sf.frombuffer(bytes(12), "u1").reshape(3, 4)
    for key in (0, (0, 0), ..., [0, 1], np.ones((3, 4), bool)):
        with pytest.raises(ValueError, match="read-only"):
            array[key] = 1
    with pytest.raises(ValueError, match="read-only"):
        array.fill(1)
    with pytest.raises(ValueError, match="read-only"):
        array += 1
    assert array.tobytes() == bytes(12)


# Masks.


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_masks(dtype):
    rng = random.Random(f"masks {dtype}")
    for _ in range(60):
        shape = tuple(rng.choice([0, 1, 2, 4, 7]) for _ in range(rng.randint(1, 3)))
        ours, theirs = pair(shape, dtype)
        if rng.random() < 0.4:
            ours, theirs = ours.T, theirs.T
        covered = theirs.shape[: rng.randint(1, theirs.ndim)]
        mask = np.array(
            [rng.random() < rng.choice([0, 0.5, 1]) for _ in range(int(np.prod(covered)))], bool
        ).reshape(covered)
        if rng.random() < 0.3:
            mask = np.asfortranarray(mask)
        for key in (mask, sf.array(mask), mask.tolist() if mask.size else mask):
            check(ours[key], theirs[mask])
        value = np.array(rng.randint(1, 100)).astype(dtype)
        theirs[mask] = value
        ours[mask] = value
        check(ours, theirs)
        chosen = theirs[mask]
        values = (np.arange(chosen.size) % 90).astype(dtype).reshape(chosen.shape)
        theirs[mask] = values
        ours[sf.array(mask)] = values
        check(ours, theirs)


def test_masks_among_other_items():
    ours, theirs = pair((3, 4, 5))
    rows, columns = np.array([True, False, True]), np.array([False, True, True, False])
    for key in [
        (rows,),
        (slice(None), columns),
        (rows, slice(1, 3)),
        (slice(None, None, 2), columns, slice(None, None, -1)),
        (..., np.array([True, False, True, False, True])),
        (np.ones((3, 4), bool), slice(1, 4)),
        (slice(1, 2), np.ones((4, 5), bool)),
    ]:
        check(ours[key], theirs[key])
        ours[key] = -1
        theirs[key] = -1
        check(ours, theirs)


def test_masks_of_wrong_shape():
    array = sf.zeros((3, 4))
    for shape in [(2,), (4,), (3, 3), (3, 4, 1), (4, 3)]:
        with pytest.raises(IndexError):
            array[sf.zeros(shape, "?")]
        with pytest.raises(IndexError):
            array[np.ones(shape, bool)] = 1
    with pytest.raises(ValueError):
        array[np.ones((3, 4), bool)] = [1, 2, 3]
    assert array.sum() == 0


# Integer arrays.

INDEX_DTYPES = ["i1", "u1", "i2", "i4", ">i4", "u4", "i8", "u8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_integer_arrays(dtype):
    rng = random.Random(f"take {dtype}")
    for _ in range(60):
        shape = tuple(rng.choice([1, 2, 4, 7]) for _ in range(rng.randint(1, 3)))
        ours, theirs = pair(shape, dtype)
        if rng.random() < 0.4:
            ours, theirs = ours.T, theirs.T
        axis = rng.randrange(theirs.ndim)
        extent = theirs.shape[axis]
        index_shape = tuple(rng.choice([0, 1, 2, 5]) for _ in range(rng.randint(1, 2)))
        kind = rng.choice(INDEX_DTYPES)
        low = 0 if "u" in kind else -extent
        indices = np.array(
            [rng.randint(low, extent - 1) for _ in range(int(np.prod(index_shape)))], kind
        ).reshape(index_shape)
        before = tuple(slice(None, None, rng.choice([1, -1, 2])) for _ in theirs.shape[:axis])
        after = (slice(None, None, -1),) if axis + 1 < theirs.ndim and rng.random() < 0.5 else ()
        key = (*before, indices, *after)
        ours_key = tuple(sf.array(k) if k is indices and rng.random() < 0.5 else k for k in key)
        check(ours[ours_key], theirs[key])
        assert ours[ours_key].c_contiguous
        if indices.size and len(set((indices.astype("i8") % extent).flat)) == indices.size:
            chosen = theirs[key]
            values = (np.arange(chosen.size) % 90 + 1).astype(dtype).reshape(chosen.shape)
            theirs[key] = values
            ours[ours_key] = values
            check(ours, theirs)
            theirs[key] = values.flat[0]
            ours[ours_key] = values[(0,) * values.ndim]
            check(ours, theirs)


def test_several_adjacent_index_arrays():
    ours, theirs = pair((4, 5, 6))
    rows, columns, planes = np.array([0, 3, 1]), np.array([4, 0, -1]), np.array([[5], [2]])
    for key in [
        (rows, columns),
        (slice(None), columns, rows),
        (rows, columns, rows),
        (planes[1:], columns),
        (..., columns, rows),
        (slice(1, 3), planes % 5, columns),
        (planes % 4, columns),
    ]:
        check(ours[key], theirs[key])
        theirs[key] = 5
        ours[key] = 5
        check(ours, theirs)


def test_index_arrays_that_stand_apart():
    """NumPy moves their axis to the front; we refuse instead of surprising."""
    ours, theirs = pair((4, 5, 6))
    key = (np.array([0, 1]), slice(None), np.array([2, 3]))
    try:
        found = ours[key]
    except IndexError as error:
        assert "side by side" in str(error)
    else:
        check(found, theirs[key])


def test_the_last_of_repeated_indices_stays():
    array = sf.zeros(4, "i4")
    array[[1, 1, 2, 1]] = [5, 6, 7, 8]
    assert array.tolist() == [0, 8, 7, 0]


def test_lists_and_ranges_as_indices():
    ours, theirs = pair((5, 2))
    check(ours[[]], theirs[[]])
    check(ours[[0, -1]], theirs[[0, -1]])
    check(ours[[[0], [1]]], theirs[[[0], [1]]])
    check(ours[:, [1]], theirs[:, [1]])
    check(ours[range(2)], theirs[range(2)])
    check(ours[np.int8(1)], theirs[np.int8(1)])
    check(ours[np.array(1)], theirs[np.array(1)])
    check(ours[sf.full((), 2)], theirs[2])


def test_assignment_from_an_overlapping_selection():
    ours, theirs = pair((8,))
    ours[[0, 1, 2]] = ours[2:5]
    theirs[[0, 1, 2]] = theirs[2:5].copy()
    check(ours, theirs)
    ours[1:] = ours[:-1]
    theirs[1:] = theirs[:-1].copy()
    check(ours, theirs)
    ours[::-1] = ours
    theirs[::-1] = theirs.copy()
    check(ours, theirs)


# Large selections go over several threads.


def test_large_selections():
    theirs = np.arange(300_000, dtype="f4").reshape(1000, 300)
    ours = sf.asarray(theirs.copy())
    mask = theirs % 3 == 0
    check_bytes(ours[mask], theirs[mask])
    rows = np.arange(999, -1, -7)
    check_bytes(ours[rows], theirs[rows])
    columns = np.arange(299, -1, -3)
    check_bytes(ours[:, columns], theirs[:, columns])
    ours[mask] = -1
    theirs = theirs.copy()
    theirs[mask] = -1
    check_bytes(ours, theirs)
    ours[rows] = ours[rows] * 2
    theirs[rows] = theirs[rows] * 2
    check_bytes(ours, theirs)


def check_bytes(ours, theirs):
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert ours.tobytes() == theirs.tobytes()


# Records.

RECORD = [
    ("x", "<f4"),
    ("n", ">i2"),
    ("v", "u1", (2,)),
    ("s", "S3"),
    ("in", [("p", "<f8"), ("q", "?")]),
]


def records(count=4):
    theirs = np.zeros(count, RECORD)
    theirs["x"] = np.arange(count) / 2
    theirs["n"] = np.arange(count) * 300
    theirs["v"] = np.arange(2 * count).reshape(count, 2)
    theirs["s"] = [f"r{i}".encode() for i in range(count)]
    theirs["in"]["p"] = -np.arange(count)
    theirs["in"]["q"] = np.arange(count) % 2
    return sf.asarray(theirs.copy()), theirs


def test_fields_are_views():
    ours, theirs = records()
    for name in theirs.dtype.names:
        field, expected = ours[name], theirs[name]
        assert field.shape == expected.shape
        assert field.strides == expected.strides
        assert field.dtype == expected.dtype
        assert field.address - ours.address == theirs.dtype.fields[name][1]
        assert field.tobytes() == expected.tobytes() or expected.dtype.names
    assert ours["in"]["p"].tolist() == theirs["in"]["p"].tolist()
    ours["x"] = [9, 8, 7, 6]
    assert ours["x"].tolist() == [9, 8, 7, 6]
    ours["n"][1:3] += 1
    assert ours["n"].tolist() == [0, 301, 601, 900]
    ours["v"][:, 1] = 0
    assert ours["v"].tolist() == [[0, 0], [2, 0], [4, 0], [6, 0]]
    ours["in"]["q"] = True
    assert ours["in"]["q"].all()
    with pytest.raises((ValueError, KeyError, IndexError), match="nope"):
        ours["nope"]
    with pytest.raises((ValueError, KeyError, IndexError), match="x"):
        sf.zeros(3)["x"]


def test_records_one_by_one():
    ours, theirs = records()
    assert ours[1].item() == (*theirs[1].item()[:2], [2, 3], *theirs[1].item()[3:])
    assert ours[2]["n"] == 600
    ours[0]["x"] = 42
    assert ours["x"][0] == 42
    ours[3] = (1, 2, (3, 4), b"abc", (5.5, False))
    assert ours[3].item() == (1.0, 2, [3, 4], b"abc", (5.5, False))
    ours[:2] = [(0, 0, (0, 0), b"", (0, 0))] * 2
    assert ours[0].item() == (0.0, 0, [0, 0], b"", (0.0, False))
    with pytest.raises((ValueError, TypeError)):
        ours[0] = (1, 2)
    with pytest.raises((ValueError, TypeError)):
        ours[0] = 5
    check_records(ours[::-1][[0, 2]], ours)


def check_records(taken, ours):
    assert taken.tolist() == [ours[3].item(), ours[1].item()]


def test_records_are_selected_and_copied():
    ours, theirs = records()
    mask = theirs["n"] > 100
    assert ours[mask].tolist() == ours.tolist()[1:]
    assert ours[ours["n"] > 100]["x"].tolist() == theirs[mask]["x"].tolist()
    assert ours[[2, 0]].tolist() == [ours[2].item(), ours[0].item()]
    packed = [
        ("n", "i8"),
        ("x", "f8"),
        ("v", "f4", (2,)),
        ("s", "S5"),
        ("in", [("p", "f4"), ("q", "u1")]),
    ]
    converted = ours.astype(packed)
    assert converted["x"].tolist() == theirs["x"].tolist()
    assert converted["s"].tolist() == theirs["s"].tolist()
    with pytest.raises(TypeError):
        ours.astype([("y", "f4")])
    with pytest.raises(TypeError):
        ours.astype("f4")


# len, iteration, item, truth, containment of the basics.


def test_len_and_iteration():
    ours, theirs = pair((3, 2))
    assert len(ours) == 3
    rows = list(ours)
    assert [row.tolist() for row in rows] == theirs.tolist()
    assert all(row.address == ours[i].address for i, row in enumerate(rows))
    assert list(sf.arange(4)) == [0, 1, 2, 3]
    assert list(reversed(sf.arange(4))) == [3, 2, 1, 0]
    assert list(sf.zeros((0, 3))) == []
    for bad in (len, iter, list):
        with pytest.raises(TypeError, match="0-d"):
            bad(sf.zeros(()))
    iterator = iter(sf.arange(2))
    assert (next(iterator), next(iterator)) == (0, 1)
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iterator)
    first, second = sf.arange(2)
    assert (first, second) == (0, 1)


def test_iteration_over_an_array_that_is_closed():
    array = sf.arange(5)
    iterator = iter(array)
    next(iterator)
    array.close()
    with pytest.raises(ValueError, match="closed"):
        next(iterator)


def test_item():
    ours, theirs = pair((3, 4), "f4")
    assert ours.item(1, 2) == theirs.item(1, 2)
    assert type(ours.item(0, 0)) is float
    assert ours[1:2, 1:2].item() == theirs[1, 1].item()
    assert ours.item((2, 3)) == theirs.item((2, 3))
    with pytest.raises(ValueError):
        ours.item()
    with pytest.raises(IndexError):
        ours.item(3, 0)


def test_numbers_from_arrays():
    assert int(sf.full((), 7)) == 7 and float(sf.full((1, 1), 2.5)) == 2.5
    assert bool(sf.full((1,), 0)) is False and bool(sf.ones(())) is True
    assert [10, 20, 30][sf.full((), 1)] == 20
    with pytest.raises(TypeError):
        int(sf.zeros(2))
    with pytest.raises(TypeError):
        [1, 2][sf.zeros((), "f4")]
    for array in (sf.zeros(2), sf.zeros((2, 2))):
        with pytest.raises(ValueError, match="ambiguous"):
            bool(array)
    with pytest.raises((ValueError, TypeError)):
        bool(sf.zeros(0))


def test_hash_is_refused():
    with pytest.raises(TypeError, match="unhashable"):
        hash(sf.zeros(2))
    with pytest.raises(TypeError, match="unhashable"):
        {sf.zeros(())}


# Values that do not fit are an error, however they are assigned.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (slice(None), [300, -1]),
        (slice(None), (300, 1)),
        ([0], [300]),
        ([True, False], [300]),
        (..., [300, 0]),
        (0, 300),
        (slice(None), 300),
        ([0], 300),
    ],
)
def test_integers_out_of_range(key, value):
    ours, theirs = sf.zeros(2, "u1"), np.zeros(2, "u1")
    for array in (ours, theirs):
        with pytest.raises(OverflowError):
            array[key] = value
        assert array.tolist() == [0, 0]


def test_nested_integers_out_of_range():
    ours = sf.zeros((2, 2), "i2")
    with pytest.raises(OverflowError):
        ours[:] = [[1, 2], [3, 2**15]]
    ours[:] = [[1.5, True], [np.int8(3), -4]]
    assert ours.tolist() == [[1, 1], [3, -4]]
    record = sf.zeros(3, [("x", "u1"), ("y", "f4")])
    with pytest.raises(OverflowError):
        record["x", [0, 1]] = [1, 256]
    record["x", [0, 1]] = [1, 255]
    assert record["x"].tolist() == [1, 255, 0]


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), [True, False]),
        ([True, False, False], 0),
        (..., [True]),
        (slice(None), [[True, False, True, False]]),
        (None, [True]),
    ],
    ids=str,
)
def test_masks_in_a_tuple_must_fit_their_axes(key):
    ours, theirs = sf.zeros((2, 3, 4)), np.zeros((2, 3, 4))
    for array in (ours, theirs):
        with pytest.raises(IndexError, match="boolean index did not match"):
            array[key]
        with pytest.raises(IndexError, match="boolean index did not match"):
            array[key] = 1
    assert not ours.any()


def test_masks_in_a_tuple_that_fit():
    theirs = np.arange(24).reshape(2, 3, 4)
    ours = sf.asarray(theirs)
    for key in (
        (slice(None), [True, False, True]),
        ([False, True], 0),
        (..., [True, False, True, True]),
        (None, [True, False]),
        (slice(None), theirs[0] > 3),
    ):
        assert ours[key].tolist() == theirs[key].tolist()


def test_item_takes_a_flat_index():
    theirs = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)
    ours = sf.asarray(theirs)
    for index in (0, 5, 23, -1, -24, np.int64(7)):
        assert ours.item(index) == theirs.item(index)
    assert ours.item(1, 1, 2) == ours.item((1, 1, 2)) == theirs.item(1, 1, 2)
    assert sf.array(3).item(()) == sf.array(3).item(0) == 3
    for index in (slice(None), None, "x", 1.5, [1]):
        with pytest.raises(TypeError):
            ours.item(index)
    for index in ((24,), (-25,), (3, 0, 0)):
        with pytest.raises(IndexError):
            ours.item(*index)
    for index in ((1, 1), ((1,),), ((),)):
        with pytest.raises(ValueError):
            ours.item(*index)
    record = sf.zeros(2, [("x", "i4")])
    assert record.item(1) == (0,)


def test_spread_shapes_hold_integers_only():
    a = sf.zeros(6)
    for shape in (((2, 99), 3), ((), 3), (3, (2,)), ("2", 3)):
        with pytest.raises(TypeError):
            a.reshape(*shape)
    with pytest.raises(TypeError):
        a.reshape(2, 3).transpose((1, 7), 0)
