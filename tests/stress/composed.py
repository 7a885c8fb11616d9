"""Pipelines composed at random, and what must come out of them by a plain evaluation over lists.

A `Node` is a pipeline, which can be built any number of times, beside the list of its items: sources
make one, and each verb makes a `Step` of the items that it gets, so that its model is computed while
the pipeline is composed. Arrays are NumPy's in the model. The same random generator gives the same.
"""

import itertools
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import spanflow as sf

MOST_ITEMS = 400
FOLDER = tempfile.TemporaryDirectory(prefix="spanflow-stress-")
_numbers = itertools.count()


def new_path(name):
    return Path(FOLDER.name) / f"{next(_numbers)}-{name}"


# ---- items ----


def plain(item):
    """What can be compared: the type of everything counts, whose array it is does not."""
    if isinstance(item, (sf.Array, np.ndarray)):
        if item.ndim == 0:
            return plain(item.item())
        values = np.asarray(item)
        # The sum of one negative zero has no sign in NumPy.
        values = values + 0 if values.dtype.kind == "f" else values
        return "array", item.dtype.name, item.shape, values.tobytes()
    if isinstance(item, (tuple, list)):
        return type(item).__name__, tuple(map(plain, item))
    if isinstance(item, dict):
        return "dict", tuple((key, plain(value)) for key, value in item.items())
    return type(item).__name__, item + 0 if isinstance(item, float) else item


def nbytes_of(item):
    """No less than what counts against the memory of a run."""
    if isinstance(item, (tuple, list)):
        return sum(map(nbytes_of, item))
    if isinstance(item, dict):
        return sum(map(nbytes_of, item.values()))
    return len(item) if isinstance(item, bytes) else max(getattr(item, "nbytes", 0), 16)


def largest(items):
    return max(map(nbytes_of, items), default=0)


def all_are(kind, items):
    return bool(items) and all(type(x) is kind for x in items)


def are_arrays(items, ndim=1):
    return all_are(np.ndarray, items) and all(x.ndim >= ndim for x in items)


def are_joinable(items):
    return are_arrays(items) and len({(x.dtype, x.shape[1:]) for x in items}) == 1


def stacked(items):
    """One item of several, as `batch` makes it."""
    first = items[0]
    if isinstance(first, tuple):
        return tuple(stacked(list(column)) for column in zip(*items, strict=True))
    if isinstance(first, dict):
        return {key: stacked([item[key] for item in items]) for key in first}
    if all_are(int, items) or all(type(x) in (int, float) for x in items):
        return np.array(items)
    return np.stack(items) if are_arrays(items) else list(items)


def can_stack(items):
    """Whether any several of the items become one."""
    if all(isinstance(x, tuple) for x in items):
        same = len({len(x) for x in items}) == 1
        return same and all(can_stack(list(column)) for column in zip(*items, strict=True))
    if all(isinstance(x, dict) for x in items):
        same = len({tuple(x) for x in items}) == 1
        return same and all(can_stack([x[key] for x in items]) for key in items[0])
    if any(isinstance(x, (tuple, dict, bool)) for x in items):
        return False
    if any(isinstance(x, np.ndarray) for x in items):
        return are_arrays(items) and len({(x.dtype, x.shape) for x in items}) == 1
    return (
        all_are(int, items)
        or all_are(float, items)
        or all_are(bytes, items)
        or all_are(list, items)
    )


# ---- functions of stages: of our arrays in a run, of NumPy's in the model ----


def affine(x, k):
    return x * 3 + k


def wrapped(x):
    return ["wrapped", x]


def total(a):
    return int(np.asarray(a).sum())


def every_other(a):
    return a[::2]


def is_no_multiple(x, k):
    return (total(x) if hasattr(x, "shape") else x) % k != 0


def up_to(x):
    return range(x % 4)


def twice(x):
    yield x
    yield x


def rows_of(a):
    return a


class InOrder:
    """A tap that must see the items of the model, one after the other."""

    def __init__(self, items):
        self.expected = iter(list(map(plain, items)))

    def __call__(self, item):
        wanted = next(self.expected, None)
        assert plain(item) == wanted, f"tap got {item!r} in the place of {wanted}"


class Counting:
    """A transform: pairs of neighbours, and at last how many items there were."""

    def __init__(self):
        self.before = None
        self.count = 0

    def __call__(self, item):
        self.count += 1
        before, self.before = self.before, item
        return [(before, item)] if self.count > 1 else None

    def finish(self):
        return [self.count]


# ---- verbs ----


class Step(NamedTuple):
    text: str
    apply: Callable[[Any], Any]  # pipeline → pipeline
    items: list[Any]
    held: int = 0  # bytes that the stage holds back


def some_workers(rng):
    if rng.random() < 0.75:
        return None
    return rng.choice(["thread", "auto", sf.Workers("thread", 1), sf.Workers("thread", 3)])


def python_step(rng, verb, function, args, items):
    workers = some_workers(rng)
    text = f"{verb}({', '.join([function.__name__, *map(repr, args)])}"
    text += ")" if workers is None else f", workers={workers!r})"
    return Step(text, lambda p: getattr(p, verb)(function, *args, workers=workers), items)


def map_python(rng, items):
    if all_are(int, items):
        k = rng.randrange(10)
        return python_step(rng, "map", affine, (k,), [affine(x, k) for x in items])
    function = rng.choice([total, every_other, wrapped] if are_arrays(items) else [wrapped])
    return python_step(rng, "map", function, (), list(map(function, items)))


def map_native(rng, items):
    if not are_arrays(items):
        return None
    name, k = rng.choice([("add", 3), ("multiply", 2), ("maximum", 5), ("negative", None)])
    if name == "negative" and any(x.dtype.kind == "u" for x in items):
        return None
    args = () if k is None else (k,)
    found = [getattr(np, name)(x, *args) for x in items]
    return Step(f"map({name}, {k})", lambda p: p.map(getattr(sf, name), *args), found)


def reduce_rows(rng, items):
    if not are_arrays(items, 2):
        return None
    axis = rng.choice([0, 1, None])
    found = [x.sum(axis=axis) for x in items]
    if axis is None:
        if any(x.dtype not in WIDE for x in found):  # a batch of them would be of that dtype
            return None
        found = [x.item() for x in found]
    return Step(f"map(sum, axis={axis})", lambda p: p.map(sf.sum, axis=axis), found)


def map_expression(rng, items):
    if not are_arrays(items):
        return None
    found = [x * x + 1 for x in items]
    return Step("map(x * x + 1)", lambda p: p.map(sf.col("x") * sf.col("x") + 1), found)


def cast(rng, items):
    if not are_arrays(items) or any(np.abs(x, dtype="f8").max(initial=0) > 2**30 for x in items):
        return None
    kind = rng.choice(["f4", "f8", "i4", "i8"])
    return Step(f"cast({kind})", lambda p: p.cast(kind), [x.astype(kind) for x in items])


def normalize(rng, items):
    if not are_arrays(items):
        return None
    found = [(x.astype("f4") - np.float32(2)) / np.float32(4) for x in items]
    return Step("normalize(2, 4)", lambda p: p.normalize(2, 4), found)


def decode(rng, items):
    if not all_are(bytes, items) or any(len(x) % 8 for x in items):
        return None
    kind, shape = rng.choice([("i4", -1), ("i4", (-1, 2)), ("u1", (2, -1)), ("u2", (-1, 4))])
    found = [np.frombuffer(x, kind).reshape(shape) for x in items]
    return Step(f"decode({kind}, {shape})", lambda p: p.decode(kind, shape), found)


def filter_python(rng, items):
    if not all_are(int, items) and not are_arrays(items):
        return None
    k = rng.choice([2, 3, 7])
    found = [x for x in items if is_no_multiple(x, k)]
    return python_step(rng, "filter", is_no_multiple, (k,), found)


def filter_native(rng, items):
    if not are_arrays(items):
        return None
    k = rng.randrange(50)
    return Step(
        f"filter(greater, {k})", lambda p: p.filter(sf.greater, k), [x[x > k] for x in items]
    )


def flat_map(rng, items):
    if all_are(int, items) and rng.random() < 0.5:
        function, found = up_to, [y for x in items for y in up_to(x)]
    elif has_rows(items) and rng.random() < 0.7:
        function, found = rows_of, rows(items)
    else:
        function, found = twice, [y for x in items for y in (x, x)]
    return python_step(rng, "flat_map", function, (), found)


def has_rows(items):
    return are_arrays(items) and all(x.ndim > 1 or x.dtype in WIDE for x in items)


def rows(arrays):
    return [y if isinstance(y, np.ndarray) else y.item() for x in arrays for y in x]


def tap(rng, items):
    workers = rng.choice([None, None, sf.Workers("thread", 1)])
    return Step(f"tap(…, {workers})", lambda p: p.tap(InOrder(items), workers=workers), items)


def transform(rng, items):
    found = [(a, b) for a, b in itertools.pairwise(items)]
    held = 2 * largest(items)
    return Step("transform(Counting)", lambda p: p.transform(Counting), [*found, len(items)], held)


def enumerated(rng, items):
    n = rng.choice([0, 0, 5, -3])
    return Step(f"enumerate({n})", lambda p: p.enumerate(n), list(enumerate(items, n)))


def take(rng, items):
    n = rng.choice([0, 1, len(items) // 2, len(items), len(items) + 9])
    return Step(f"take({n})", lambda p: p.take(n), items[:n])


def skip(rng, items):
    n = rng.choice([0, 1, len(items) // 2, len(items) + 9])
    return Step(f"skip({n})", lambda p: p.skip(n), items[n:])


def shard(rng, items):
    n = rng.randrange(1, 4)
    i = rng.randrange(n)
    return Step(f"shard({i}, {n})", lambda p: p.shard(i, n), items[i::n])


def sample(rng, items):
    """Which ones is known from a run over numbers: it depends on the seed alone."""
    share, seed = rng.choice([0, 0.3, 0.9, 1]), rng.randrange(10**6)
    kept = list(sf.Pipeline(range(len(items))).sample(share, seed=seed).run(threads=1))
    assert kept == sorted(set(kept)) and (share != 1 or len(kept) == len(items))
    found = [items[i] for i in kept]
    return Step(f"sample({share}, seed={seed})", lambda p: p.sample(share, seed=seed), found)


def shuffle(rng, items):
    """The order is known from a run over numbers: it depends on the seed alone."""
    buffer, seed = rng.choice([1, 2, 10, len(items) + 1]), rng.randrange(10**6)
    order = list(sf.Pipeline(range(len(items))).shuffle(buffer, seed=seed).run(threads=1))
    assert sorted(order) == list(range(len(items)))
    assert all(came <= at + buffer for at, came in enumerate(order))
    held = (buffer + 1) * largest(items)
    found = [items[i] for i in order]
    return Step(
        f"shuffle({buffer}, seed={seed})", lambda p: p.shuffle(buffer, seed=seed), found, held
    )


def window(rng, items):
    if not items or not can_stack(items):
        return None
    n, step = rng.choice([(1, 1), (2, 1), (3, 2), (2, 5)])
    found = [stacked(items[i : i + n]) for i in range(0, len(items) - n + 1, step)]
    held = 2 * n * largest(items)
    return Step(f"window({n}, step={step})", lambda p: p.window(n, step=step), found, held)


def batch(rng, items):
    if not items or not can_stack(items):
        return None
    n, drop = rng.choice([1, 2, 3, 10]), rng.random() < 0.5
    found = [stacked(items[i : i + n]) for i in range(0, len(items), n)]
    if drop and len(items) % n:
        found.pop()
    held = 2 * n * largest(items)
    return Step(f"batch({n}, drop_last={drop})", lambda p: p.batch(n, drop_last=drop), found, held)


def rebatch(rng, items):
    if not are_joinable(items):
        return None
    n, drop = rng.choice([1, 3, 7, 100]), rng.random() < 0.5
    whole = np.concatenate(items)
    found = [whole[i : i + n] for i in range(0, len(whole), n)]
    if drop and len(whole) % n:
        found.pop()
    if len(whole) == 0:  # dtype and shape go on
        found = items[:1]
    held = 3 * largest(items) + 2 * n * max(whole.nbytes // max(len(whole), 1), 1)
    return Step(
        f"rebatch({n}, drop_last={drop})", lambda p: p.rebatch(n, drop_last=drop), found, held
    )


def unbatch(rng, items):
    if has_rows(items):
        found = rows(items)
    elif all_are(list, items):
        found = [y for x in items for y in x]
    elif items and all(isinstance(x, tuple) and has_rows(list(x)) for x in items):
        if any(len({len(column) for column in x}) > 1 for x in items):
            return None
        found = [y for x in items for y in zip(*(rows([column]) for column in x), strict=True)]
    else:
        return None
    return Step("unbatch()", lambda p: p.unbatch(), found)


def prefetch(rng, items):
    n = rng.choice([0, 1, 9])
    return Step(f"prefetch({n})", lambda p: p.prefetch(n), items)


# What a batch of Python's numbers is of: rows of other 1-d arrays are numbers of their own dtype.
WIDE = ("f8", "i8")


VERBS = [
    map_python,
    map_python,
    map_native,
    map_native,
    map_expression,
    reduce_rows,
    cast,
    normalize,
]
VERBS += [decode, decode, filter_python, filter_native, flat_map, tap, transform, enumerated, take]
VERBS += [skip, shard, sample, shuffle, window, batch, rebatch, unbatch, prefetch]


def is_drawn(step):
    return step.text.lstrip("| ").startswith(("sample", "shuffle"))


# Native stages, and those that pass on what they get: it is an array from the source on when a native
# stage comes next, also what they drop.
NATIVE = {map_native, map_expression, reduce_rows, cast, normalize, filter_native, rebatch}
PASSING = {filter_python, tap, take, skip, shard, sample, shuffle}


def steps(rng, items, most):
    """Some verbs in a row that take these items."""
    made, source = [], items
    for _ in range(rng.randrange(most + 1)):
        verb = rng.choice(VERBS)
        step = verb(rng, items)
        if verb in NATIVE and not are_arrays(source):
            continue
        if step is None or len(step.items) > MOST_ITEMS or largest(step.items) > 1 << 20:
            continue
        if step.text.startswith("prefetch") and not made:
            continue
        if rng.random() < 0.1:  # the same as a chain
            step = step._replace(
                text=f"| {step.text}", apply=lambda p, step=step: p | step.apply(sf.Pipeline())
            )
        made.append(step)
        items = step.items
        source = source if verb in PASSING else items
    return made


# ---- pipelines ----


@dataclass
class Node:
    text: str
    build: Callable[[], Any]
    items: list[Any]
    need: int  # bytes of memory that a run of it must have, in its share
    shares: int = 1  # into how many parts its memory is divided
    once: bool = False  # it reads an iterator, or checks an order
    drawn: bool = False  # it has a seed somewhere

    @property
    def memory(self):
        return self.shares * max(self.need, 64)

    def then(self, step):
        return replace(
            self,
            text=f"{self.text}.{step.text}",
            build=lambda: step.apply(self.build()),
            items=step.items,
            need=max(self.need, largest(step.items)) + step.held,
            once=self.once or step.text.lstrip("| ").startswith("tap"),
            drawn=self.drawn or is_drawn(step),
        )


def source(text, build, items, **more):
    return Node(text, lambda: sf.Pipeline(build()), items, largest(items), **more)


def numbers(rng, depth):
    n, kind = (
        rng.choice([0, 1, 7, 30, 100]),
        rng.choice(["range", "list", "generator", "iter", "async"]),
    )
    items = list(range(n))

    async def later():
        for x in items:
            yield x

    kinds = {
        "range": lambda: range(n),
        "list": lambda: list(items),
        "generator": lambda: (x for x in items),
        "iter": lambda: iter(items),
        "async": later,
    }
    return source(f"{kind}({n})", kinds[kind], items, once=kind in ("generator", "iter", "async"))


def pieces_of_bytes(rng, depth):
    items = [bytes(range(8 * rng.randrange(1, 9))) for _ in range(rng.choice([0, 3, 20]))]
    return source(f"{len(items)} bytes", lambda: list(items), items)


def table_of(rng):
    shape = rng.choice([(0, 3), (1, 3), (10, 3), (37, 2), (60,), (5, 2, 2)])
    return (
        (np.arange(np.prod(shape)) % 100)
        .reshape(shape)
        .astype(rng.choice(["f8", "i8", "i4", "f4"]))
    )


def cut(array, n):
    return [array[i : i + n] for i in range(0, len(array), n)]


def read_array(rng, depth):
    a, n = table_of(rng), rng.choice([1, 2, 7, 100])
    text = f"read({a.dtype} {a.shape}, rows={n})"
    if rng.random() < 0.2:  # beside an operand of the same rows
        node = source(text, lambda: sf.read(a, rows=n), cut(a, n))
        added = cut(a + a, n)
        return node.then(Step("map(add, aligned)", lambda p: p.map(sf.add, sf.aligned(a)), added))
    if rng.random() < 0.2:
        return source(f"array {a.dtype} {a.shape}", lambda: a, cut(a, 1000))
    return source(text, lambda: sf.read(a, rows=n), cut(a, n))


def read_columns(rng, depth):
    n, rows = rng.choice([1, 10, 33]), rng.choice([1, 4, 100])
    one, two = np.arange(float(n)), np.arange(2 * n, dtype="i4").reshape(n, 2)
    if rng.random() < 0.5:
        items = list(zip(cut(one, rows), cut(two, rows), strict=True))
        return source(
            f"read(tuple of {n}, rows={rows})", lambda: sf.read((one, two), rows=rows), items
        )
    items = [{"a": a, "b": b} for a, b in zip(cut(one, rows), cut(one * 2, rows), strict=True)]
    columns = {"a": one, "b": one * 2}
    node = source(f"read(dict of {n}, rows={rows})", lambda: sf.read(columns, rows=rows), items)
    if rng.random() < 0.5:
        sums = [item["a"] + item["b"] for item in items]
        node = node.then(Step("map(a + b)", lambda p: p.map(sf.col("a") + sf.col("b")), sums))
    return node


FILES = []  # paths and their arrays; made by the first case that reads files


def read_files(rng, depth):
    if not FILES:
        for n in (12, 1, 25):
            FILES.append((new_path("read.npy"), np.arange(2 * n, dtype="i4").reshape(n, 2)))
            np.save(*FILES[-1])
    if rng.random() < 0.3:
        path, _array = FILES[2]
        raw = np.frombuffer(path.read_bytes(), "u1")
        return source("read_bytes(64)", lambda: sf.read_bytes(path, 64), cut(raw, 64))
    count, n = rng.randrange(1, 4), rng.choice([1, 5, 100])
    items = [piece for _, array in FILES[:count] for piece in cut(array, n)]
    paths = [path for path, _ in FILES[:count]]
    return source(f"read({count} files, rows={n})", lambda: sf.read(paths, rows=n), items)


def combined(rng, depth):
    nodes = [node(rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
    verb = rng.choice(["zip", "concat", "interleave"])
    lists = [n.items for n in nodes]
    if verb == "zip":
        items = list(zip(*lists, strict=False))
    elif verb == "concat":
        items = [x for part in lists for x in part]
    else:
        none = object()
        turns = itertools.zip_longest(*lists, fillvalue=none)
        items = [x for turn in turns for x in turn if x is not none]
    return Node(
        f"{verb}({' ; '.join(n.text for n in nodes)})",
        lambda: getattr(nodes[0].build(), verb)(*(n.build() for n in nodes[1:])),
        items,
        max([largest(items), *(n.memory for n in nodes)]),
        len(nodes) + 1,
        any(n.once for n in nodes),
        any(n.drawn for n in nodes),
    )


def teed(rng, depth):
    base = node(rng, depth - 1)
    chains = [steps(rng, base.items, 2) for _ in range(rng.choice([1, 2, 3]))]
    ends = [chain[-1].items if chain else base.items for chain in chains]
    items = list(zip(*ends, strict=False))
    # What waits for a chain that takes many items may be all of them.
    need = sum(map(nbytes_of, base.items)) + sum(step.held for chain in chains for step in chain)
    need += max(
        largest(made) for made in [items, *(step.items for chain in chains for step in chain)]
    )

    def build():
        made = []
        for chain in chains:
            pipe = sf.Pipeline()
            for step in chain:
                pipe = step.apply(pipe)
            made.append(pipe)
        return base.build().tee(*made)

    names = " ; ".join(".".join(step.text for step in chain) or "-" for chain in chains)
    drawn = base.drawn or any(is_drawn(step) for chain in chains for step in chain)
    once = base.once or any("tap" in step.text for chain in chains for step in chain)
    return Node(
        f"{base.text}.tee({names})",
        build,
        items,
        max(need, base.memory),
        len(chains) + 4,
        once,
        drawn,
    )


def repeated(rng, depth):
    base, n = node(rng, depth - 1), rng.choice([0, 1, 3])
    if base.once or base.drawn:  # another order each time
        return base
    return Node(
        f"{base.text}.repeat({n})", lambda: base.build().repeat(n), base.items * n, base.memory, 2
    )


def cached(rng, depth):
    base = node(rng, depth - 1)
    if rng.random() < 0.5:
        build, text = lambda: base.build().cache(), "cache()"
    else:
        build, text = lambda: base.build().cache(new_path("cache")), "cache(path)"
    return Node(f"{base.text}.{text}", build, base.items, base.memory, 2, base.once, base.drawn)


SOURCES = [
    numbers,
    numbers,
    pieces_of_bytes,
    read_array,
    read_array,
    read_array,
    read_columns,
    read_files,
]
NESTED = [combined, combined, teed, repeated, cached]


def node(rng, depth=2):
    """A pipeline; `depth` is how many pipelines deep others may be inside."""
    while True:
        made = rng.choice(SOURCES + NESTED * (depth > 0))(rng, depth)
        if len(made.items) <= MOST_ITEMS:
            break
    for step in steps(rng, made.items, 5):
        made = made.then(step)
    return made


def node_of(seed):
    return node(random.Random(seed))
