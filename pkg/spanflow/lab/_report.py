"""What a run of the lab found: a table to read, and files to keep."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spanflow.lab import _accuracy, _pyperf
from spanflow.lab._machine import Ceiling
from spanflow.lab._measure import Result
from spanflow.lab._page import page

_COLUMNS = (
    ("operation", "<"),
    ("dtype", "<"),
    ("layout", "<"),
    ("elements", ">"),
    ("threads", ">"),
    ("who", "<"),
    ("time", ">"),
    ("GB/s", ">"),
    ("el/ns", ">"),
    ("ceiling", ">"),
    ("ULP", ">"),
    ("of numpy", ">"),
)


def show_size(size: int) -> str:
    """1024 -> '1Ki'."""
    for unit, factor in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size:,}"


def show_time(seconds: float) -> str:
    """Three digits in the unit that fits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


@dataclass(frozen=True)
class Report:
    """The results of a run, in the order in which they were measured.

    print(report) is a table; save() writes .json (pyperf reads it too), .csv or .html. Reports of
    the same machine compare with `pyperf compare_to old.json new.json`.
    """

    machine: dict[str, Any]
    results: list[Result]
    ceilings: list[Ceiling]

    def __str__(self) -> str:
        return table(self.results)

    def save(self, path: str | Path) -> Path:
        """Writes the report; the suffix says as what: .json, .csv or .html (one page with plots
        and all that they need; the package plotly must be installed). ValueError for another."""
        path = Path(path)
        text_of = SUFFIXES.get(path.suffix.lower())
        if text_of is None:
            raise ValueError(f"a report is written as {', '.join(SUFFIXES)}, not as {path.name!r}")
        text = text_of(self)  # before the file is opened: an error leaves an older one as it is
        path.write_text(text, encoding="utf-8", newline="")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Reads what save() wrote as .json. ValueError for another file."""
        return cls(*_pyperf.read(json.loads(Path(path).read_text(encoding="utf-8"))))


def table(results: Sequence[Result]) -> str:
    """The results as lines of text, with each contender's time as a share of NumPy's."""
    numpy = {_case(r): r.seconds for r in results if r.contender == "numpy"}
    rows = [tuple(name for name, _ in _COLUMNS)]
    rows += [_row(result, numpy.get(_case(result))) for result in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = [
        "  ".join(
            f"{text:{side}{width}}"
            for text, width, (_, side) in zip(row, widths, _COLUMNS, strict=True)
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join(lines)


def _case(result: Result) -> tuple[Any, ...]:
    return result.op, result.dtype, result.layout, result.size, result.threads


def _row(result: Result, numpy: float | None) -> tuple[str, ...]:
    share = result.of_ceiling
    return (
        result.op,
        result.dtype,
        result.layout,
        show_size(result.size),
        str(result.threads),
        result.target or result.contender,
        show_time(result.seconds),
        f"{result.gb_per_second:.2f}",
        f"{result.elements_per_ns:.3g}",
        "" if share is None else f"{share:.0%}",
        _accuracy.shown(result.ulps),
        "" if numpy is None else f"{result.seconds / numpy:.2f}",
    )


def plain(result: Result) -> dict[str, Any]:
    """A result as the columns of a file."""
    row = asdict(result)
    del row["values"], row["ceiling_seconds"]
    row |= {
        "seconds": result.seconds,
        "gb_per_second": result.gb_per_second,
        "elements_per_ns": result.elements_per_ns,
        "of_ceiling": result.of_ceiling,
        "rounds": len(result.values),
    }
    return row


def _json(report: Report) -> str:
    return json.dumps(_pyperf.document(report.machine, report.results, report.ceilings), indent=1)


def _csv(report: Report) -> str:
    rows = [plain(result) for result in report.results]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _html(report: Report) -> str:
    results = [plain(result) for result in report.results]
    return page(report.machine, results, [asdict(found) for found in report.ceilings])


# What a report is written as, by the suffix of the file.
SUFFIXES: dict[str, Callable[[Report], str]] = {".json": _json, ".csv": _csv, ".html": _html}
