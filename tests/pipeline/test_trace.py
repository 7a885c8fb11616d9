"""run(trace=True) and Run.trace(path): the Chrome trace format, whole or with what it lacks."""

import itertools
import json
import os
import threading
import time
import warnings

import numpy as np
import pytest

import spanflow as sf

A = np.arange(40_000, dtype="f4").reshape(-1, 10)


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def work(x):
    time.sleep(0.001)
    return x


def test_a_trace(tmp_path):
    pipe = sf.Pipeline(sf.read(A, rows=100)).map(sf.multiply, 2).map(work).tap(len)
    with pipe.run(threads=2, trace=True) as run:
        assert len(list(run)) == 40
        path = run.trace(tmp_path / "trace.json")
    assert path == tmp_path / "trace.json"
    trace = load(path)
    assert trace["otherData"]["dropped_events"] == "0"
    events = trace["traceEvents"]
    assert {e["ph"] for e in events} <= set("MXbeC")
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names[0] == "consumer" and "thread 1" in names.values()
    slices = [e for e in events if e["ph"] == "X"]
    assert all(e["ts"] >= 0 and e["dur"] >= 0 and e["tid"] in names for e in slices)
    for stage in ("map(multiply)", "map(work)", "tap(len)"):
        items = sorted(e["args"]["item"] for e in slices if e["name"] == stage)
        assert items[:40] == list(range(40))
    work_times = [e["dur"] for e in slices if e["name"] == "map(work)"]
    assert min(work_times) >= 1000
    assert any(e["name"] == "read(rows=100)" for e in slices)
    # A thread is at one place at a time.
    for tid in names:
        if tid == 0:
            continue  # the consumer's waits have a ring of their own
        mine = sorted((e["ts"], e["dur"]) for e in slices if e["tid"] == tid)
        for (ts, dur), (after, _) in itertools.pairwise(mine):
            assert after >= ts + dur - 0.002
    waits = [e for e in events if e["ph"] in "be"]
    assert len(waits) % 2 == 0
    opened = {(e["id"], e["name"]): e["ts"] for e in waits if e["ph"] == "b"}
    for e in waits:
        if e["ph"] == "e":
            assert e["ts"] >= opened[e["id"], e["name"]] and e["name"].startswith("before ")
    counters = {e["name"] for e in events if e["ph"] == "C"}
    assert counters == {"tokens", "bytes held"}
    held = [e["args"]["value"] for e in events if e["name"] == "bytes held"]
    assert max(held) <= run.stats()["nbytes_peak"] and max(held) > 0


def test_the_last_events_are_kept_and_the_others_counted(tmp_path):
    with sf.Pipeline(range(5000)).map(abs).run(threads=2, trace=50) as run:
        list(run)
    with pytest.warns(RuntimeWarning, match=r"lacks [\d,]+ older events: run\(trace=n\)"):
        trace = load(run.trace(tmp_path / "t.json"))
    dropped = int(trace["otherData"]["dropped_events"])
    assert dropped > 1000
    assert any(e["name"] == f"{dropped} older events were dropped" for e in trace["traceEvents"])
    items = [e["args"]["item"] for e in trace["traceEvents"] if e["name"] == "map(abs)"]
    assert max(items) == 4999


def test_a_trace_while_it_runs(tmp_path):
    stop = threading.Event()
    run = sf.Pipeline(iter(lambda: work(1), 0)).map(work).run(threads=2, trace=64)

    def consume():
        for _ in run:
            if stop.is_set():
                break

    consumer = threading.Thread(target=consume)
    consumer.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for i in range(20):
            load(run.trace(tmp_path / f"{i}.json"))
            time.sleep(0.005)
    stop.set()
    consumer.join()
    run.cancel()


def test_a_trace_after_an_error(tmp_path):
    run = sf.Pipeline([1, 0]).map(lambda x: 1 / x).run(trace=True)
    with pytest.raises(ZeroDivisionError):
        list(run)
    assert any(e["name"] == "map(<lambda>)" for e in load(run.trace(tmp_path / "t"))["traceEvents"])


def test_wrong_uses(tmp_path):
    pipe = sf.Pipeline([1, 2])
    run = pipe.run()
    list(run)
    for later in (run, pipe.run(trace=False), pipe.run(trace=0)):
        with pytest.raises(ValueError, match=r"keeps no trace: start it with run\(trace=True\)"):
            later.trace(tmp_path / "t")
    for trace, error in [(-1, ValueError), (2**20 + 1, ValueError), (1.5, TypeError),
                         ("t.json", TypeError), (None, TypeError)]:  # fmt: skip
        with pytest.raises(error, match="trace must be"):
            pipe.run(trace=trace)
    run = pipe.run(trace=True)
    list(run)
    with pytest.raises(OSError, match="nowhere"):
        run.trace(tmp_path / "nowhere" / "t")
    with pytest.raises(TypeError):
        run.trace(3)
    with pytest.raises(TypeError, match="takes exactly one argument"):
        run.trace()
    with pytest.raises(TypeError, match="keyword argument.*trace"):
        pipe.collect(trace=True)


def test_names_are_text_of_json(tmp_path):
    def f(x):
        return x

    f.__name__ = 'größe "\\\n\x01'
    with sf.Pipeline([1]).map(f).run(trace=True) as run:
        list(run)
    names = {e["name"] for e in load(run.trace(os.fspath(tmp_path / "t")))["traceEvents"]}
    assert f"map({f.__name__})" in names


def test_levels_are_in_the_report():
    with sf.Pipeline(sf.read(A, rows=100)).map(sf.multiply, 2).run(trace=True) as run:
        list(run)
    levels = run.report().levels
    assert levels == sorted(levels) and len(levels) >= 40
    assert max(held for _, _, held in levels) <= run.stats()["nbytes_peak"]
    run = sf.Pipeline([1]).run()
    assert run.report().levels == []
