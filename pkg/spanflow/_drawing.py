"""Pictures of graphs for notebooks: boxes in layers from left to right, as one SVG element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

_CHARACTER = 7.3  # the width of one in the font below
_HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 26.0, 34.0, 12.0, 8.0
_CROSSING = "crossing"  # the kind of an edge's place in a layer
_LARGEST = 300  # nodes; more are no picture any more
_FILLS = {
    "source": "#cfe3f7",
    "operation": "#f1f3f5",
    "filter": "#fbe7b2",
    "reduction": "#cdeccd",
}
_STYLE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px"


@dataclass(frozen=True, slots=True)
class Node:
    """A box: its kind (which gives the colour), its text, and the nodes before it that it reads.

    With `heat`, from 0 to 1, the colour says how much of something it has instead.
    """

    kind: str
    text: str
    reads: tuple[int, ...] = ()
    heat: float | None = None


def graph_svg(nodes: Sequence[Node]) -> str:
    """An SVG element of nodes, of which each stands behind all that it reads.

    A node is one layer to the right of the last one that it reads; in its layer it lies at the
    mean height of those. An edge has a place of its own in each layer that it crosses, so that it
    runs behind no box (Sugiyama, Tagawa and Toda 1981, without the passes against crossings).
    """
    graph, layers = _layered(nodes)
    widths = [max(_width(graph[i]) for i in layer) for layer in layers]
    lefts = [_MARGIN + sum(widths[:k]) + k * _GAP_X for k in range(len(layers))]
    middles = _middles(graph, layers)
    width = lefts[-1] + widths[-1] + _MARGIN
    height = max(middles) + _HEIGHT / 2 + _MARGIN
    box = {i: (lefts[k], widths[k]) for k, layer in enumerate(layers) for i in layer}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" style="{_STYLE};max-width:100%">'
    ]
    for i, node in enumerate(graph):
        left, room = box[i]
        parts += [_edge(sum(box[read]), middles[read], left, middles[i]) for read in node.reads]
        if node.kind == _CROSSING:
            parts.append(_edge(left, middles[i], left + room, middles[i]))
    for i, node in enumerate(nodes):
        parts.append(_box(node, *box[i], middles[i]))
    parts.append("</svg>")
    return "".join(parts)


def expression_html(expression: Any, parts: list[tuple[str, str, tuple[int, ...]]]) -> str:
    """What a notebook shows of an expression."""
    title = f"<code>{escape(repr(expression))}</code>"
    nodes = [Node(*part) for part in parts[: _LARGEST + 1]]
    if len(nodes) > _LARGEST or len(_layered(nodes)[0]) > 4 * _LARGEST:
        return f"<div>{title}<br>{len(parts):,} nodes, which are too many to draw</div>"
    return f"<div>{title}<br>{graph_svg(nodes)}</div>"


def _width(node: Node) -> float:
    return len(node.text) * _CHARACTER + 2 * _MARGIN


def _layered(nodes: Sequence[Node]) -> tuple[list[Node], list[list[int]]]:
    """The nodes and, behind them, crossings of edges; and which of them are in each layer."""
    depth: list[int] = []
    for node in nodes:
        depth.append(max((depth[read] + 1 for read in node.reads), default=0))
    graph = list(nodes)
    layers: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    for i, k in enumerate(depth):
        layers[k].append(i)
    crossings: dict[tuple[int, int], int] = {}  # of a source in a layer

    def reach(source: int, layer: int) -> int:
        """What stands for the source in this layer."""
        if layer == depth[source]:
            return source
        if (source, layer) not in crossings:
            graph.append(Node(_CROSSING, "", (reach(source, layer - 1),)))
            crossings[source, layer] = len(graph) - 1
            layers[layer].append(len(graph) - 1)
        return crossings[source, layer]

    for i, node in enumerate(nodes):
        reads = tuple(reach(read, depth[i] - 1) for read in node.reads)
        graph[i] = replace(node, reads=reads)
    return graph, layers


def _middles(graph: Sequence[Node], layers: list[list[int]]) -> list[float]:
    middles = [0.0] * len(graph)
    for layer in layers:
        wanted = {
            i: sum(middles[read] for read in graph[i].reads) / max(len(graph[i].reads), 1)
            for i in layer
        }
        free = _MARGIN + _HEIGHT / 2
        for i in sorted(layer, key=lambda i: wanted[i]):
            middles[i] = max(free, wanted[i])
            free = middles[i] + _HEIGHT + _GAP_Y
    return middles


def _edge(x0: float, y0: float, x1: float, y1: float) -> str:
    bend = (x1 - x0) / 2
    return (
        f'<path d="M{x0:.1f},{y0:.1f} C{x0 + bend:.1f},{y0:.1f} {x1 - bend:.1f},{y1:.1f} '
        f'{x1:.1f},{y1:.1f}" fill="none" stroke="#8a939b" stroke-width="1.2"/>'
    )


def _box(node: Node, left: float, width: float, middle: float) -> str:
    fill = _FILLS[node.kind] if node.heat is None else _warm(node.heat)
    return (
        f'<rect x="{left:.1f}" y="{middle - _HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{_HEIGHT:.1f}" rx="4" fill="{fill}" stroke="#8a939b"/>'
        f'<text x="{left + width / 2:.1f}" y="{middle + 4:.1f}" text-anchor="middle" '
        f'fill="#1f2328">{escape(node.text)}</text>'
    )


def _warm(heat: float) -> str:
    """From white to orange."""
    cold, hot = (255, 255, 255), (247, 160, 92)
    mixed = (round(c + (h - c) * heat) for c, h in zip(cold, hot, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
