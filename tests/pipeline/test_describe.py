"""What a pipeline says of itself before it runs: text, picture, types, checks, copies, chains."""

import copy
import operator
import pickle
import re

import numpy as np
import pytest

import spanflow as sf
from spanflow._tree import MODES, Part, tree_html, tree_text

TABLE = np.arange(412, dtype="f4").reshape(103, 4)
RECORDS = np.zeros(50, [("t", "f4"), ("v", "i8"), ("name", "S4")])


def half(x):
    return x / 2


# ---- text and picture ----


def test_text():
    pipe = (
        sf.Pipeline(sf.read(RECORDS, rows=10))
        .map(sf.col("t") * 1.8 + 32)
        .batch(2, drop_last=True)
        .map(half)
        .shuffle(3, seed=1)
    )
    assert str(pipe).splitlines() == [
        "Pipeline",
        "├─ read(record128 (50,), rows=10)  parallel  record128 (10,)",
        "├─ map((t * 1.8) + 32)             parallel  float32 (10,)",
        "├─ batch(n=2, drop_last=True)      in order  float32 (2, 10)",
        "├─ map(half)                       parallel",
        "└─ shuffle(buffer=3, seed=1)       in order",
    ]


def test_branches_of_a_source():
    left = (Part("source", "read(a)", "parallel"), Part("map", "map(f)"))
    right = (Part("source", "read(b)"),)
    parts = [Part("source", "zip", "in order", "pairs", (left, right)), Part("map", "map(g)")]
    assert tree_text(parts).splitlines() == [
        "Pipeline",
        "├─ zip            in order  pairs",
        "│  ├─ Pipeline",
        "│  │  ├─ read(a)  parallel",
        "│  │  └─ map(f)",
        "│  └─ Pipeline",
        "│     └─ read(b)",
        "└─ map(g)",
    ]
    html = tree_html(parts)
    assert html.count("<rect") == 5
    assert html.count("<path") == 4 + 2  # edges, of which that of b crosses a layer


def test_picture():
    pipe = sf.Pipeline(TABLE).map(lambda x: x).filter(sf.all).map(sf.multiply, 2)
    html = pipe._repr_html_()
    assert html.count("<rect") == 4 and html.count("<path") == 3
    assert "&lt;lambda&gt;" in html and "<lambda>" not in html


STAGES = {
    "map": lambda p: p.map(half),
    "native": lambda p: p.map(sf.add, 1),
    "filter": lambda p: p.filter(bool),
    "flat_map": lambda p: p.flat_map(list),
    "tap": lambda p: p.tap(half),
    "enumerate": lambda p: p.enumerate(),
    "take": lambda p: p.take(2),
    "skip": lambda p: p.skip(2),
    "shuffle": lambda p: p.shuffle(2),
    "batch": lambda p: p.batch(2),
    "rebatch": lambda p: p.rebatch(2),
    "unbatch": lambda p: p.unbatch(),
}


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("source", [TABLE, [1.0]])
def test_the_modes_are_those_of_the_run(name, source):
    pipe = STAGES[name](sf.Pipeline(source))
    run = pipe.run()
    ran = [MODES[stage["mode"]] for stage in run.stats()["stages"]]
    run.cancel()
    shown = [part.mode for part in pipe._parts()]
    assert shown[0] == ran[0]
    assert shown[1] == ran[1]


# ---- types ----


def type_of(pipe):
    return pipe._parts()[-1].gives


@pytest.mark.parametrize(
    "add, text",
    [
        (lambda p: p, "float32 (≤10, 4)"),
        (lambda p: p.map(sf.multiply, 2), "float32 (≤10, 4)"),
        (lambda p: p.map(sf.greater, 2), "bool (≤10, 4)"),
        (lambda p: p.map(sf.add, np.zeros((5, 1, 4))), "float64 (5, ≤10, 4)"),
        (lambda p: p.map(sf.sum, axis=1, keepdims=True), "float32 (≤10, 1)"),
        (lambda p: p.map(sf.mean), "float32 ()"),
        (lambda p: p.map(sf.argmax, axis=1), "int64 (≤10,)"),
        (lambda p: p.filter(sf.any, axis=1), "float32 (n, 4)"),
        (lambda p: p.filter(sf.all), "float32 (≤10, 4)"),
        (lambda p: p.filter(sf.greater, 3).map(sf.sum), "float32 ()"),
        (lambda p: p.map(sf.col("x")[sf.col("x") > 3]), "float32 (n,)"),
        (lambda p: p.rebatch(7), "float32 (≤7, 4)"),
        (lambda p: p.rebatch(7, drop_last=True), "float32 (7, 4)"),
        (lambda p: p.rebatch(nbytes="1kB"), "float32 (n, 4)"),
        (lambda p: p.rebatch(7, drop_last=True).batch(3), "float32 (≤3, 7, 4)"),
        (lambda p: p.batch(3), ""),  # chunks of several lengths
        (lambda p: p.unbatch(), "float32 (4,)"),
        (lambda p: p.unbatch().unbatch(), "float32 ()"),
        (lambda p: p.take(3).skip(1).shuffle(2).tap(half), "float32 (≤10, 4)"),
        (lambda p: p.map(half), ""),
        (lambda p: p.filter(half), ""),
        (lambda p: p.enumerate(), ""),
        (lambda p: p.flat_map(list), ""),
    ],
)
def test_types(add, text):
    pipe = add(sf.Pipeline(sf.read(TABLE, rows=10)))
    assert type_of(pipe) == text


@pytest.mark.parametrize("name", ["add", "greater", "sqrt", "sum", "mean", "argmin", "any", "std"])
@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f4", "f8", "c8"])
@pytest.mark.parametrize("rows", [5, 10, 20])
def test_types_are_what_comes_out(name, dtype, rows):
    a = np.ones((20, 3), dtype)
    operation = getattr(sf, name)
    args = (2,) if operation.kind == "elementwise" and operation.nin == 2 else ()
    kwargs = {} if operation.kind == "elementwise" else {"axis": 1}
    try:
        pipe = sf.Pipeline(sf.read(a, rows=rows)).map(operation, *args, **kwargs)
    except TypeError:  # complex numbers have no order
        with pytest.raises(TypeError):
            sf.Pipeline([a]).map(operation, *args, **kwargs).collect()
        return
    first = next(pipe.run())
    assert type_of(pipe) == f"{first.dtype.name} {first.shape}"


def test_types_of_sources():
    def known(source):
        return type_of(sf.Pipeline(source))

    assert known(TABLE) == "float32 (103, 4)"
    assert known(sf.read(TABLE, rows=103)) == "float32 (103, 4)"
    assert known(sf.read(TABLE[:100], rows=10)) == "float32 (10, 4)"
    assert known(sf.read(TABLE[:0], rows=10)) == "float32 (≤10, 4)"
    assert known(sf.read((TABLE, TABLE[:, 0]), rows=10)) == "(float32 (≤10, 4), float32 (≤10,))"
    assert known(sf.read(np.zeros((1000, 1000)))) == "float64 (≤131, 1000)"
    assert known([TABLE]) == known(iter([TABLE])) == known(range(3)) == ""


# ---- checks ----

READ = sf.read(TABLE, rows=10)


@pytest.mark.parametrize(
    "source, add, error, words",
    [
        (READ, lambda p: p.map(sf.mean, axis=2), ValueError,
         r"map\(mean, axis=2\) of float32 \(≤10, 4\): axis 2 is out of bounds .* dimension 2"),
        (READ, lambda p: p.map(sf.mean, axis=1).map(sf.sum, axis=1), ValueError,
         r"map\(sum, axis=1\) of float32 \(≤10,\): axis 1 is out of bounds"),
        (READ, lambda p: p.map(sf.sqrt, 1), TypeError, r"sqrt\) takes at most 0 operands .* got 1"),
        (READ, lambda p: p.map(sf.add), TypeError, r"add\(\) takes 2 operands; the chunk brings 1"),
        (sf.read((TABLE, TABLE)), lambda p: p.map(sf.sqrt), TypeError, "takes 1 operand"),
        (sf.read((TABLE, TABLE)), lambda p: p.map(sf.sum), TypeError, "takes one array; .* has 2"),
        (sf.read((TABLE, TABLE[:, 0])), lambda p: p.map(sf.col("a") + sf.col("b") + sf.col("c")),
         ValueError, "columns a, b, c, but the chunk has 2 arrays"),
        (RECORDS, lambda p: p.map(sf.col("x") * 2), ValueError, "'x': the fields are 't' 'v' 'name'"),
        (RECORDS, lambda p: p.filter(sf.col("x") > 2), ValueError, r"filter\(x > 2\) of record128"),
        (RECORDS, lambda p: p.map(sf.sqrt), TypeError, "works on numbers"),
        (RECORDS, lambda p: p.map(sf.col("name") + 1), TypeError, "name"),
        (RECORDS["v"], lambda p: p.map(sf.left_shift, 1.5), TypeError, "left_shift"),
        (READ, lambda p: p.map(sf.add, np.zeros((10, 3))), ValueError, "broadcast"),
        (sf.read(TABLE[:100], rows=10), lambda p: p.map(sf.add, np.zeros((9, 4))), ValueError,
         "broadcast"),
        (READ, lambda p: p.filter(sf.add, 1), TypeError, "needs true or false, but add gives float32"),
        (READ, lambda p: p.filter(sf.col("x") + 1), TypeError, "the expression gives float32"),
        (READ, lambda p: p.filter(sf.greater, 1).map(sf.add, sf.aligned(TABLE)), ValueError,
         "still stand for rows"),
        (READ, lambda p: p.map(sf.sum, axes=1), TypeError, "axes"),
        (READ, lambda p: p.map(sf.add, 1, axis=1), TypeError, "no keyword arguments"),
        (READ, lambda p: p.map(sf.col("x"), 1), TypeError, "takes no other arguments"),
        (np.zeros(9, "u1"), lambda p: p.map(sf.add, 300), OverflowError, "300 is out of bounds"),
    ],
)  # fmt: skip
def test_checks_when_built(source, add, error, words):
    pipe = sf.Pipeline(source)
    with pytest.raises(error, match=words):
        add(pipe)
    # Where the type is not known, the run finds it.
    plain = source if isinstance(source, np.ndarray) else source.arrays
    item = plain if isinstance(plain, np.ndarray) else plain if len(plain) > 1 else plain[0]
    unknown = add(sf.Pipeline([item]).filter(lambda x: True))
    with pytest.raises(error):
        unknown.collect()


def test_what_fits_some_chunk_is_left_to_the_run():
    w = np.zeros((10, 4), "f4")
    pipe = sf.Pipeline(sf.read(TABLE, rows=10)).map(sf.add, w)
    assert len(list(pipe.take(10).run())) == 10
    with pytest.raises(ValueError, match="broadcast"):
        pipe.collect()
    few = sf.Pipeline(sf.read(TABLE, rows=10)).filter(sf.any, axis=1).map(sf.add, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="broadcast"):
        few.collect()
    one = sf.Pipeline(READ).filter(sf.greater, 1e9).map(sf.add, np.zeros(0, "f4"))
    assert one.collect().shape == (0,)


def test_aligned_rows_are_checked():
    with pytest.raises(ValueError, match=r"aligned\(\) array has 4 rows"):
        sf.Pipeline(sf.read(TABLE[:100], rows=10)).map(sf.add, sf.aligned(TABLE[:4]))
    pipe = sf.Pipeline(READ).map(sf.add, sf.aligned(TABLE)).take(3).map(sf.add, sf.aligned(TABLE))
    assert np.array_equal(pipe.collect(), TABLE[:30] * 3)


# ---- chains ----


def test_chains():
    chain = sf.Pipeline().map(sf.multiply, 2).filter(sf.any, axis=1)
    assert str(chain).splitlines() == [
        "Pipeline",
        "├─ map(multiply, 2)     parallel",
        "└─ filter(any, axis=1)  parallel",
    ]
    expected = sf.Pipeline(READ).map(sf.multiply, 2).filter(sf.any, axis=1)
    for pipe in (sf.Pipeline(READ) | chain, sf.Pipeline(READ) | (sf.Pipeline() | chain)):
        assert str(pipe) == str(expected)
        assert np.array_equal(pipe.collect(), expected.collect())
    both = chain | chain.prefetch(2)
    assert len((sf.Pipeline(READ) | both)._stages) == 4
    assert str(sf.Pipeline(READ) | both).endswith("└─ prefetch(2)")
    assert str(sf.Pipeline()) == "Pipeline"
    assert sf.Pipeline()._repr_html_() and chain._repr_html_().count("<rect") == 2


def test_a_chain_cannot_run():
    chain = sf.Pipeline().map(half)
    for start in (chain.run, chain.collect, lambda: list(chain), lambda: chain.reduce(sf.sum),
                  lambda: chain.for_each(half), lambda: chain.reduce(operator.add)):  # fmt: skip
        with pytest.raises(ValueError, match=r"no source: .* sf.Pipeline\(source\) \| chain"):
            start()
    with pytest.raises(TypeError, match=r"a chain of stages.* this one reads read\(float32"):
        chain | sf.Pipeline(TABLE)
    with pytest.raises(TypeError, match="unsupported operand"):
        chain | half
    with pytest.raises(ValueError, match=r"map\(mean, axis=7\)"):
        sf.Pipeline(TABLE) | sf.Pipeline().map(sf.mean, axis=7)
    with pytest.raises(TypeError, match="needs sf.read"):
        sf.Pipeline(None)


# ---- copies ----

EXPRESSION = sf.col("t") * 1.8 + 32


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "pipe",
    [
        sf.Pipeline(READ).map(sf.multiply, 2).map(sf.mean, axis=1),
        sf.Pipeline(RECORDS).map(EXPRESSION).filter(sf.col("x") > 0).batch(3),
        sf.Pipeline(sf.read((TABLE, TABLE[:, 0]), rows=9)).map(sf.col("a") * sf.lazy(TABLE[0])),
        sf.Pipeline(range(9)).map(half).filter(operator.truth).enumerate(3).take(5).prefetch(1),
        sf.Pipeline(READ).map(sf.add, sf.aligned(TABLE)).shuffle(3, seed=4),
        sf.Pipeline(READ).map(sf.compile(sf.col("x") * 2)),
        sf.Pipeline().map(half).batch(2),
        sf.Pipeline(iter([1, 2, 3])).map(half),
    ],
    ids=range(8),
)
def test_pickles(pipe, protocol):
    for twin in (pickle.loads(pickle.dumps(pipe, protocol)), copy.deepcopy(pipe), copy.copy(pipe)):
        assert type(twin) is sf.Pipeline
        if "iterator" in str(pipe):
            continue
        assert str(twin) == str(pipe)
        if pipe._source is not None:
            ours, theirs = list(twin.run()), list(pipe.run())
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_equal(np.asarray(one), np.asarray(other))
    assert list(pickle.loads(pickle.dumps(sf.Pipeline(iter([2, 4])).map(half), protocol))) == [1, 2]


def test_what_cannot_be_pickled():
    for source in ((x for x in "ab"), open(__file__, "rb", buffering=0)):  # noqa: SIM115
        pipe = sf.Pipeline(source)
        with pytest.raises(TypeError, match=r"cannot be pickled: an iterator is used up"):
            pickle.dumps(pipe)
        with pytest.raises(TypeError, match=r"cannot be pickled"):
            copy.deepcopy(pipe)
        assert copy.copy(pipe)._source is source
        source.close()
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(sf.Pipeline(TABLE).map(lambda x: x))


def test_the_text_of_an_error_has_no_note_of_a_run():
    with pytest.raises(ValueError) as caught:
        sf.Pipeline(READ).map(sf.mean, axis=2)
    assert not hasattr(caught.value, "__notes__") and caught.value.__suppress_context__
    assert re.match(r"map\(mean, axis=2\) of ", str(caught.value))
