"""What `Run.report()` says: where the time of a run went, and what would make it faster."""

from __future__ import annotations

import math
import os
import sys
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from spanflow._drawing import Node, graph_svg
from spanflow._tree import MODES

HEADS = (
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
_MOSTLY = 0.75  # of a time: what limits the run


class Limit(NamedTuple):
    """What limits a run: its name, "" for nothing, and sentences about it."""

    short: str
    text: str


class Report:
    """A run's statistics for people: `print(report)`, a notebook's picture, or `save` as a page."""

    def __init__(self, stats: dict[str, Any], levels: list[tuple[float, int, int]] | None = None):
        self.stats = stats
        self.levels = sorted(levels or ())  # (seconds, tokens, bytes held), of a run with a trace

    @property
    def bottleneck(self) -> str:
        """What limits the run, in one sentence, and what to do about it in another."""
        return find_limit(self.stats).text

    @property
    def gil_share(self) -> float:
        """The share of the run's time that Python was held: by functions, and to hand items over.

        Above 1 on free-threaded builds, where several threads can be attached at once.
        """
        held = self.stats["attached"] + self.stats["handover"]
        return held / self.stats["elapsed"] if self.stats["elapsed"] else 0.0

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it as an HTML page that needs nothing else; returns its path.

        Raises OSError for a file that cannot be written.
        """
        from spanflow._report_page import page

        target = Path(path)
        target.write_text(page(self), encoding="utf-8")
        return target

    def __str__(self) -> str:
        rows = [HEADS, *(row(stage, self.stats) for stage in self.stats["stages"])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
        lines = [
            "  ".join(
                word.ljust(width) if i < 2 else word.rjust(width)
                for i, (word, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.insert(1, "-" * len(lines[0]))
        texts = [gil_text(self), *workers_texts(self.stats), self.bottleneck]
        return "\n".join([summary(self.stats), "", *lines, "", *texts])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<div>{stages_svg(self.stats)}<pre>{escape(str(self))}</pre></div>"


def stages_svg(stats: dict[str, Any]) -> str:
    """The stages in a row, the warmer the busier."""
    busiest = max((stage["busy"] for stage in stats["stages"]), default=0) or 1
    nodes = [
        Node(
            "operation",
            f"{stage['name']} {seconds_text(stage['busy'])}",
            (i - 1,) if i else (),
            stage["busy"] / busiest,
        )
        for i, stage in enumerate(stats["stages"])
    ]
    return graph_svg(nodes)


def summary(stats: dict[str, Any]) -> str:
    elapsed = stats["elapsed"] or 1e-9
    source = stats["stages"][0]
    threads = f"{stats['threads']} thread{'s' if stats['threads'] != 1 else ''}"
    return (
        f"{stats['delivered']:,} items in {seconds_text(stats['elapsed'])}, "
        f"{count_text(stats['delivered'] / elapsed)} items/s, "
        f"{size_text(source['nbytes'] / elapsed)}/s from the source, {threads}; "
        f"held at most {size_text(stats['nbytes_peak'])} of {size_text(stats['memory'])}"
    )


def gil_text(report: Report) -> str:
    """How much of the time Python was held, and for what."""
    stats, elapsed = report.stats, report.stats["elapsed"] or 1e-9
    what = "The GIL was held" if has_gil() else "Threads were attached to Python"
    return (
        f"{what} for {_percent(report.gil_share)} of the time: "
        f"{_percent(stats['attached'] / elapsed)} by Python functions and iterators, "
        f"{_percent(stats['handover'] / elapsed)} to hand items over."
    )


def workers_texts(stats: dict[str, Any]) -> list[str]:
    """What was found out about workers="auto"."""
    return [
        f"{stage['name']} found {stage['workers']} of up to {stage['workers_most']} calls at once "
        "best."
        for stage in stats["stages"]
        if stage["workers"] < stage["workers_most"]
    ]


def row(stage: dict[str, Any], stats: dict[str, Any]) -> tuple[str, ...]:
    whole = sum(each["busy"] for each in stats["stages"]) or 1
    return (
        stage["name"],
        MODES[stage["mode"]],
        f"{stage['items']:,}",
        f"{stage['items_out']:,}",
        size_text(stage["nbytes"]),
        seconds_text(stage["busy"]),
        f"{stage['busy'] / whole:.0%}",
        *(seconds_text(stage[name]) for name in ("p50", "p90", "p99")),
        seconds_text(stage["wait"]),
        seconds_text(stage["attached"]),
    )


def find_limit(stats: dict[str, Any]) -> Limit:
    """What a run waits for most, and advice."""
    elapsed, stages = stats["elapsed"], stats["stages"]
    if elapsed == 0 or not any(stage["items"] for stage in stages):
        return Limit("", "Nothing has passed yet.")
    busiest = max(stages, key=lambda stage: stage["busy"])
    serial = [stage for stage in stages if stage["mode"] != "parallel"]
    slowest = max(serial, key=lambda stage: stage["busy"], default=None)
    working = sum(stage["busy"] for stage in stages if not stage["workers"])
    whole = sum(stage["busy"] for stage in stages)
    attached = sum(stage["attached"] for stage in stages)
    if slowest is not None and slowest["busy"] > _MOSTLY * elapsed:
        return _serial_limit(slowest, slowest is stages[0], slowest["busy"] / elapsed)
    if has_gil() and attached > _MOSTLY * elapsed:
        longest = max(stages, key=lambda stage: stage["attached"])
        return Limit(
            f"the GIL ({longest['name']})",
            f"Bottleneck: the GIL, which {longest['name']} and other Python functions held for "
            f"{attached / elapsed:.0%} of the time. "
            "Operations and expressions never need it; on a free-threaded Python functions run at "
            "the same time.",
        )
    if elapsed - stats["next"] > _MOSTLY * elapsed:
        return Limit(
            "the consumer",
            "Bottleneck: whoever takes the items, and was busy with them most of the time. "
            "Do less between items, or make it a stage, which others can work on.",
        )
    for stage in stages:
        if stage["busy"] > _MOSTLY * elapsed * (stage["workers"] or math.inf):
            return _workers_limit(stage, elapsed)
    if working > _MOSTLY * elapsed * stats["threads"]:
        return Limit(
            busiest["name"],
            f"Bottleneck: {busiest['name']}, with {busiest['busy'] / whole:.0%} of the time of "
            f"{stats['threads']} threads that are all at work. "
            "More threads= help as far as there are cores; less work per item helps always.",
        )
    if stats["nbytes_peak"] >= stats["memory"]:
        return Limit(
            "memory",
            f"Bottleneck: the memory of {size_text(stats['memory'])}, which was used up. "
            "Allow more (memory=), make items smaller, or keep fewer of them.",
        )
    return Limit(
        "",
        f"No single bottleneck; {busiest['name']} took most of the work "
        f"({busiest['busy'] / whole:.0%}).",
    )


def _serial_limit(stage: dict[str, Any], is_source: bool, share: float) -> Limit:
    if is_source:
        return Limit(
            "the source",
            f"Bottleneck: the source {stage['name']}, which gives one item after the other and was "
            f"busy for {share:.0%} of the time. Give it less to do: move work into map(), where "
            "several threads share it.",
        )
    return Limit(
        stage["name"],
        f"Bottleneck: {stage['name']}, which takes one item at a time and was busy for {share:.0%} "
        "of the time. Move what does not depend on order into map() before it.",
    )


def _workers_limit(stage: dict[str, Any], elapsed: float) -> Limit:
    count = stage["workers"]
    return Limit(
        stage["name"],
        f"Bottleneck: {stage['name']}, of which the {count} calls at once were at work for "
        f"{stage['busy'] / (elapsed * count):.0%} of the time. More workers help as far as what "
        "they wait for, or the cores, allow.",
    )


def has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share * 100:.2g}%"


def seconds_text(value: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.0f} ns" if value else "0"


def size_text(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def count_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
