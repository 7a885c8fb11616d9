"""What one call costs when there is hardly any work behind it."""

import numpy as np

import spanflow as sf
from bench.measure import Row, statement_medians

CASES = {
    # work: (asked ns, spanflow's statement, NumPy's nearest)
    "asarray(ndarray)": (200, "asarray(nx)", "memoryview(nx)"),
    "a slice": (80, "x[10:20]", "nx[10:20]"),
    "add(x, x, out=x), 1,000 elements": (250, "add(x, x, out=x)", "np_add(nx, nx, out=nx)"),
    "sum, 1,000 elements": (None, "x.sum()", "nx.sum()"),
    "one element": (None, "x[5]", "nx[5]"),
    "empty(1000)": (None, "empty(1000)", "np_empty(1000)"),
    "memoryview(x)": (None, "memoryview(x)", "memoryview(nx)"),
}


def rows(options):
    nx = np.zeros(1000, "f4")
    names = {
        "nx": nx, "x": sf.asarray(nx.copy()), "asarray": sf.asarray, "add": sf.add,
        "empty": sf.empty, "np_add": np.add, "np_empty": np.empty,
    }  # fmt: skip
    for work, (asked, ours, peer) in CASES.items():
        if asked is None and not options.all:
            continue
        seconds = statement_medians({"spanflow": ours, "numpy": peer}, names)
        note = f"NumPy {peer}: {seconds['numpy'] * 1e9:.0f} ns".replace("np_", "np.")
        yield Row("bindings", work, "ns", seconds["spanflow"] * 1e9, asked, False, seconds, note)
