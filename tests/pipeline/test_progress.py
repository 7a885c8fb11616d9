"""run(progress=True): what is shown, where, and that nothing of it stays behind."""

import io
import re
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

import spanflow as sf
from spanflow import _progress, _watch

A = np.arange(100_000, dtype="f4").reshape(-1, 10)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def plain(monkeypatch):
    """Standard error without a terminal, and lines at once instead of every five seconds.

    A function, because pytest puts its own stream back between a fixture and the test.
    """

    def begin():
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(_progress, "_LOG_SECONDS", 0.0)
        return stream

    return begin


@pytest.fixture
def terminal(monkeypatch):
    def begin():
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr(_watch, "_SECONDS", 0.05)
        return stream

    return begin


def slow(x):
    time.sleep(0.02)
    return x


def test_lines_where_there_is_no_terminal(plain):
    stream = plain()
    pipe = sf.Pipeline(sf.read(A, rows=500)).map(slow)
    with pipe.run(threads=2, progress=True) as run:
        assert len(list(run)) == 20
    *lines, last = stream.getvalue().splitlines()
    assert len(lines) >= 2 and "\x1b" not in stream.getvalue()
    done = [
        int(re.search(r"\] +\d+%  ([\d,]+)/20 items  [\d.]+ items/s", line)[1]) for line in lines
    ]
    assert done == sorted(done) and done[-1] > done[0]
    assert any(re.search(r"B/s  0:\d\d left", line) for line in lines)
    assert re.match(r"20 items out of 20 in .*s  .* items/s  .*B/s$", last)


def test_a_line_that_is_redrawn(terminal, monkeypatch):
    stream = terminal()
    monkeypatch.setitem(sys.modules, "rich.console", None)
    list(sf.Pipeline(sf.read(A, rows=500)).map(slow).run(threads=1, progress=True))
    text = stream.getvalue()
    assert text.count("\r\x1b[2K[") >= 2 and text.count("\n") == 1
    assert all(len(part) < 120 + 8 for part in text.split("\r"))
    assert re.search(r"20 items out of 20 in .*\n$", text)


def test_rich(terminal):
    stream = terminal()
    pytest.importorskip("rich")
    before = threading.enumerate()
    with sf.Pipeline(sf.read(A, rows=500)).map(slow).run(threads=1, progress=True) as run:
        next(run)
        during = [t for t in threading.enumerate() if t not in before]
        list(run)
    assert during == []  # rich's own thread would redraw while nobody waits
    text = stream.getvalue()
    assert "/20 items" in text and "left" in text
    assert "20 items out of 20 in" in text.splitlines()[-1]


def test_a_name_is_no_markup(terminal):
    stream = terminal()

    def work(x):
        time.sleep(0.03)
        return x

    work.__name__ = "[bold]"
    list(sf.Pipeline(range(12)).tap(work).run(threads=1, progress=True))
    assert "limit: tap([bold])" in stream.getvalue()


class Handle:
    def __init__(self):
        self.shown = []

    def update(self, html):
        self.shown.append(html)


def test_a_notebook(monkeypatch):
    monkeypatch.setattr(_watch, "_SECONDS", 0.05)
    handle = Handle()
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display.HTML = str
    display.display = lambda first, display_id: handle
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    list(sf.Pipeline(sf.read(A, rows=500)).map(slow).run(threads=1, progress=True))
    assert len(handle.shown) >= 2
    assert re.match(r'<progress max="20" value="\d+"></progress> <code>\d+/20', handle.shown[0])
    assert handle.shown[-1].startswith("<code>20 items out of 20")
    ipython.get_ipython = lambda: object()  # a shell in a terminal
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    list(sf.Pipeline(range(3)).run(progress=True))
    assert sys.stderr.getvalue().startswith("3 items out of 3")


@pytest.mark.parametrize("verb", ["collect", "reduce", "for_each", "native"])
def test_every_verb_shows(verb, plain):
    stream = plain()
    pipe = sf.Pipeline(sf.read(A, rows=500)).map(slow)
    {
        "collect": lambda: pipe.collect(progress=True),
        "reduce": lambda: pipe.reduce(lambda a, b: b, progress=True),
        "for_each": lambda: pipe.for_each(len, progress=True, threads=1),
        "native": lambda: pipe.reduce(sf.sum, progress=True, threads=2),
    }[verb]()  # fmt: skip
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 3 and "20/20" not in lines[0] and " out of 20 in" in lines[-1]


def test_nothing_is_shown_without_it(plain):
    stream = plain()
    sf.Pipeline(A).map(slow).collect()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "source, add, length",
    [
        (sf.read(A, rows=300), lambda p: p, 34),
        (A, lambda p: p, 1),
        (np.zeros((10, 1000, 1000)), lambda p: p, 10),
        (A[:0], lambda p: p, 0),
        ([1, 2, 3], lambda p: p.map(slow), 3),
        (range(9), lambda p: p.take(4), 4),
        (range(9), lambda p: p.map(slow).enumerate().tap(slow).take(20), 9),
        (range(9), lambda p: p.filter(slow).take(2), 9),
        (iter([1]), lambda p: p, None),
        (iter([1]), lambda p: p.take(2), None),
    ],
)
def test_lengths(source, add, length):
    pipe = add(sf.Pipeline(source))
    assert _watch.length_of(pipe._source, pipe._stages) == length
    if isinstance(source, (list, range, sf.Array)) and not pipe._stages:
        assert len(list(pipe.run())) == length


def test_an_unknown_length_has_no_end(plain):
    stream = plain()
    list(sf.Pipeline(slow(i) for i in range(20)).run(threads=2, progress=True))
    line = stream.getvalue().splitlines()[0]
    assert re.match(r"\d+ items  ", line) and "left" not in line
    assert "limit: the source" in stream.getvalue()


@pytest.mark.parametrize(
    "seconds, text", [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")]
)
def test_clocks(seconds, text):
    assert _watch._clock(seconds) == text


def test_the_end_is_shown_once_however_it_comes(plain):
    stream = plain()

    def count():
        lines = [line for line in stream.getvalue().splitlines() if " out of " in line]
        stream.truncate(0)
        stream.seek(0)
        return len(lines)

    with sf.Pipeline(range(1000)).run(progress=True) as run:  # early
        next(run)
    assert count() == 1
    run = sf.Pipeline([1, 0]).map(lambda x: 1 / x).run(progress=True)  # an error
    with pytest.raises(ZeroDivisionError):
        list(run)
    assert count() == 1 and list(run) == [] and count() == 0
    run = sf.Pipeline(range(1000)).run(progress=True)  # nobody wants it any more
    next(run)
    del run
    assert count() == 1
    run = sf.Pipeline(range(1000)).run(progress=True)
    run.cancel()
    with pytest.raises(sf.PipelineError):
        next(run)
    assert count() == 1


@pytest.mark.parametrize("stream", [None, "closed", "full"])
def test_a_stream_that_nobody_reads(stream, monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(_progress, "_LOG_SECONDS", 0.0)
    made = {None: None, "closed": io.StringIO(), "full": Full()}[stream]
    if stream == "closed":
        made.close()
    monkeypatch.setattr(sys, "stderr", made)
    assert len(sf.Pipeline(range(10)).map(slow).collect(progress=True)) == 10


def test_an_error_of_a_watcher_is_not_swallowed():
    def watch(run, is_last):
        if not is_last:
            raise KeyboardInterrupt

    run = sf._core._start_run(iter(lambda: slow(1), 0), (), 1, 0, -1, 0, 0, watch)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    with pytest.raises(sf.PipelineError):
        next(run)


@pytest.mark.parametrize("keep", [True, False])
def test_a_run_that_is_left_at_exit_says_no_more_than_its_line(keep):
    code = f"""
import sys
import spanflow as sf
run = sf.Pipeline(range(10**9)).map(lambda x: x).run(progress=True, threads=3)
next(run)
if {keep}:
    sys.modules["keep"] = run
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) <= 1 and all(" items out of " in line for line in lines)


def test_threads_end_with_the_run(plain):
    plain()
    before = set(threading.enumerate())
    for _ in range(3):
        with sf.Pipeline(range(100)).map(slow).run(threads=2, progress=True) as run:
            next(run)
    assert set(threading.enumerate()) <= before


def test_a_watcher_is_freed_with_the_run():
    import gc
    import weakref

    class Watcher:
        def __call__(self, run, is_last):
            self.run = run  # a cycle

    watcher = Watcher()
    gone = weakref.ref(watcher)
    run = sf._core._start_run([1, 2], (), 1, 0, -1, 0, 0, watcher)
    watcher.run = run
    del watcher, run
    gc.collect()
    assert gone() is None


def test_progress_costs_next_to_nothing(plain, monkeypatch):
    """Looking at the clock is all that most items pay; and the pictures take less than 1 %."""
    plain()
    spent = []
    call = _watch.Watch.__call__

    def timed(self, run, is_last):
        begun = time.perf_counter()
        call(self, run, is_last)
        spent.append(time.perf_counter() - begun)

    monkeypatch.setattr(_watch.Watch, "__call__", timed)
    monkeypatch.setattr(_progress, "_LOG_SECONDS", 0.1)  # as often as on a terminal
    begun = time.perf_counter()
    list(sf.Pipeline(range(400_000)).run(threads=1, progress=True))
    elapsed = time.perf_counter() - begun
    assert sum(spent) < 0.01 * max(elapsed, 0.5)
