"""`spanflow describe`: what it says of arrays is what NumPy says."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import spanflow as sf
from spanflow import _describe


def described(array, **options):
    return _describe.describe(sf.asarray(array), "name", **options)


def only_field(array, **options):
    (field,) = described(array, **options)["fields"]
    return field


def check_against_numpy(field, values, rtol=1e-9):
    assert field["count"] == values.size
    assert field["min"] == values.min()
    assert field["max"] == values.max()
    assert math.isclose(field["mean"], values.mean(dtype="f8"), rel_tol=rtol, abs_tol=1e-12)
    assert math.isclose(field["std"], values.std(dtype="f8"), rel_tol=rtol, abs_tol=1e-12)
    assert field["zeros"] == (values == 0).sum()


@pytest.mark.parametrize("code", ["?", "i1", "u1", "<i2", ">i4", "u8", "f8", ">f8"])
def test_statistics(code, monkeypatch):
    monkeypatch.setattr(_describe, "_BLOCK_BYTES", 1000)  # many blocks, the last one shorter
    values = np.random.default_rng(3).integers(0, 100, 5003).astype(code)
    check_against_numpy(only_field(values), values)


@pytest.mark.parametrize("code", ["f2", "f4"])
def test_statistics_of_low_precision(code):
    values = np.random.default_rng(3).normal(5, 2, 40_000).astype(code)
    check_against_numpy(only_field(values), values, rtol=1e-3 if code == "f2" else 1e-6)


@pytest.mark.parametrize(
    "make", [lambda a: a.T, lambda a: a[::2, ::-3], lambda a: a[0, 0], lambda a: a[3]]
)
def test_layouts(make):
    values = make(np.random.default_rng(4).normal(size=(30, 40)))
    check_against_numpy(only_field(values), np.asarray(values))


def test_moments_of_blocks_that_are_far_apart(monkeypatch):
    monkeypatch.setattr(_describe, "_BLOCK_BYTES", 80)
    values = np.concatenate([np.full(15, 1e9), np.full(25, 1e9 + 1), np.full(7, 1e9 + 2)])
    assert math.isclose(only_field(values)["std"], values.std(), rel_tol=1e-9)


def test_special_values_are_counted_apart(monkeypatch):
    monkeypatch.setattr(_describe, "_BLOCK_BYTES", 400)
    values = np.arange(1000, dtype="f8")
    values[[3, 500]] = np.nan
    values[[10, 20, 999]] = np.inf
    values[700] = -np.inf
    field = only_field(values)
    assert (field["nan"], field["infinite"], field["count"]) == (2, 4, 1000)
    finite = values[np.isfinite(values)]
    assert (field["min"], field["max"]) == (finite.min(), finite.max())
    assert math.isclose(field["mean"], finite.mean())
    assert math.isclose(field["std"], finite.std())
    assert sum(field["histogram"]["counts"]) == finite.size


def test_nothing_but_special_values():
    field = only_field(np.array([np.nan, np.inf]))
    assert field["mean"] is None and field["min"] is None and field["histogram"] is None


def test_empty():
    field = only_field(np.zeros((0, 3)))
    assert field["count"] == 0 and field["mean"] is None


@pytest.mark.parametrize("values", [np.arange(100.0), np.arange(10_000) % 7, np.zeros(5)])
@pytest.mark.parametrize("bins", [1, 4, 16])
def test_histogram_is_numpys(values, bins):
    histogram = only_field(values, bins=bins)["histogram"]
    edges = np.array(histogram["edges"], dtype="f8")
    edges[-1] = np.nextafter(edges[-1], np.inf)  # the last bar includes its end
    assert len(histogram["counts"]) == len(edges) - 1 <= bins
    if edges[0] < histogram["edges"][-1]:
        assert histogram["counts"] == np.histogram(values, edges)[0].tolist()
    assert sum(histogram["counts"]) == values.size


def test_histogram_has_round_edges():
    values = np.random.default_rng(8).normal(size=10_000)
    assert all(edge * 2 == int(edge * 2) for edge in only_field(values)["histogram"]["edges"][1:-1])


@pytest.mark.parametrize("low, high", [(-1.7e308, 1.7e308), (5e-324, 1e-323), (-1e-5, 1e300)])
def test_histogram_of_extremes(low, high):
    histogram = only_field(np.array([low, high, low, 0.0]))["histogram"]
    assert sum(histogram["counts"]) == 4


@pytest.mark.parametrize("code", ["i8", "u8"])
def test_histogram_of_the_largest_integers(code):
    info = np.iinfo(code)
    histogram = only_field(np.array([info.min, info.max, 0, 1], code))["histogram"]
    assert sum(histogram["counts"]) == 4
    assert histogram["edges"][0] == info.min and histogram["edges"][-1] == info.max


@pytest.mark.parametrize("values", [[True, True], [False], [False, True, True]])
def test_histogram_of_bool(values):
    histogram = only_field(np.array(values))["histogram"]
    assert histogram["counts"] == [values.count(value) for value in sorted(set(values))]


def test_outliers_that_the_sample_misses():
    values = np.zeros(1_000_000)
    values[123_457] = 1e6  # not where samples are taken
    histogram = only_field(values)["histogram"]
    assert histogram["edges"][-1] == 1e6
    assert sum(histogram["counts"]) == values.size


def test_large_arrays_are_sampled(monkeypatch):
    monkeypatch.setattr(_describe, "_HISTOGRAM_WORK", 64_000)
    monkeypatch.setattr(_describe, "_BLOCK_BYTES", 800)
    field = only_field(np.random.default_rng(5).random(10_000))
    assert field["count"] == 10_000
    assert 500 <= field["histogram"]["elements"] <= 1500


def test_records():
    record = np.dtype([("t", "f8"), ("name", "S4"), ("in", [("x", ">f4"), ("y", "i2", (3,))])])
    table = np.zeros(500, record)
    table["t"] = np.arange(500)
    table["in"]["x"] = np.arange(500)[::-1]
    table["in"]["y"][:, 1] = 7
    fields = {field["name"]: field for field in described(table)["fields"]}
    assert list(fields) == ["t", "name", "in.x", "in.y"]
    check_against_numpy(fields["t"], table["t"])
    check_against_numpy(fields["in.x"], table["in"]["x"], 1e-6)
    check_against_numpy(fields["in.y"], table["in"]["y"])
    assert "mean" not in fields["name"]


def test_complex():
    field = only_field(np.array([1 + 2j, 3 - 4j, 0]))
    assert field["mean"] == pytest.approx([4 / 3, -2 / 3])
    assert field["min"] is None and field["zeros"] == 1


def run(*arguments, **options):
    command = [sys.executable, "-m", "spanflow", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_json_is_what_describe_returns(tmp_path):
    values = np.asfortranarray(np.random.default_rng(6).random((20, 30)))
    np.save(tmp_path / "a.npy", values)
    done = run("describe", "--json", tmp_path / "a.npy")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["shape"], answer["dtype"], answer["order"]) == ([20, 30], "float64", "F")
    check_against_numpy(answer["fields"][0], values)


def test_text(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6, dtype="i4").reshape(2, 3))
    done = run("describe", tmp_path / "a.npy")
    assert done.returncode == 0, done.stderr
    for piece in ("2x3", "int32", "mean", "2.5", "16.67%"):
        assert piece in done.stdout


def test_text_without_unicode(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(7).random(100))
    done = run("describe", tmp_path / "a.npy", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "####" in done.stdout


def test_raw_file(tmp_path):
    np.arange(10, dtype=">i2").tofile(tmp_path / "raw")
    done = run("describe", tmp_path / "raw", "--dtype", ">i2", "--shape", "2,4", "--offset", "4",
               "--json")  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["shape"] == [2, 4] and answer["fields"][0]["min"] == 2


BAD_FILES = {
    "missing": (None, "No such file"),
    "empty": (b"", "a"),
    "text": (b"hello, this is no array at all", "a"),
    "truncated": (b"\x93NUMPY\x01\x00", "a"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_exit_with_1(name, tmp_path):
    content, said = BAD_FILES[name]
    path = tmp_path / "a.npy"
    if content is not None:
        path.write_bytes(content)
    done = run("describe", path)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.startswith("spanflow describe: ") and done.stdout == ""


def test_directory(tmp_path):
    done = run("describe", tmp_path)
    assert done.returncode == 1 and "irectory" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["describe"], ["describe", "x", "--bins", "0"],
     ["describe", "x", "--offset", "4"], ["describe", "x", "--shape", "a,b"]],
)  # fmt: skip
def test_wrong_use_exits_with_2(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and "usage" in done.stderr


def test_nobody_listens(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5))
    command = f"{sys.executable} -m spanflow describe {tmp_path / 'a.npy'} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
