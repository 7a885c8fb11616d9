"""Reports as JSON in the form of pyperf's files, so that its tools compare them.

pyperf keeps a name and values for each benchmark; the rest of ours is in the metadata, which it
passes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from spanflow.lab._machine import Ceiling
from spanflow.lab._measure import Result

_OURS = "spanflow"  # the key of what pyperf does not know


def document(
    machine: dict[str, Any], results: Sequence[Result], ceilings: Sequence[Ceiling]
) -> dict[str, Any]:
    """The whole file as plain values."""
    return {
        "version": "1.0",
        "metadata": {
            "unit": "second",
            "cpu_model_name": machine["cpu"],
            "python_version": machine["python"],
            "platform": machine["system"],
            "date": machine["date"],
        },
        "benchmarks": [_benchmark(result) for result in results],
        _OURS: {"machine": machine, "ceilings": [asdict(found) for found in ceilings]},
    }


def name_of(result: Result) -> str:
    """Tells any two results of a run apart."""
    threads = f"{result.threads} thread{'s' * (result.threads != 1)}"
    who = result.target or result.contender
    return f"{result.op} {result.dtype} {result.layout} {result.size} {threads} {who}"


def _benchmark(result: Result) -> dict[str, Any]:
    row = asdict(result)
    values = row.pop("values")
    metadata = {key: value for key, value in row.items() if value is not None}
    return {
        "metadata": {"name": name_of(result), **metadata},
        "runs": [{"metadata": {}, "values": values}],
    }


def read(whole: Any) -> tuple[dict[str, Any], list[Result], list[Ceiling]]:
    """What document() was made of; ValueError for another file."""
    try:
        ours = whole[_OURS]
        names = {field.name for field in fields(Result)}
        results = []
        for benchmark in whole["benchmarks"]:
            row = {key: value for key, value in benchmark["metadata"].items() if key in names}
            values = [value for run in benchmark["runs"] for value in run.get("values", [])]
            results.append(Result(**row, values=values))
        return ours["machine"], results, [Ceiling(**row) for row in ours["ceilings"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no report of spanflow's lab: {error!r}") from None
