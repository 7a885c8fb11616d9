"""Mapped files against NumPy's and against our own heap."""

import os
import tempfile

import numpy as np

import spanflow as sf
from bench.measure import Row, medians

WIDTH = 256  # float32 in a row
WRITE_ROWS = 1 << 16


def rows(options):
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="spanflow-bench-") as folder:
        path = os.path.join(folder, "mapped.npy")
        write(path, options.mapped_bytes)
        yield one_pass(path, options)
        yield mapped_against_heap(path, options)


def write(path, nbytes):
    """A file of random float32, written block by block through a mapping."""
    random = np.random.default_rng(2)
    with sf.open(path, "w+", dtype="f4", shape=(nbytes // 4 // WIDTH, WIDTH)) as whole:
        for first in range(0, len(whole), WRITE_ROWS):
            part = whole[first : first + WRITE_ROWS]
            part[...] = random.random(part.shape, dtype=np.float32)


def one_pass(path, options):
    peer = np.load(path, mmap_mode="r")
    ours = sf.open(path)
    wanted = {"min": sf.min, "max": sf.max, "mean": sf.mean, "std": sf.std}

    def four_calls():
        return peer.min(), peer.max(), peer.mean(), peer.std()

    def pipeline():
        return sf.Pipeline(sf.read(ours, rows=4096)).reduce(wanted)

    check(four_calls(), pipeline())
    seconds = medians({"numpy": four_calls, "spanflow": pipeline}, options.slow_rounds)
    work = f"mapped {ours.nbytes / 2**30:.3g} GiB: min, max, mean, std in one pipeline pass"
    note = f"{ours.nbytes / seconds['spanflow'] / 1e9:.1f} GB/s"
    return Row(
        "pipeline", work, "x", seconds["spanflow"] / seconds["numpy"], 0.05, False, seconds, note
    )


def check(numpy, spanflow):
    for expected, (name, got) in zip(numpy, spanflow.items(), strict=True):
        if not np.isclose(float(expected), float(got), rtol=1e-4):
            raise AssertionError(f"{name}: NumPy {expected}, spanflow {got}")


def mapped_against_heap(path, options):
    mapped = sf.open(path)[: options.elements // WIDTH]
    heap = mapped.copy()
    seconds = medians({"heap": heap.sum, "mapped": mapped.sum})
    speed = seconds["heap"] / seconds["mapped"]
    note = f"{mapped.nbytes / seconds['mapped'] / 1e9:.1f} GB/s mapped"
    return Row(
        "memory", "warm mapped sum, speed against heap", "x heap", speed, 0.9, True, seconds, note
    )
