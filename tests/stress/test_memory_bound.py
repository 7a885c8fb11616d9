"""The memory bound holds: data of ten times the budget, by the run's own count and by the kernel's.

The kernel's is the peak of the resident set above what the process had before. Beside the budget and one
item for each call that may be at work there are, for each of these, the result beside its input, and what
the allocator and the threads' stacks keep: a constant.
"""

import sysconfig

import pytest

from tests.crash.process import check

BUDGET = 16 << 20
# Bytes of the resident set that are no item. Without a GIL what one thread frees of another's waits longer
# until it is used again.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
CONSTANT = (24 if FREE_THREADED else 12) << 20

SETUP = f"""
import gc, sys, time
import spanflow as sf
KB, MB, BUDGET = 1 << 10, 1 << 20, {BUDGET}

def made(nbytes):
    array = sf.empty(nbytes, "u1")
    array[...] = 1
    return array
def steady():
    for _ in range(160):
        yield made(MB)
def bursts():
    for _ in range(8):
        yield from (made(MB) for _ in range(20))
        time.sleep(0.02)
def skewed():  # 160 MB, of which most are in few items
    for n in range(180):
        yield made(6 * MB if n % 7 == 3 else 64 * KB)
def small():
    for _ in range(400):
        yield made(20 * KB)
def grown(item):
    return made(20 * item.nbytes)
def many(item):
    for _ in range(20):
        yield made(item.nbytes)
def first_is_slow(item):
    if not seen:
        seen.append(1)
        time.sleep(0.3)
    return item
seen = []

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(name))

def consume(run, pause):
    nbytes = 0
    for item in run:
        nbytes += item.nbytes
        if pause:
            time.sleep(pause)
        del item
    return nbytes

list(sf.Pipeline(range(99)).map(abs).run(threads=3))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew
before = kilobytes("VmHWM")
"""

# The pipeline, seconds that the consumer takes for an item, the largest item, how many calls at once.
CASES = {
    "slow consumer": ("sf.Pipeline(steady()).map(sf.add, 1)", 0.002, 1 << 20, 3),
    "fast consumer": ("sf.Pipeline(steady()).map(sf.add, 1)", 0, 1 << 20, 3),
    "slow consumer, Python": ("sf.Pipeline(steady()).map(sf.Array.copy)", 0.002, 1 << 20, 3),
    "bursty source": ("sf.Pipeline(bursts()).map(sf.add, 1)", 0.001, 1 << 20, 3),
    "skewed sizes": ("sf.Pipeline(skewed()).map(sf.add, 1)", 0.001, 6 << 20, 3),
    "skewed sizes, batched anew": ("sf.Pipeline(skewed()).rebatch(MB)", 0.001, 6 << 20, 3),
    "a stage that makes 20 times as much": ("sf.Pipeline(small()).map(grown)", 0.001, 400 << 10, 3),
    "a stage that makes 20 items": ("sf.Pipeline(small()).flat_map(many)", 0, 20 << 10, 3),
    "workers": (
        "sf.Pipeline(steady()).map(sf.Array.copy, workers=sf.Workers('thread', 3))",
        0.002,
        1 << 20,
        6,
    ),
    "workers that find out how many": (
        "sf.Pipeline(steady()).map(sf.Array.copy, workers='auto')",
        0.002,
        1 << 20,
        67,
    ),
    "first item is slow": ("sf.Pipeline(steady()).map(first_is_slow)", 0, 1 << 20, 3),
    "a shuffle": ("sf.Pipeline(steady()).map(sf.add, 1).shuffle(8, seed=1)", 0.001, 1 << 20, 3),
}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_bound(name, ordered):
    pipeline, pause, largest, calls = CASES[name]
    limit = BUDGET + calls * largest
    done = check(
        SETUP
        + f"""
run = {pipeline}.run(threads=3, memory=BUDGET, ordered={ordered})
nbytes = consume(run, {pause})
peak, resident = run.stats()["nbytes_peak"], kilobytes("VmHWM") - before
print(f"{{nbytes / MB:.0f}} MB: {{peak / MB:.1f}} MB counted, {{resident / MB:.1f}} MB resident")
assert nbytes >= 156 * MB, nbytes
assert peak <= {limit}, ("counted", peak)
assert resident <= {limit + calls * largest + CONSTANT}, ("resident", resident)
assert peak >= {largest}, peak  # something was measured
""",
        timeout=60,
    )
    print(f"{name}, ordered={ordered}: {done.stdout}", end="")
