"""Pictures of expressions: every node once, edges from what is read, and no edge behind a box."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import spanflow as sf
from spanflow._drawing import Node, graph_svg

SVG = "{http://www.w3.org/2000/svg}"


def drawing_of(html):
    return ElementTree.fromstring(re.search("<svg.*</svg>", html).group())


def boxes(svg):
    return [
        tuple(float(rect.get(name)) for name in ("x", "y", "width", "height"))
        for rect in svg.iter(f"{SVG}rect")
    ]


def texts(svg):
    return [text.text for text in svg.iter(f"{SVG}text")]


def test_expressions_draw_themselves():
    x = sf.lazy(np.zeros((100, 1000), "f4"))
    e = (sf.clip((x - x.mean()) * 3.46, -1, 1) * sf.col("k<i>"))[x > 0.5].sum(keepdims=True)
    svg = drawing_of(e._repr_html_())
    assert sorted(texts(svg)) == sorted([
        "float32(100, 1000)", "k<i>", "mean(·)", "· - ·", "· * 3.46", "clip(·, -1, 1)", "· * ·",
        "· > 0.5", "·[·]", "sum(·, keepdims=True)",
    ])  # fmt: skip
    width, height = float(svg.get("width")), float(svg.get("height"))
    for left, top, box_width, box_height in boxes(svg):
        assert left >= 0 and top >= 0 and left + box_width <= width and top + box_height <= height


def test_shared_parts_are_drawn_once():
    x = sf.lazy(np.zeros(3))
    y = x + 1
    assert texts(drawing_of((y * y)._repr_html_())) == ["float64(3,)", "· + 1", "· * ·"]


def test_what_is_too_large_to_draw_says_so():
    e = sf.lazy(np.zeros(3))
    for _ in range(10_000):
        e = e + 1
    html = e._repr_html_()
    assert "10,001 nodes" in html and "<svg" not in html and len(html) < 1000


@pytest.mark.parametrize("seed", range(20))
def test_no_edge_runs_behind_a_box(seed):
    rng = np.random.default_rng(seed)
    nodes = [Node("source", "s" * 9)]
    for i in range(1, 30):
        reads = rng.choice(i, size=min(i, rng.integers(0, 4)), replace=False)
        nodes.append(Node("operation", "x" * int(rng.integers(1, 20)), tuple(map(int, reads))))
    svg = ElementTree.fromstring(graph_svg(nodes))
    rects = boxes(svg)
    assert len(rects) == len(nodes)
    for a, (left, top, width, height) in enumerate(rects):
        for other in rects[a + 1 :]:
            apart = left + width <= other[0] or other[0] + other[2] <= left
            assert apart or top + height <= other[1] or other[1] + other[3] <= top
    layer = {left: width for left, _, width, _ in rects}
    for path in svg.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
        (x0, y0), (x1, y1) = numbers[:2], numbers[-2:]
        for left, top, _, height in rects:
            if left + 1 < x1 and left + layer[left] - 1 > x0:  # it crosses the box's layer
                assert y0 == y1 and not top < y0 < top + height
