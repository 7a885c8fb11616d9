"""A run's report as one HTML page that needs nothing else: style and pictures are inside."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from spanflow._report import (
    HEADS,
    Report,
    find_limit,
    gil_text,
    row,
    seconds_text,
    size_text,
    stages_svg,
    summary,
    workers_texts,
)

_WIDTH, _LABELS = 980, 250  # of a chart, and of the names on its left
_ROW, _BARS = 46, 30  # the height of a stage in a chart, and of the bars in it
_TICKS, _SPACE = 5, 180  # of the memory's axis; the height of its chart
_MOST_POINTS = 1000
_MEANINGS = {
    "in": "items that went in (of the source: came out)",
    "out": "items that came out",
    "bytes": "bytes of the items that went in",
    "busy": "time of the threads inside, summed",
    "share": "of the time of all stages",
    "p50": "half of the items took no longer",
    "p90": "nine tenths of the items took no longer",
    "p99": "all but a hundredth of the items took no longer",
    "waited": "time that items waited for their turn or for memory, summed",
    "GIL": "time inside Python",
}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;background:#fff;max-width:1040px;
margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}
.limit{border-left:4px solid #f7a05c;background:#fff6ef;padding:.6em 1em}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px}
th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #e3e7eb;white-space:nowrap}
th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}
svg text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1d2733}
.bar{fill:#2a7f9e}.mark{stroke:#c8553d;stroke-width:2}.line{fill:#cfe3f7;stroke:#2a7f9e}
.grid{stroke:#e3e7eb}.bound{stroke:#c8553d;stroke-dasharray:6 4}
"""


def page(report: Report) -> str:
    stats = report.stats
    parts = [
        "<h1>Report of a run</h1>",
        f"<p>{escape(summary(stats))}</p>",
        f'<p class="limit">{escape(find_limit(stats).text)}</p>',
        *(f"<p>{escape(text)}</p>" for text in (gil_text(report), *workers_texts(stats))),
        f'<h2>Stages</h2><div class="wide">{stages_svg(stats)}</div>',
        f'<div class="wide">{_table(stats)}</div>',
        f"<h2>Time of one item</h2>{_times_svg(stats['stages'])}"
        "<p>Bars: how many items took so long, on a logarithmic scale of time. "
        "Marks: p50, p90 and p99.</p>",
    ]
    if report.levels:
        parts.append(f"<h2>Bytes held</h2>{_memory_svg(report)}")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>spanflow: report of a run</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _table(stats: dict[str, Any]) -> str:
    heads = "".join(f'<th title="{escape(_MEANINGS.get(head, ""))}">{head}</th>' for head in HEADS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row(stage, stats)) + "</tr>"
        for stage in stats["stages"]
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _svg(height: float, parts: list[str], name: str) -> str:
    return (
        f'<svg id="{name}" role="img" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'style="max-width:100%">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def _times_svg(stages: list[dict[str, Any]]) -> str:
    """A histogram of each stage, all over one axis of time."""
    seen = [time for stage in stages for time, _ in stage["times"]]
    low = math.floor(math.log10(min(seen, default=1e-6)))
    high = max(math.ceil(math.log10(max(seen, default=1e-3) * 1.2)), low + 1)

    def x(time: float) -> float:
        share = (math.log10(max(time, 10.0**low)) - low) / (high - low)
        return _LABELS + share * (_WIDTH - _LABELS - 40)

    bottom = _ROW * len(stages) + 8
    parts = []
    for decade in range(low, high + 1):
        parts.append(_line(x(10.0**decade), 0, x(10.0**decade), bottom, "grid"))
        parts.append(_text(x(10.0**decade), bottom + 16, seconds_text(10.0**decade), "middle"))
    for i, stage in enumerate(stages):
        base = _ROW * (i + 1)
        name = stage["name"]
        parts.append(_text(0, base - 10, name if len(name) <= 32 else name[:31] + "…"))
        most = max((count for _, count in stage["times"]), default=1)
        for time, count in stage["times"]:
            height = _BARS * count / most
            left, right = x(time * 0.9), x(time * 1.1)
            parts.append(
                f'<rect class="bar" x="{left:.1f}" y="{base - height:.1f}" '
                f'width="{right - left:.1f}" height="{height:.1f}">'
                f"<title>{count:,} items: {seconds_text(time)}</title></rect>"
            )
        for mark in ("p50", "p90", "p99"):
            if at := stage[mark]:
                parts.append(_line(x(at), base - _BARS - 6, x(at), base, "mark"))
    return _svg(bottom + 24, parts, "times")


def _memory_svg(report: Report) -> str:
    """What the run held over time, and what it might hold."""
    levels = _thinned(report.levels)
    limit = report.stats["memory"]
    top = max(max(held for _, _, held in levels), 1) * 1.1
    end = max(report.stats["elapsed"], levels[-1][0], 1e-9)
    left, right = 90.0, _WIDTH - 20.0

    def x(time: float) -> float:
        return left + (right - left) * time / end

    def y(held: float) -> float:
        return 8 + _SPACE * (1 - held / top)

    parts = []
    for i in range(_TICKS):
        held = top * i / (_TICKS - 1)
        parts.append(_line(left, y(held), right, y(held), "grid"))
        parts.append(_text(left - 8, y(held) + 4, size_text(held), "end"))
        time = end * i / (_TICKS - 1)
        anchor = "middle" if i + 1 < _TICKS else "end"
        parts.append(_text(x(time), _SPACE + 28, seconds_text(time), anchor))
    path, before = f"M{x(levels[0][0]):.1f},{y(0):.1f}", 0
    for time, _, held in levels:  # a level holds until the next one
        path += f"L{x(time):.1f},{y(before):.1f}L{x(time):.1f},{y(held):.1f}"
        before = held
    path += f"L{x(levels[-1][0]):.1f},{y(0):.1f}Z"
    parts.append(f'<path class="line" d="{path}"/>')
    if limit <= top:
        parts.append(_line(left, y(limit), right, y(limit), "bound"))
    return _svg(_SPACE + 36, parts, "memory") + (f"<p>The run might hold {size_text(limit)}.</p>")


def _thinned(levels: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Not more points than a picture shows: the highest one of each stretch."""
    step = -(-len(levels) // _MOST_POINTS)
    return [
        max(levels[i : i + step], key=lambda level: level[2]) for i in range(0, len(levels), step)
    ]
