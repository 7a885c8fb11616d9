"""What `Run.report()` says: where the time of a run went, and what would make it faster."""

from __future__ import annotations

import sys
from html import escape
from typing import Any

from spanflow._drawing import Node, graph_svg

_HEADS = (
    "stage",
    "mode",
    "in",
    "out",
    "bytes",
    "busy",
    "share",
    "p50",
    "p90",
    "p99",
    "waited",
    "GIL",
)
_MODES = {
    "parallel": "parallel",
    "serial_in_order": "in order",
    "serial_out_of_order": "one at a time",
}
_MOSTLY = 0.75  # of a time: what limits the run


class Report:
    """A run's statistics for people: `print(report)`, or a notebook's picture of the stages."""

    def __init__(self, stats: dict[str, Any]):
        self.stats = stats

    @property
    def bottleneck(self) -> str:
        """What limits the run, in one sentence, and what to do about it in another."""
        return _bottleneck(self.stats)

    def __str__(self) -> str:
        rows = [_HEADS, *(_row(stage, self.stats) for stage in self.stats["stages"])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
        lines = [
            "  ".join(
                word.ljust(width) if i < 2 else word.rjust(width)
                for i, (word, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join([_summary(self.stats), "", *lines, "", self.bottleneck])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        busiest = max((stage["busy"] for stage in self.stats["stages"]), default=0) or 1
        nodes = [
            Node(
                "operation",
                f"{stage['name']} {_seconds(stage['busy'])}",
                (i - 1,) if i else (),
                stage["busy"] / busiest,
            )
            for i, stage in enumerate(self.stats["stages"])
        ]
        return f"<div>{graph_svg(nodes)}<pre>{escape(str(self))}</pre></div>"


def _summary(stats: dict[str, Any]) -> str:
    elapsed = stats["elapsed"] or 1e-9
    source = stats["stages"][0]
    threads = f"{stats['threads']} thread{'s' if stats['threads'] != 1 else ''}"
    return (
        f"{stats['delivered']:,} items in {_seconds(stats['elapsed'])}, "
        f"{_count(stats['delivered'] / elapsed)} items/s, "
        f"{_size(source['nbytes'] / elapsed)}/s from the source, {threads}; "
        f"held at most {_size(stats['nbytes_peak'])} of {_size(stats['memory'])}"
    )


def _row(stage: dict[str, Any], stats: dict[str, Any]) -> tuple[str, ...]:
    whole = sum(each["busy"] for each in stats["stages"]) or 1
    return (
        stage["name"],
        _MODES[stage["mode"]],
        f"{stage['items']:,}",
        f"{stage['items_out']:,}",
        _size(stage["nbytes"]),
        _seconds(stage["busy"]),
        f"{stage['busy'] / whole:.0%}",
        *(_seconds(stage[name]) for name in ("p50", "p90", "p99")),
        _seconds(stage["wait"]),
        _seconds(stage["attached"]),
    )


def _bottleneck(stats: dict[str, Any]) -> str:
    elapsed, stages = stats["elapsed"], stats["stages"]
    if elapsed == 0 or not any(stage["items"] for stage in stages):
        return "Nothing has passed yet."
    busiest = max(stages, key=lambda stage: stage["busy"])
    serial = [stage for stage in stages if stage["mode"] != "parallel"]
    slowest = max(serial, key=lambda stage: stage["busy"], default=None)
    attached = max(stages, key=lambda stage: stage["attached"])
    working = sum(stage["busy"] for stage in stages)
    if slowest is not None and slowest["busy"] > _MOSTLY * elapsed:
        return _serial_text(slowest, slowest is stages[0], slowest["busy"] / elapsed)
    if _has_gil() and sum(stage["attached"] for stage in stages) > _MOSTLY * elapsed:
        return (
            f"Bottleneck: the GIL, which {attached['name']} and other Python functions held for "
            f"{sum(stage['attached'] for stage in stages) / elapsed:.0%} of the time. "
            "Operations and expressions never need it; on a free-threaded Python functions run at "
            "the same time."
        )
    if working > _MOSTLY * elapsed * stats["threads"]:
        return (
            f"Bottleneck: {busiest['name']}, with {busiest['busy'] / working:.0%} of the time of "
            f"{stats['threads']} threads that are all at work. "
            "More threads= help as far as there are cores; less work per item helps always."
        )
    if stats["nbytes_peak"] >= stats["memory"]:
        return (
            f"Bottleneck: the memory of {_size(stats['memory'])}, which was used up. "
            "Allow more (memory=), make items smaller, or keep fewer of them."
        )
    if elapsed - stats["detached"] - stats["attached"] > _MOSTLY * elapsed:
        return (
            "Bottleneck: whoever takes the items, and was busy with them most of the time. "
            "Do less between items, or make it a stage, which others can work on."
        )
    return (
        f"No single bottleneck; {busiest['name']} took most of the work "
        f"({busiest['busy'] / working:.0%})."
    )


def _serial_text(stage: dict[str, Any], is_source: bool, share: float) -> str:
    if is_source:
        return (
            f"Bottleneck: the source {stage['name']}, which gives one item after the other and was "
            f"busy for {share:.0%} of the time. Give it less to do: move work into map(), where "
            "several threads share it."
        )
    return (
        f"Bottleneck: {stage['name']}, which takes one item at a time and was busy for {share:.0%} "
        "of the time. Move what does not depend on order into map() before it."
    )


def _has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _seconds(value: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.0f} ns" if value else "0"


def _size(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
