"""Report.save(): a page that needs nothing else, in a real browser; and what it says of the GIL."""

import html
import os
import re
import time

import numpy as np
import pytest

import spanflow as sf
from spanflow._report import Report
from tests.browser import BROWSER, browse
from tests.pipeline.test_report import report, stage

A = np.ones(1 << 22, "f4")


@pytest.fixture(scope="module")
def traced():
    pipe = sf.Pipeline(sf.read(A, rows=1 << 15)).map(sf.exp).map(lambda x: x).map(sf.sum)
    with pipe.run(threads=2, trace=True, memory="4MB") as run:
        list(run)
    return run.report()


def test_a_page_needs_nothing_else(traced, tmp_path):
    path = tmp_path / "report.html"
    assert traced.save(path) == path and traced.save(str(path)) == path
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"""(src|href)\s*=\s*["']|url\(|@import|<script|http://(?!www.w3.org)""", text
    )
    for part in (html.escape(traced.bottleneck), "Stages", "map(&lt;lambda&gt;)", 'id="times"', 'id="memory"',
                 "The run might hold 4 MB", "p99"):  # fmt: skip
        assert part in text
    assert text.count("<tr>") == 5
    assert text.count('class="mark"') == 12  # p50, p90 and p99 of four stages
    bars = re.findall(r"<title>([\d,]+) items", text)
    assert sum(int(count.replace(",", "")) for count in bars) == 4 * 128


def test_a_page_without_a_trace_has_no_memory_over_time(tmp_path):
    with sf.Pipeline([1, 2]).map(abs).run() as run:
        list(run)
    text = run.report().save(tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'id="memory"' not in text and 'id="times"' in text


def test_a_page_of_nothing(tmp_path):
    run = sf.Pipeline([]).run(trace=True)
    list(run)
    assert "Nothing has passed yet" in run.report().save(tmp_path / "r").read_text(encoding="utf-8")
    early = sf.Pipeline([1]).map(abs).run().report()  # before the first item
    assert early.save(tmp_path / "r").stat().st_size > 1000


def test_names_are_no_markup(tmp_path):
    page = report(stage("map(<script>alert(1)</script>)", busy=0.5))
    assert "<script" not in page.save(tmp_path / "r").read_text(encoding="utf-8")


def test_wrong_paths(traced, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        traced.save(tmp_path / "nowhere" / "r.html")
    with pytest.raises(TypeError):
        traced.save(3)


needs_browser = pytest.mark.skipif(
    BROWSER is None and "SPANFLOW_TEST_BROWSER" not in os.environ,
    reason="no chromium; `setup.py test --browser` installs it",
)


@needs_browser
def test_a_page_in_a_browser(traced, tmp_path):
    page = traced.save(tmp_path / "report.html")
    screenshot = page.with_suffix(".png")
    dom, console = browse(page, "--dump-dom")
    assert console == []
    assert dom.count("<svg") == 3 and dom.count("<td>") == 4 * 12
    _, console = browse(page, f"--screenshot={screenshot}")
    assert console == []
    image = pytest.importorskip("PIL.Image").open(screenshot).convert("RGB")
    colours = {colour: count for count, colour in image.getcolors(1 << 24)}
    # Bars, marks of quantiles, the warmest stage, the memory's area, text.
    for wanted in ((0x2A, 0x7F, 0x9E), (0xC8, 0x55, 0x3D), (0xF7, 0xA0, 0x5C), (0xCF, 0xE3, 0xF7)):
        assert colours.get(wanted, 0) > 100, f"{wanted} is missing"
    paper = colours[(255, 255, 255)] / (image.width * image.height)
    assert 0.5 < paper < 0.98


@needs_browser
def test_a_broken_page_is_seen(traced, tmp_path):
    """The test above can fail."""
    page = traced.save(tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", "<script>draw()</script></body>"), encoding="utf-8")
    _, console = browse(page, "--dump-dom")
    assert any("draw is not defined" in line for line in console)


# ---- the GIL ----


def test_the_share_of_the_gil_is_what_was_measured():
    found = report(stage("map(f)", busy=0.5, attached=0.25), elapsed=2.0)
    found.stats["handover"] = 0.05
    assert found.gil_share == pytest.approx(0.15)
    assert re.search(r"for 15% of the time: 12% by Python .*, 2\.5% to hand items over", str(found))
    assert Report({**found.stats, "elapsed": 0.0}).gil_share == 0.0


def share_of(pipe, **options):
    with pipe.run(**options) as run:
        for _ in run:
            pass
        return run.report()


def test_native_stages_need_no_gil():
    """Medians, as a busy machine may stop a thread that has just taken it."""
    a = np.ones(1 << 24, "f4")
    pipe = sf.Pipeline(sf.read(a, rows=1 << 18)).map(sf.exp).map(sf.sin)
    total = ("reduce", (sf.sum,), (), {"ddof": 0}, 0)
    shares = []
    for _ in range(7):
        with pipe._start(total, False, threads=2) as run:
            list(run)
            shares.append(run.report().gil_share)
            assert run.stats()["attached"] == 0
    assert sorted(shares)[3] < 0.001


def test_functions_iterators_and_handing_over_all_count():
    def spin(x):
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return x

    # Processor time, which other programs on the machine leave as it is.
    for pipe in (sf.Pipeline(range(20)).map(spin), sf.Pipeline(spin(i) for i in range(20))):
        found = share_of(pipe, threads=1)
        assert 0.2 <= found.stats["attached"] < 0.3
        assert found.gil_share >= 0.2 / found.stats["elapsed"]
    slept = share_of(sf.Pipeline(sf.read(A, rows=1 << 17)).map(sf.exp), threads=1)
    assert 0 < slept.gil_share < 0.5 and slept.stats["attached"] == 0

    # Items that are tiny are mostly handed over: what next() needs is no secret.
    run = sf.Pipeline(sf.read(np.zeros(100_000), rows=1)).run(threads=1)
    begun = time.perf_counter()
    for _ in run:
        pass
    elapsed = time.perf_counter() - begun
    stats = run.stats()
    assert stats["handover"] > 0.02 * elapsed
    assert stats["handover"] + stats["detached"] < 1.05 * elapsed
