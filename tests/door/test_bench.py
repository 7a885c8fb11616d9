"""The benchmark's options, its table and its verdict; and that what it measures runs."""

import importlib
import json
import sys

import pytest

from bench import options
from bench.measure import Row, beside

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
        (["--items", "0"], "got '0'"),
        (["--batches", "many"], "got 'many'"),
    ],
)
def test_wrong_options(argv, said, capsys):
    with pytest.raises(SystemExit):
        options.parser().parse_args(argv)
    assert said in capsys.readouterr().err


def test_the_defaults_are_what_is_asked_for():
    args = options.parser().parse_args([])
    sizes = {name: value for name, value in options.ASKED.items() if name != "threads"}
    assert {name: getattr(args, name) for name in sizes} == sizes


def test_quick_sizes_are_small_and_can_be_changed():
    args = options.parser().parse_args(["--quick", "--items", "7"])
    assert args.items == 7 and args.batches == options.QUICK["batches"]
    assert all(value < options.ASKED.get(name, 5) for name, value in options.QUICK.items())


def test_which_suites_run(bench):
    def chosen(*argv):
        return bench.chosen(options.parser().parse_args(argv))

    assert chosen() == list(options.SUITES)
    assert chosen("--only", "expr") == ["expr.fused"]
    assert chosen("--pipeline") == list(options.PIPELINE)
    assert chosen("--peers") == list(options.PEERS)


def test_a_row_beside_peers():
    times = {"spanflow": 1e-6, "slow": 8e-6, "fast": 2e-6}
    row = beside("work", "µs", 2.0, times, ["absent"])
    assert row.seen == pytest.approx(1.0) and row.ratio == pytest.approx(0.5) and row.reached
    assert row.note == "fast 2 µs, slow 8 µs, absent is not installed"
    assert beside("work", "µs", 2.0, {"spanflow": 1e-6}).ratio is None


@pytest.mark.parametrize("stages", [1, 3])
def test_every_contender_passes_every_item_through_every_stage(stages):
    contenders = importlib.import_module("bench.pipeline.contenders")
    seen = []

    def last(x):
        seen.append(x)
        return x

    for run in contenders.all_of_them()[0].values():
        assert run(list(range(20)), [lambda x: x + 1] * (stages - 1) + [last]) == 20
        assert sorted(seen) == list(range(stages - 1, 19 + stages))
        seen.clear()


@pytest.mark.parametrize("suite", options.PIPELINE)
def test_the_pipeline_suites_run(suite, tmp_path):
    args = options.parser().parse_args(["--quick", "--scratch", str(tmp_path)])
    rows = list(importlib.import_module(f"bench.{suite}").rows(args))
    assert rows and all(row.seen > 0 or row.note.startswith("needs") for row in rows)
    assert all(row.seconds["spanflow"] > 0 for row in rows if row.unit == "µs" and row.seconds)
