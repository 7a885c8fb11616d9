"""Pipelines for people: a tree of lines, and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from spanflow._drawing import Node, graph_svg

_LONGEST = 60  # characters of a part in a picture
_NODE_KINDS = {"filter": "filter", "take": "filter", "skip": "filter", "reduce": "reduction"}
MODES = {
    "parallel": "parallel",
    "serial_in_order": "in order",
    "serial_out_of_order": "one at a time",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A source or a stage: its text, and as far as they are known its mode and what it gives.

    The branches of a source are the pipelines that it reads, each as its parts.
    """

    kind: str
    text: str
    mode: str = ""
    gives: str = ""
    branches: tuple[tuple[Part, ...], ...] = ()


def tree_text(parts: Sequence[Part], title: str = "Pipeline") -> str:
    """A line for each part: what it is, its mode, the type of its items."""
    rows = [(title, "", ""), *_rows(parts, "")]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _rows(parts: Sequence[Part], indent: str) -> Iterator[tuple[str, str, str]]:
    for i, part in enumerate(parts):
        mark, inner = ("├─ ", "│  ") if i + 1 < len(parts) else ("└─ ", "   ")
        yield indent + mark + part.text, part.mode, part.gives
        for k, branch in enumerate(part.branches):
            mark, deeper = ("├─ ", "│  ") if k + 1 < len(part.branches) else ("└─ ", "   ")
            yield indent + inner + mark + "Pipeline", "", ""
            yield from _rows(branch, indent + inner + deeper)


def tree_html(parts: Sequence[Part]) -> str:
    """The picture, and the tree as its title."""
    nodes: list[Node] = []
    _draw(parts, nodes)
    return (
        f'<div title="{escape(tree_text(parts))}">{graph_svg(nodes) if nodes else "Pipeline"}</div>'
    )


def _draw(parts: Sequence[Part], nodes: list[Node]) -> int:
    """Adds the nodes of a chain; returns the last one's index."""
    reads: tuple[int, ...] = ()
    for part in parts:
        reads += tuple(_draw(branch, nodes) for branch in part.branches)
        text = part.text if len(part.text) <= _LONGEST else part.text[: _LONGEST - 1] + "…"
        kind = "source" if part.kind == "source" else _NODE_KINDS.get(part.kind, "operation")
        nodes.append(Node(kind, f"{text} → {part.gives}" if part.gives else text, reads))
        reads = (len(nodes) - 1,)
    return len(nodes) - 1
