"""The benchmark's options, its table and its verdict; nothing is measured here."""

import importlib
import json
import sys

import pytest

from bench import options
from bench.measure import Row

pytest.importorskip("numpy")


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # the module puts the tree first
    return importlib.import_module("bench.run")


FAST = Row("bindings", "a slice", "ns", 70, 80, seconds={"spanflow": 70e-9, "numpy": 100e-9})
SLOW = Row("bindings", "a call", "ns", 300, 250, seconds={"spanflow": 300e-9, "numpy": 400e-9})
ALONE = Row("pipeline", "a stage", "µs", 0.2, 1.0, seconds={"1 stage": 1, "5 stages": 2})


def test_the_ratio_to_the_peer(bench):
    assert FAST.ratio == pytest.approx(0.7) and ALONE.ratio is None
    assert bench.line(FAST, True).split()[-1] == "0.70"
    assert "0.75  MISSED" in bench.line(SLOW, True)


def test_other_sizes_are_not_judged(bench, tmp_path):
    assert "not judged" in bench.line(SLOW, False) and "MISSED" not in bench.line(SLOW, False)
    assert bench.verdict([FAST, SLOW], True).startswith("1 of 2 figures")
    assert "not judged" in bench.verdict([FAST, SLOW], False)
    facts = {**bench.machine(), "elements": 5}
    written = json.loads(
        bench.write_json(tmp_path / "x.json", facts, False, [SLOW]).read_text("utf-8")
    )
    assert written["judged"] is False and written["rows"][0]["reached"] is None
    assert {"cpu", "date", "elements"} <= written["machine"].keys()


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--only", "nonsense"], "'nonsense' is in none of"),
        (["--threads", "0"], "from 1 to 1024, got '0'"),
        (["--threads", "-3"], "from 1 to 1024, got '-3'"),
        (["--elements", "x"], "got 'x'"),
        (["--slow-rounds", "0"], "got '0'"),
    ],
)
def test_wrong_options(argv, said, capsys):
    with pytest.raises(SystemExit):
        options.parser().parse_args(argv)
    assert said in capsys.readouterr().err


def test_the_defaults_are_what_is_asked_for():
    args = options.parser().parse_args([])
    assert {name: getattr(args, name) for name in ("elements", "mapped_bytes")} == {
        name: value for name, value in options.ASKED.items() if name != "threads"
    }
