"""What a run says about where its time went."""

import re
import time

import numpy as np
import pytest

import spanflow as sf
from spanflow import _report
from spanflow._report import Report


def stage(name, mode="parallel", busy=0.0, attached=0.0, items=10, workers=0, most=0):
    times = {"p50": busy / 10, "p90": busy / 10, "p99": busy / 10}
    return {"name": name, "mode": mode, "items": items, "items_out": items, "nbytes": 100,
            "busy": busy, "wait": 0.0, "attached": attached, "times": [],
            "workers": workers, "workers_most": most, **times}  # fmt: skip


def report(*stages, elapsed=1.0, threads=2, consuming=0.0, peak=10, memory=1000):
    attached = sum(each["attached"] for each in stages)
    return Report({"threads": threads, "elapsed": elapsed, "idle": 0.0, "consumer_wait": 0.0,
                   "attached": attached, "handover": 0.0, "detached": 0.5, "delivered": 10, "tokens": 0,
                   "next": elapsed - consuming, "tokens_peak": 2, "nbytes": 0, "nbytes_peak": peak, "nbytes_made": 0,
                   "memory": memory, "stages": list(stages)})  # fmt: skip


@pytest.mark.parametrize(
    "found, words",
    [
        (report(stage("read()", busy=0.1), stage("map(f)", busy=1.8)),
         r"Bottleneck: map\(f\), with 95% of the time of 2 threads .* threads="),
        (report(stage("iterate(generator)", "serial_in_order", busy=0.97), stage("map(f)", busy=0.1)),
         r"the source iterate\(generator\), .* busy for 97% .* map\(\)"),
        (report(stage("read()", busy=0.1), stage("tap(f)", "serial_in_order", busy=0.9)),
         r"tap\(f\), which takes one item at a time"),
        (report(stage("read()", busy=0.1), stage("map(f)", busy=0.4), peak=1000),
         r"the memory of 1 kB, which was used up"),
        (report(stage("read()", busy=0.1), stage("map(f)", busy=0.1), consuming=0.9),
         r"whoever takes the items"),
        (report(stage("read()", busy=0.1), stage("map(f)", busy=3.8, workers=4, most=4)),
         r"map\(f\), of which the 4 calls at once were at work for 95%"),
        (report(stage("read()", busy=0.2), stage("map(f)", busy=0.8)),
         r"No single bottleneck; map\(f\) took most of the work \(80%\)"),
        (report(stage("read()", items=0)), "Nothing has passed yet"),
        (report(stage("read()"), elapsed=0.0), "Nothing has passed yet"),
    ],
)  # fmt: skip
def test_bottlenecks(found, words):
    assert re.search(words, found.bottleneck)
    assert found.bottleneck in str(found)


def test_the_gil_is_named_where_there_is_one(monkeypatch):
    found = report(stage("read()", busy=0.1), stage("map(f)", busy=1.7, attached=0.9))
    monkeypatch.setattr(_report, "has_gil", lambda: True)
    assert "the GIL, which map(f) and other Python functions held for 90%" in found.bottleneck
    monkeypatch.setattr(_report, "has_gil", lambda: False)
    assert "map(f), with 94% of the time" in found.bottleneck


def test_a_report_of_a_run():
    a = np.arange(100_000, dtype="f4").reshape(-1, 10)
    with sf.Pipeline(sf.read(a, rows=100)).map(sf.multiply, 2).batch(7).run(threads=2) as run:
        count = sum(1 for _ in run)
        found = run.report()
    assert count == 15
    text = str(found)
    lines = text.splitlines()
    assert lines[0].startswith("15 items in ") and "2 threads" in lines[0]
    names = [line.split("  ")[0] for line in lines[4:8]]
    assert names == ["read(rows=100)", "map(multiply)", "batch(7)", "stacking of batch(7)"]
    assert re.search(r"batch\(7\) +in order +100 +15", text)
    assert repr(found) == text and str(run.report()) == text  # also after the end
    html = found._repr_html_()
    assert html.count("<rect") == 4 and "batch(7)" in html


def test_times_of_items():
    def work(i):
        time.sleep(0.02 if i % 10 == 0 else 0.001)

    with sf.Pipeline(range(100)).map(work).run(threads=1) as run:
        list(run)
        times = run.stats()["stages"][1]
    assert times["p50"] * 1.2 >= 0.001 and times["p50"] <= times["p90"] <= times["p99"]
    assert times["p99"] * 1.2 >= 0.02
    empty = sf.Pipeline([]).map(work).run()
    assert list(empty) == [] and empty.stats()["stages"][1]["p99"] == 0


@pytest.mark.parametrize(
    "value, text", [(0, "0"), (3e-9, "3 ns"), (1.5e-6, "1.5 µs"), (0.25, "250 ms"), (12.0, "12 s")]
)
def test_seconds(value, text):
    assert _report.seconds_text(value) == text


def test_what_sleeps_does_not_hold_the_gil():
    run = sf.Pipeline(range(60)).map(lambda x: time.sleep(0.01)).run(threads=4)
    list(run)
    found = run.report()
    assert found.gil_share < 0.5
    assert "map(<lambda>), with" in found.bottleneck and "More threads=" in found.bottleneck


def test_a_slow_consumer_is_named():
    """Also where items wait for it, so that the memory is full, and where functions sleep."""
    chunks = sf.Pipeline(sf.read(np.zeros((500, 4000)), rows=5)).map(sf.add, 1)
    sleeping = sf.Pipeline(range(60)).map(lambda x: time.sleep(0.004))
    for run in (chunks.run(threads=2, memory="400kB"), sleeping.run(threads=2)):
        for _ in run:
            time.sleep(0.008)
        assert "whoever takes the items" in run.report().bottleneck
