"""The HTML page of a report, in a real browser."""

import json
import os
import re

import pytest

import spanflow as sf
from tests.browser import BROWSER, browse

pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    report = sf.lab.run(
        "add,exp,sum,sin",
        dtype="f4,f8",
        layout="contiguous,strided",
        size="1k:64k",
        target="all",
        threads=[1, 2],
        versus="numpy",
        seconds=1e-4,
    )
    return report.save(tmp_path_factory.mktemp("lab") / "page.html")


def test_page_needs_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    ours = re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)  # plotly itself
    assert not re.search(r"""(src|href)\s*=\s*["']|url\(|@import|fetch\(|XMLHttp""", ours)
    assert "/*DATA*/" not in text and "/*PLOTLY*/" not in text


@pytest.mark.skipif(
    BROWSER is None and "SPANFLOW_TEST_BROWSER" not in os.environ,
    reason="no chromium; `setup.py test --browser` installs it",
)
def test_page_in_a_browser(page):
    screenshot = page.with_suffix(".png")
    dom, console = browse(page, "--dump-dom")
    assert console == []
    assert 'data-drawn="yes"' in dom
    for plot in ("throughput", "roofline", "accuracy"):
        assert re.search(rf'<div class="plot js-plotly-plot" id="{plot}"', dom)
    assert dom.count('class="main-svg"') >= 3
    assert dom.count("<tr>") > 60
    _, console = browse(page, f"--screenshot={screenshot}")
    assert console == []
    check_picture(screenshot)


def check_picture(path):
    """It has the colours of lines, bars and text, and is not mostly one of them but the paper."""
    image = pytest.importorskip("PIL.Image").open(path).convert("RGB")
    colours = {colour: count for count, colour in image.getcolors(1 << 24)}
    for wanted in ((0x2A, 0x7F, 0x9E), (0xC8, 0x55, 0x3D), (0x1D, 0x27, 0x33)):
        assert colours.get(wanted, 0) > 200, f"{wanted} is missing"
    paper = colours[(255, 255, 255)] / (image.width * image.height)
    assert 0.5 < paper < 0.98


@pytest.mark.skipif(
    BROWSER is None and "SPANFLOW_TEST_BROWSER" not in os.environ, reason="no chromium"
)
def test_an_error_on_the_console_is_seen(page):
    """The test above can fail."""
    broken = page.with_name("broken.html")
    text = page.read_text(encoding="utf-8")
    broken.write_text(text.replace("makeTable();", "makeTables();"), encoding="utf-8")
    dom, console = browse(broken, "--dump-dom")
    assert any("makeTables is not defined" in line for line in console)
    assert 'data-drawn="yes"' not in dom


def test_data_cannot_end_the_script(tmp_path):
    report = sf.lab.run("add", size=10, seconds=1e-4)
    report.machine["cpu"] = "</script><b>x"
    text = report.save(tmp_path / "p.html").read_text(encoding="utf-8")
    data = re.search(r"const data = (.*);\n", text).group(1)
    assert "</script>" not in data
    assert json.loads(data)["machine"]["cpu"] == "</script><b>x"
