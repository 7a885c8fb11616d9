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
@pytest.mark.parametrize("low, high", [(0, 1), (0, 1000), (-60_000, 60_000)])
def test_statistics_of_low_precision(code, low, high):
    values = np.random.default_rng(3).uniform(low, high, 200_000).astype(code)
    check_against_numpy(only_field(values), values, rtol=1e-9)


@pytest.mark.parametrize(
    "values", [np.random.default_rng(3).random(5000) * 1e30, np.array([3e38, 3e38, -1])]
)
def test_squares_that_float32_does_not_have(values):
    values = values.astype("f4")
    field = only_field(values)
    assert math.isclose(field["mean"], values.mean(dtype="f8"), rel_tol=1e-9)
    assert math.isclose(field["std"], values.std(dtype="f8"), rel_tol=1e-9)


def test_bfloat16():
    values = np.random.default_rng(3).uniform(0, 1e30, 5000)
    rounded = np.array(sf.asarray(values).astype("bfloat16").astype("f8").tolist())
    field = only_field(sf.asarray(values).astype("bfloat16"))
    check_against_numpy(field, rounded)


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


def test_special_complex_values_are_counted_apart():
    values = np.array([1, 2, np.nan + 1j, np.inf, complex(0, np.nan), complex(1, -np.inf), 0])
    for code in ("c16", "c8", ">c16"):
        field = only_field(values.astype(code))
        assert (field["nan"], field["infinite"], field["zeros"]) == (2, 2, 1)
        assert field["mean"] == [1, 0]
        assert math.isclose(field["std"], math.sqrt(2 / 3))


def test_complex_values_that_complex64_does_not_square():
    assert only_field(np.array([3e38 + 3e38j, -3e38], "c8"))["std"] == pytest.approx(3.3541e38)


def run(*arguments, **options):
    command = [sys.executable, "-m", "spanflow", *arguments]
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
    for piece in ("2 x 3", "int32", "mean", "2.5", "16.67%"):
        assert piece in done.stdout


def test_a_file_name_that_is_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/bad\xff.npy"
    with open(path, "wb") as file:
        np.save(file, np.arange(3))
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    assert run("describe", path, env=strict).returncode == 0
    done = run("describe", path + b"x", env=strict)
    assert done.returncode == 1 and "No such file" in done.stderr


def test_standard_output_is_closed(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5))
    command = f"{sys.executable} -m spanflow describe {tmp_path / 'a.npy'} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_npy_file_is_not_read_as_raw(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5))
    done = run("describe", tmp_path / "a.npy", "--dtype", "f4")
    assert done.returncode == 1 and "leave --dtype away" in done.stderr
    assert run("describe", tmp_path / "a.npy", "--dtype", "i8", "--offset", "128").returncode == 0


def test_a_raw_file_of_records(tmp_path):
    np.array([(1, 2), (3, 4)], "i4,f8").tofile(tmp_path / "raw")
    done = run("describe", tmp_path / "raw", "--dtype", "[('a', '<i4'), ('b', '<f8')]", "--json")
    assert [field["max"] for field in json.loads(done.stdout)["fields"]] == [3, 4]


WRONG_VALUES = [
    (("--shape", "10,x"), "such as 1000,512, got '10,x'"),
    (("--shape", "("), "such as 1000,512, got '('"),
    (("--bins", "many"), "from 1 to 100, got 'many'"),
    (("--threads", "0"), "from 1 to 1,024, got '0'"),
    (("--offset", "9" * 30), "from 0 to 9,223,372,036,854,775,807, got '999"),
    (("--dtype", "f4,i4"), "Write a record as"),
    (("--dtype", "[('a', "), "Write a record as"),
]


@pytest.mark.parametrize("arguments, said", WRONG_VALUES)
def test_wrong_values_say_what_is_allowed(arguments, said):
    dtype = () if arguments[0] == "--dtype" else ("--dtype", "f4")
    done = run("describe", "x", *dtype, *arguments)
    assert done.returncode == 2 and said in done.stderr and "invalid _" not in done.stderr


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
