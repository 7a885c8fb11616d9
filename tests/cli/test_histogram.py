"""The histogram of `spanflow describe`: NumPy's counts, round edges, labels that can be read."""

import itertools

import numpy as np
import pytest

import spanflow as sf
from spanflow import _describe, _describe_text


def only_field(array, **options):
    (field,) = _describe.describe(sf.asarray(array), "name", **options)["fields"]
    return field


def labels_of(array):
    histogram = only_field(array)["histogram"]
    return _describe_text._labels(histogram["edges"], len(histogram["counts"]), str(array.dtype))


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


def test_nearly_as_many_bars_as_asked_for():
    random = np.random.default_rng(9)
    for _ in range(100):
        values = random.uniform(-1, 1, 3) * 10 ** random.uniform(-5, 5)
        assert 11 <= len(only_field(values, bins=16)["histogram"]["counts"]) <= 16


@pytest.mark.parametrize("values", [np.arange(1001.0), np.arange(1001), np.arange(0, 2, 0.25)])
def test_the_largest_element_has_no_bar_of_its_own(values):
    histogram = only_field(values)["histogram"]
    assert histogram["edges"][-2] < histogram["edges"][-1]
    assert histogram["counts"][-1] > 1 or len(values) < 16


def test_bars_of_two_integers():
    assert only_field(np.array([0, 1, 1], "u1"))["histogram"]["counts"] == [1, 2]


@pytest.mark.parametrize("code", ["f2", "f4"])
def test_edges_that_the_field_cannot_tell_apart(code):
    one = np.array(1, code)
    values = np.array([one, np.nextafter(one, np.array(2, code), dtype=code)])
    histogram = only_field(values)["histogram"]
    assert sum(histogram["counts"]) == 2 and len(histogram["counts"]) <= 2


@pytest.mark.parametrize("middle, code", [(1e6, "f4"), (1e12, "f8"), (1e-3, "f8"), (-5e4, "f8")])
def test_labels_show_where_bars_begin(middle, code):
    values = np.random.default_rng(2).normal(middle, abs(middle) * 1e-6, 20_000).astype(code)
    labels = labels_of(values)
    assert len(set(labels)) == len(labels)
    ends = [label.split(" to ") for label in labels]
    assert all(low != high for low, high in ends)
    assert all(high == low for (_, high), (low, _) in itertools.pairwise(ends))


def test_labels_of_integers():
    assert labels_of(np.arange(3)) == ["0", "1", "2"]
    assert labels_of(np.arange(1001))[-1] == "960 to 1,000"


@pytest.mark.parametrize("least", [-(2**62), 0])
def test_columns_do_not_run_into_each_other(least):
    text = _describe_text.text(_describe.describe(sf.asarray(np.array([least, 2**62])), "name"))
    line = next(line for line in text.splitlines() if "min" in line)
    assert line.split() == ["min", f"{least:,}", "max", f"{2**62:,}"]


def test_words_around_the_shape():
    text = _describe_text.text(_describe.describe(sf.zeros((0, 3)), "name"))
    assert "0 x 3  (0 elements)" in text
    text = _describe_text.text(_describe.describe(sf.zeros(1), "name"))
    assert "(1 element)" in text
