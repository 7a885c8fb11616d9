"""What is not native float32 in one piece - loaders, casts, windows, blocks - against NumPy."""

import numpy as np

import spanflow as sf
from bench.measure import Row, medians


def rows(options):
    n = options.elements
    random = np.random.default_rng(1)
    na = random.random(n, dtype=np.float32)
    yield from loaded(na, options)
    yield from cast(na, options)
    if options.all:
        yield from transposed(n)
        yield from windows(na[: n // 16])


def loaded(na, options):
    """Sums through loaders."""
    side = int(na.size**0.5)
    table = na[: side * side].reshape(side, side)
    records = np.zeros(na.size // 4, [("id", "i4"), ("x", "f4"), ("y", "f8")])
    records["x"] = na[: records.size]
    asked = {
        "sum, big-endian": (0.35, na.astype(">f4")),
        "sum, float16": (0.06, na.astype("f2")),
        "sum, every second element": (0.8, na[::2]),
        "sum, a field of records": (0.8, records["x"]),
    }
    for work, (share, peer) in asked.items():
        yield ratio(work, share, peer.sum, sf.asarray(peer).sum)
    if options.all:
        for work, peer, axis in [
            ("sum over axis 0", table, 0),
            ("sum over axis 1", table, 1),
            ("sum, transposed", table.T, None),
        ]:
            ours = sf.asarray(peer)
            yield ratio(
                work, None, lambda p=peer, x=axis: p.sum(axis=x), lambda o=ours, x=axis: o.sum(x)
            )


def cast(na, options):
    big, half = na.astype(">f4"), na.astype("f2")
    pixels = (na * 255).astype("u1")
    ours, ours_big, ours_half, ours_pixels = map(sf.asarray, (na, big, half, pixels))
    scale, offset = np.float32(1 / 255), np.float32(-0.5)
    yield ratio(
        "big-endian to native", 0.6, lambda: big.astype("f4"), lambda: ours_big.astype("f4")
    )
    yield ratio(
        "float16 to float32", 0.1, lambda: half.astype("f4"), lambda: ours_half.astype("f4")
    )
    # numexpr needs 0.6 of NumPy's time for this; a fifth of that is asked for.
    yield ratio(
        "uint8 to float32, scaled", 0.12,
        lambda: pixels.astype("f4") * scale + offset,
        lambda: sf.affine(ours_pixels, 1 / 255, -0.5),
    )  # fmt: skip
    if options.all:
        yield ratio(
            "float32 to uint8, saturated", None,
            lambda: np.clip(na, 0, 255).astype("u1"),
            lambda: ours.astype("u1", saturate=True),
        )  # fmt: skip


def transposed(n):
    for code in ("u1", "u2", "f4", "f8", "c16"):
        side = int((4 * n // np.dtype(code).itemsize) ** 0.5)
        peer = np.ones((side, side), code)
        ours = sf.asarray(peer)
        yield ratio(
            f"copy of a transposed array, {peer.itemsize} bytes", 0.5,
            lambda p=peer: np.ascontiguousarray(p.T),
            lambda o=ours: o.T.copy(),
        )  # fmt: skip


def windows(na):
    """NumPy looks at every element of every window: short ones."""
    ours = sf.asarray(na)
    moving = np.lib.stride_tricks.sliding_window_view(na, 16)
    yield ratio(
        "moving mean of 16", None, lambda: moving.mean(-1), lambda: sf.moving_mean(ours, 16)
    )
    yield ratio("moving max of 16", None, lambda: moving.max(-1), lambda: sf.moving_max(ours, 16))
    side = int(na.size**0.5) // 8 * 8
    table = na[: side * side].reshape(side, side)
    blocks, ours = table.reshape(side // 8, 8, side // 8, 8), sf.asarray(table)
    yield ratio(
        "means of blocks of 8 x 8", None,
        lambda: blocks.mean((1, 3)),
        lambda: sf.downsample(ours, 8),
    )  # fmt: skip
    yield ratio("differences", None, lambda: np.diff(na), lambda: sf.diff(sf.asarray(na)))


def ratio(work, asked, numpy, spanflow):
    seconds = medians({"numpy": numpy, "spanflow": spanflow}, rounds=7)
    return Row("array", work, "x", seconds["spanflow"] / seconds["numpy"], asked, seconds=seconds)
