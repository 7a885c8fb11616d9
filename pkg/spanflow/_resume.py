"""Where a run is, and the same pipeline from there on.

A pipeline with fixed seeds gives the same items whenever it runs, so a place in it is the number of
items that have come out. To go on there, these are left out, as near to the source as stages allow:
a map that keeps the number of items does not work on them, and arrays are read from there on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from spanflow._description import Rows, Stage
from spanflow._limits import integer_of, seed_of
from spanflow._sources import Cached, Made, Repeated, Stored, Zipped
from spanflow._transforms import Window, arguments_of

if TYPE_CHECKING:
    from spanflow._pipeline import Pipeline

_KEYS: Final = {"items", "seeds", "epochs", "pipeline"}


class Place:
    """What a run tells of its place: called with the number of items that it has handed out.

    It does not keep the pipeline, and what that reads, alive.
    """

    __slots__ = ("before", "caches_are_fixed", "epochs", "has_order", "outline", "seeds")

    def __init__(self, pipe: Pipeline, before: int, epochs: list[int], ordered: bool):
        self.before = before
        self.epochs = epochs
        self.seeds = list(_seeds(pipe))
        self.outline = _outline(pipe)
        self.caches_are_fixed = _caches_are_fixed(pipe)
        self.has_order = ordered

    def __call__(self, delivered: int) -> dict[str, Any]:
        if not self.has_order:
            raise ValueError(
                "a run with ordered=False has no place: what has come out differs from run to run"
            )
        if not self.caches_are_fixed:
            raise ValueError(
                "a cache() behind shuffle or sample without a seed gives another order in another "
                "process: give them a seed"
            )
        return {
            "items": self.before + delivered,
            "seeds": list(self.seeds),
            "epochs": list(self.epochs),
            "pipeline": self.outline,
        }


def with_seeds(pipe: Pipeline, choose: Callable[[int | None], int | None]) -> Pipeline:
    """The same with other seeds, also of the pipelines that it reads: what `choose` makes of each.

    A cache keeps its own, as what it has kept was made with them.
    """

    def of_stage(stage: Stage) -> Stage:
        if "seed" not in stage.kwargs:
            return stage
        kwargs = {**stage.kwargs, "seed": choose(stage.kwargs["seed"])}
        return Stage(stage.kind, stage.function, stage.args, kwargs, stage.workers)

    source = pipe._source
    if isinstance(source, Made) and not isinstance(source, (Cached, Stored)):
        source = source.over(tuple(with_seeds(branch, choose) for branch in source.branches))
    return pipe._over(source, tuple(map(of_stage, pipe._stages)))


def drawn(seed: int | None) -> int:
    return int.from_bytes(os.urandom(8)) if seed is None else seed


def seed_of_epoch(seed: int | None, epoch: int) -> int | None:
    """Another seed for each time that a pipeline is repeated: a step of SplitMix64 (Steele, Lea and
    Flood 2014), so that times of times differ as well."""
    if seed is None or epoch == 0:
        return seed
    mixed = (seed + epoch * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    return mixed ^ (mixed >> 31)


def loaded(pipe: Pipeline, state: Any) -> tuple[Pipeline, int, list[int]]:
    """The pipeline with the seeds of a state; how many items to leave out, and its epochs."""
    if not isinstance(state, dict) or state.keys() != _KEYS:
        raise TypeError(f"load_state_dict() needs what Run.state_dict() returned, got {state!r}")
    if state["pipeline"] != _outline(pipe):
        raise ValueError(
            f"the state is one of the pipeline {state['pipeline']}, this one is {_outline(pipe)}"
        )
    count = sum(1 for _ in _seeds(pipe))
    if len(state["seeds"]) != count:
        raise ValueError(f"the state has {len(state['seeds'])} seeds, the pipeline {count}")
    seeds = map(seed_of, state["seeds"])
    epochs = [integer_of("epochs", n, 0) for n in state["epochs"]]
    return with_seeds(pipe, lambda _: next(seeds)), integer_of("items", state["items"], 0), epochs


def behind(pipe: Pipeline, n: int, epochs: list[int] | None = None) -> Pipeline:
    """The pipeline without its first `n` items. `epochs` are the lengths of the times that its
    `repeat` had finished, if that is known."""
    rest: list[Stage] = []
    for i in reversed(range(len(pipe._stages))):
        if n == 0:
            return pipe._over(pipe._source, (*pipe._stages[: i + 1], *rest))
        stage = pipe._stages[i]
        rule = _RULES.get(stage.kind)
        found = None if rule is None else rule(stage, n)
        if found is None:
            return pipe._over(pipe._source, (*pipe._stages[: i + 1], _skip(n), *rest))
        stages, n = found
        rest[:0] = stages
    source, n = _source_behind(pipe._source, n, epochs)
    return pipe._over(source, (_skip(n), *rest) if n else tuple(rest))


def _skip(n: int) -> Stage:
    return Stage("skip", None, (), {"n": n})


def _source_behind(source: Any, n: int, epochs: list[int] | None) -> tuple[Any, int]:
    """The source without items that it need not make, and how many are still to be left out."""
    if n == 0:
        return source, 0
    if isinstance(source, Rows):
        return Rows(source.arrays, source.rows, source.is_tuple, source.names, n + source.first), 0
    if isinstance(source, Zipped):
        return source.over(tuple(behind(branch, n) for branch in source.branches)), 0
    if isinstance(source, Repeated) and epochs is not None:
        begin = 0
        while begin < len(epochs) and n >= epochs[begin]:
            n -= epochs[begin]
            begin += 1
        return Repeated(source.branches[0], source.count, begin, n), 0
    return source, n


# ---- stages: which of their items to leave out, and what they then do themselves ----


def _keeps_number(stage: Stage, n: int) -> tuple[list[Stage], int] | None:
    if stage.workers is not None and stage.workers.errors == "skip":
        return None
    return [stage], n


def _with(stage: Stage, **kwargs: Any) -> list[Stage]:
    return [Stage(stage.kind, stage.function, stage.args, {**stage.kwargs, **kwargs})]


def _enumerated(stage: Stage, n: int) -> tuple[list[Stage], int]:
    return _with(stage, start=stage.kwargs["start"] + n), n


def _batched(stage: Stage, n: int) -> tuple[list[Stage], int]:
    return [stage], n * stage.kwargs["n"]


def _taken(stage: Stage, n: int) -> tuple[list[Stage], int]:
    return _with(stage, n=max(stage.kwargs["n"] - n, 0)), n


def _skipped(stage: Stage, n: int) -> tuple[list[Stage], int]:
    return [], n + stage.kwargs["n"]


def _sharded(stage: Stage, n: int) -> tuple[list[Stage], int]:
    return [stage], n * stage.kwargs["n"]


def _transformed(stage: Stage, n: int) -> tuple[list[Stage], int] | None:
    window = arguments_of(stage.function, Window)
    return None if window is None else ([stage], n * window[1])


_RULES: Final[dict[str, Callable[[Stage, int], tuple[list[Stage], int] | None]]] = {
    **dict.fromkeys(("map", "cast", "normalize"), _keeps_number),
    "tap": _keeps_number,
    "enumerate": _enumerated,
    "batch": _batched,
    "take": _taken,
    "skip": _skipped,
    "shard": _sharded,
    "transform": _transformed,
}


# ---- what a state says of its pipeline ----


def _seeds(pipe: Pipeline) -> Iterator[int | None]:
    """In the order in which `with_seeds` comes to them."""
    source = pipe._source
    if not isinstance(source, (Cached, Stored)):
        for branch in getattr(source, "branches", ()):
            yield from _seeds(branch)
    for stage in pipe._stages:
        if "seed" in stage.kwargs:
            yield stage.kwargs["seed"]


def _caches_are_fixed(pipe: Pipeline) -> bool:
    """Whether all that is cached has its seeds, so that it comes in the same order anywhere."""
    source = pipe._source
    cached = isinstance(source, (Cached, Stored))
    return all(
        _caches_are_fixed(branch) and not (cached and None in _seeds(branch))
        for branch in getattr(source, "branches", ())
    )


def _outline(pipe: Pipeline) -> str:
    """The kinds of its parts, in one line."""
    source = pipe._source
    branches = ", ".join(map(_outline, getattr(source, "branches", ())))
    name = getattr(source, "name", "") or type(source).__name__.lower()
    return " | ".join([f"{name}({branches})", *(stage.kind for stage in pipe._stages)])
