"""The kernel lab: what it measures, what it refuses, and the files that it writes."""

import csv
import math

import numpy as np
import pytest

import spanflow as sf
from spanflow import _core
from spanflow.lab import _kernels, _operands, _select
from spanflow.lab._accuracy import errors


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    yield
    _kernels._kernels.clear()


def quick(op, **options):
    return sf.lab.run(op, **{"size": 1000, "seconds": 1e-4, **options})


def test_every_operation_is_a_kernel():
    known = sf.lab.kernels()
    operations = {v.__name__ for v in vars(sf).values() if isinstance(v, sf.Operation)}
    others = {*_kernels.SCANS, *_kernels.FUNCTIONS, *_kernels.INNER_PRODUCTS}
    assert operations | others == set(known)
    assert known["add"].nin == 2 and known["fma"].nin == 3 and known["sum"].nin == 1
    assert known["exp"].error_bound == 1.0 and known["add"].error_bound == 0
    assert known["sum"].error_bound is None


@pytest.mark.parametrize("name", sorted(_kernels._built_in()))
def test_every_kernel_runs(name):
    """On a dtype of each sort that it takes, with operands in its range."""
    kernel = sf.lab.kernels()[name]
    codes = [c for c in ("f4", "f2", "i2", "?", "c8") if kernel.takes(sf.dtype(c))]
    results = quick(name, dtype=codes, layout="all").results
    assert {r.dtype for r in results} == {sf.dtype(c).name for c in codes}
    for result in results:
        assert result.seconds > 0 and result.gb_per_second > 0 and result.ceiling_seconds > 0
        assert result.bytes_read >= 1000 or result.layout == "broadcast"


@pytest.mark.parametrize("layout", [name for name in _operands.LAYOUTS if name != "broadcast"])
@pytest.mark.parametrize("code", ["?", "i1", "u8", "f2", "bfloat16", "f4", "f8", "c8"])
def test_layouts_hold_the_same_numbers(layout, code):
    dtype = sf.dtype(code)
    plain = _operands.numbers(dtype, 100, (-1.0, 1.0) if dtype.kind in "fc" else None, seed=4)
    made = _operands.LAYOUTS[layout](plain)
    assert made.tolist() == plain.tolist()
    assert made.c_contiguous == (layout in ("contiguous", "unaligned", "big-endian"))
    if layout == "unaligned" and dtype.itemsize > 1:
        assert made.address % 2 == 1
    assert made.dtype.isnative or layout == "big-endian"
    if dtype.kind in "fc":
        parts = np.asarray(plain.astype("c16")).view("f8")
        assert -1 <= parts.min() < -0.9 and 0.9 < parts[parts != 0].max() <= 1


def test_broadcast():
    (result,) = quick("add", layout="broadcast", size=4096).results
    assert (result.bytes_read, result.bytes_written) == (4 * 4096, 4 * 4096)


def test_inner_products():
    """They read two arrays, write nothing, and take no operands of different shapes."""
    results = quick("dot,vdot", dtype="f4,c8", layout="all", size=4096, versus="numpy").results
    assert {(r.op, r.contender) for r in results} == {
        (op, who) for op in ("dot", "vdot") for who in ("spanflow", "numpy")
    }
    assert {r.layout for r in results} == set(_operands.LAYOUTS) - {"broadcast"}
    for result in results:
        size = sf.dtype(result.dtype).itemsize
        assert (result.bytes_read, result.bytes_written, result.operands) == (2 * 4096 * size, 0, 2)
    with pytest.raises(ValueError, match="elementwise operation of two operands"):
        quick("dot", layout="broadcast", size=4096)


def test_a_registered_inner_product():
    seen = []
    sf.lab.register("dot", lambda a, b, out: seen.append((len(a), len(b), out)), name="spy")
    assert [r.contender for r in quick("dot").results] == ["spanflow", "spy"]
    assert set(seen) == {(1000, 1000, None)}


def test_functions():
    results = quick("sort,nonzero,median,moving_max", versus="numpy").results
    written = {r.op: r.bytes_written for r in results if r.contender == "spanflow"}
    assert written == {"sort": 4000, "nonzero": 8000, "median": 0, "moving_max": 4 * 985}
    assert {r.op for r in results if r.contender == "numpy"} == {"sort", "nonzero", "median"}


def test_targets_threads_and_numpy():
    before = sf.simd.target(), sf.get_num_threads()
    results = quick("add", target="all", threads=[1, 2], versus="numpy").results
    assert (sf.simd.target(), sf.get_num_threads()) == before
    who = [*sf.simd.targets(), "numpy"]
    assert [r.target or r.contender for r in results] == who * 2
    assert [r.threads for r in results] == [1] * len(who) + [2] * len(who)


def test_the_target_is_the_one_that_runs():
    seen = []
    sf.lab.register("add", lambda a, b, out: seen.append(sf.simd.target()), name="spy")
    kernel = _kernels.Kernel(
        "probe", "elementwise", 1, (), lambda a, out: seen.append(sf.simd.target()) or a
    )
    _kernels.kernels()["probe"] = kernel
    quick("probe", target=sf.simd.targets()[-1])
    assert set(seen[1:]) == {sf.simd.targets()[-1]}  # the first call makes the output


def test_errors_are_within_their_bounds():
    for name in ("exp", "sin", "power", "sqrt", "rsqrt", "sigmoid", "arctan2"):
        kernel = sf.lab.kernels()[name]
        for code in ("f4", "f8"):
            found = errors(kernel, sf.dtype(code))
            assert 0 < found["spanflow"] <= max(kernel.error_bound, 0.5001)
    assert errors(sf.lab.kernels()["exp"], sf.dtype("f4"))["numpy"] > 0.5


def test_the_error_of_a_bad_function_shows():
    @sf.lab.register("exp", name="crude")
    def crude(a, out):
        np.exp(np.asarray(a).astype("f2"), out=np.asarray(out), dtype="f2", casting="unsafe")

    by_name = {r.contender: r for r in quick("exp").results}
    assert by_name["crude"].ulps > 100 > by_name["spanflow"].ulps
    assert by_name["crude"].error_bound is None


def test_registered_operation():
    calls = []

    @sf.lab.register("axpy", nin=2)
    def mine(a, b, out):
        calls.append((a.shape, b.shape, out.shape))
        np.add(np.asarray(a) * 2, np.asarray(b), out=np.asarray(out))

    @sf.lab.register("axpy")
    def other(a, b, out):
        sf.fma(a, sf.full(a.shape, 2, a.dtype), b, out=out)

    results = quick("axpy", size=[10, 20]).results
    assert [(r.contender, r.size) for r in results] == [
        ("mine", 10), ("other", 10), ("mine", 20), ("other", 20)
    ]  # fmt: skip
    assert set(calls) == {((10,),) * 3, ((20,),) * 3}
    assert quick("registered").results[0].op == "axpy"


@pytest.mark.parametrize(
    "arguments, options, error, words",
    [
        (("add", 3), {}, TypeError, "takes a function"),
        (("a b", len), {}, ValueError, "a name is letters"),
        (("add", len), {"name": ""}, ValueError, "a name is letters"),
        (("add", len), {"name": "numpy"}, ValueError, "is taken"),
        (("new", len), {"nin": 4}, ValueError, "1, 2 or 3 operands, got nin=4"),
    ],
)
def test_register_refuses(arguments, options, error, words):
    with pytest.raises(error, match=words):
        sf.lab.register(*arguments, **options)
    assert "new" not in sf.lab.kernels()


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"op": "ad"}, ValueError, "no operation 'ad'; did you mean 'add'"),
        ({"dtype": "S4"}, ValueError, "measures numbers"),
        ({"dtype": "f5"}, (TypeError, ValueError), "f5"),
        ({"layout": "spiral"}, ValueError, "no layout 'spiral'; there are contiguous"),
        ({"size": "0"}, ValueError, "a size is"),
        ({"size": "4k:1k"}, ValueError, "a range of sizes"),
        ({"size": "1k:4k:1"}, ValueError, "a range of sizes"),
        ({"size": "-3"}, ValueError, "a size is"),
        ({"size": "many"}, ValueError, "got 'many'"),
        ({"target": "SSE17"}, ValueError, "no SIMD target 'SSE17' here"),
        ({"threads": 0}, ValueError, "from 1 to 1024"),
        ({"seconds": 0}, ValueError, "above 0"),
        ({"versus": "R"}, ValueError, "knows 'numpy', got 'R'"),
        ({"dtype": "c8", "op": "less"}, ValueError, "nothing to measure"),
        ({"dtype": "u1", "layout": "unaligned"}, ValueError, "nothing to measure"),
        ({"size": "100G"}, MemoryError, "Choose smaller sizes"),
    ],
)
def test_run_refuses(options, error, words):
    with pytest.raises(error, match=words):
        sf.lab.run(**{"op": "add", "size": 1000, **options})


def test_sizes():
    assert _select.sizes("1k:256k") == [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18]
    assert _select.sizes("10,1k:3k:2,10") == [10, 1024, 2048]
    assert _select.sizes(["2M", 7]) == [2 << 20, 7]
    assert _select.sizes(5) == [5]


def test_dtypes():
    assert [d.name for d in _select.dtypes("all")][:3] == ["bool", "int8", "int16"]
    assert len(_select.dtypes("all")) == 15
    assert _select.dtypes(">f4") == [sf.float32]


def test_ceiling():
    found = sf.lab.ceiling(1 << 14, 1)
    assert min(found.read, found.write, found.copy) > 1e8


def test_passes_move_what_they_say():
    long, short = sf.full(10_000, 3, "u1"), sf.zeros(3000, "u1")
    out = sf.zeros(20_000, "u1")
    assert _core._pass((long, short), out, False, 2) == (39 + 11 + 78) * 256
    assert (out[: 78 * 256] == 1).all() and not out[78 * 256 :].any()
    assert (long == 3).all() and not short.any()
    assert _core._pass((), out, True, 1) == 78 * 256
    assert _core._pass((long,), None, False, 1) == 39 * 256


def test_passes_refuse():
    out = sf.zeros(1024, "u1")
    for arrays, target, words in [
        ((), None, "needs an array"),
        ((out[::2],), None, "contiguous"),
        ((out,), out[1:], "aligned to 64"),
    ]:
        with pytest.raises(ValueError, match=words):
            _core._pass(arrays, target, False, 1)
    with pytest.raises(TypeError, match="tuple"):
        _core._pass([out], None, False, 1)


def test_progress():
    told = []
    quick("add,sum", progress=lambda *words: told.append(words))
    assert told == [(0, 2, "add float32"), (1, 2, "sum float32"), (2, 2, "")]


# ---- files ----


@pytest.fixture(scope="module")
def report():
    return quick("add,exp,sum", size=[100, 1000], target="all", versus="numpy")


def test_table(report):
    lines = str(report).splitlines()
    assert len(lines) == 2 + len(report.results)
    assert lines[0].split()[:3] == ["operation", "dtype", "layout"]
    assert "1,000" in lines[-1] and "numpy" in lines[-1] and lines[-1].endswith("1.00")


def test_json_round_trip(report, tmp_path):
    loaded = sf.lab.Report.load(report.save(tmp_path / "r.json"))
    assert loaded == report


def test_pyperf_reads_the_json(report, tmp_path):
    pyperf = pytest.importorskip("pyperf")
    suite = pyperf.BenchmarkSuite.load(str(report.save(tmp_path / "r.json")))
    assert len(suite) == len(report.results)
    best = sf.simd.targets()[0]
    benchmark = suite.get_benchmark(f"add float32 contiguous 100 1 thread {best}")
    assert math.isclose(benchmark.median(), report.results[0].seconds)


def test_csv(report, tmp_path):
    with open(report.save(tmp_path / "r.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) for row in rows] == [r.seconds for r in report.results]
    assert rows[0]["op"] == "add" and rows[0]["contender"] == "spanflow"


def test_save_refuses(report, tmp_path):
    with pytest.raises(ValueError, match=r"written as \.json, \.csv, \.html"):
        report.save(tmp_path / "r.txt")
    with pytest.raises(FileNotFoundError):
        report.save(tmp_path / "no" / "r.csv")


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"spanflow": 3}', '{"benchmarks": [{}], "spanflow": {}}']
)
def test_load_refuses(text, tmp_path):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ValueError, match="no report"):
        sf.lab.Report.load(tmp_path / "r.json")
