"""What `spanflow describe` answers, as text for people."""

from __future__ import annotations

import math
import sys
from typing import Any

from spanflow._info import size as bytes_text


def text(answer: dict[str, Any]) -> str:
    """The whole answer, in lines."""
    elements, seconds = answer["elements"], answer["seconds"]
    shape = " x ".join(map(str, answer["shape"])) or "0-d"
    count = f"{elements:,} element{'' if elements == 1 else 's'}"
    speed = f", {answer['nbytes'] / seconds / 1e9:.1f} GB/s" if answer["nbytes"] >= 1 << 20 else ""
    lines = [
        answer["file"],
        f"  shape   {shape}  ({count})",
        f"  dtype   {answer['dtype']}",
        f"  order   {answer['order']}",
        f"  size    {bytes_text(answer['nbytes'])}, read in one pass of {seconds:.2f} s{speed}",
    ]
    for field in answer["fields"]:
        lines += ["", *_field_lines(field)]
    return "\n".join(lines)


def _field_lines(field: dict[str, Any]) -> list[str]:
    title = f"  {field['name']}  ({field['dtype']})" if field["name"] else "  elements"
    if "mean" not in field:
        return [f"{title}: no statistics for {field['dtype']}"]
    rows = []
    for pair in (("min", "max"), ("mean", "std"), ("zeros",), ("nan", "infinite")):
        shown = [key for key in pair if field[key] or pair[0] not in ("nan", "zeros")]
        if shown:
            rows.append([f"{key:<9}{_number(field[key])}" for key in shown])
    width = max(len(row[0]) for row in rows) + 2
    lines = [title, *(f"    {row[0]:<{width}}{''.join(row[1:])}".rstrip() for row in rows)]
    finite = field["count"] - field["nan"] - field["infinite"]
    return lines + _histogram_lines(field["histogram"], field["dtype"], finite)


def _number(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"({_number(value[0])}, {_number(value[1])}j)"
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"


def _histogram_lines(histogram: dict[str, Any] | None, dtype: str, count: int) -> list[str]:
    if histogram is None or not histogram["elements"]:
        return []
    edges, counts, total = histogram["edges"], histogram["counts"], histogram["elements"]
    labels = _labels(edges, len(counts), dtype)
    width = max(map(len, labels))
    most = max(counts) or 1
    note = [f"    bars of {total:,} elements, evenly spaced"] if total < count else []
    return ["", *note] + [
        f"    {label:>{width}}  {_bar(count / most):<32}  {count / total:6.2%}"
        for label, count in zip(labels, counts, strict=True)
    ]


def _labels(edges: list, bars: int, dtype: str) -> list[str]:
    if dtype == "bool":
        return [str(bool(edge)) for edge in edges[:bars]]
    if isinstance(edges[0], int):
        lasts = [*(edge - 1 for edge in edges[1:bars]), edges[-1]]
        pairs = zip(edges[:bars], lasts, strict=True)
        return [f"{low:,}" if low == last else f"{low:,} to {last:,}" for low, last in pairs]
    texts = _edge_texts(edges)
    return [f"{texts[i]} to {texts[i + 1]}" for i in range(bars)]


def _edge_texts(edges: list) -> list[str]:
    """Six digits, or as many as tell all edges apart and show the inner ones, which are round."""
    texts: list[str] = []
    for digits in range(6, 18):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        exact = all(map(lambda text, edge: float(text) == edge, texts[1:-1], edges[1:-1]))
        if exact and len(set(texts)) == len(set(edges)):
            break
    return texts


def _bar(share: float) -> str:
    """Up to 32 characters; eighths of one where the terminal can show them."""
    try:
        "█▏".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return "#" * round(share * 32)
    eighths = math.ceil(share * 256)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
