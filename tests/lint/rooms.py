"""The include rule of csrc/README.md as data, and a checker that says what a file breaks."""

import re

LAYERS = {
    "base": 0,
    "platform": 1,
    "capi": 1,
    "simd": 2,
    "memory": 2,
    "runtime": 2,
    "array": 3,
    "order": 3,
    "expr": 3,
    "io": 3,
    "pipeline": 4,
    "bindings": 5,
}
# The steps inside a layer: order, expr and io give and take arrays.
SAME_LAYER = {("io", "array"), ("expr", "array"), ("order", "array")}
# What only some rooms may include, by the way the path begins.
RESERVED = {
    "hwy/": {"simd"},
    "mimalloc": {"memory"},
    "boost/interprocess/": {"memory"},
    "boost/lockfree/": {"runtime"},
    "boost/unordered/": {"runtime"},
}
RESERVED |= {
    start: {"platform"}
    for start in [
        "sys/",
        "linux/",
        "pthread.h",
        "signal.h",
        "csignal",
        "unistd.h",
        "fcntl.h",
        "sched.h",
    ]
}
RESERVED |= {
    start: {"capi", "bindings"}
    for start in [
        "Python.h",
        "structmember.h",
        "datetime.h",
        "pythread.h",
        "internal/pycore",
        "cpython/",
    ]
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def allowed(room, other):
    """Whether a room may include files of the other."""
    return other == room or LAYERS[other] < LAYERS[room] or (room, other) in SAME_LAYER


def complaints(room, text, exists):
    """What the text of one file in a room breaks; `exists(path)` knows the files of csrc."""
    for quote, path in INCLUDE.findall(text):
        other = path.partition("/")[0]
        if quote == '"' and not path.startswith("hwy/"):
            if other not in LAYERS or not exists(path):
                yield f'"{path}" is not a file written from the csrc root'
            elif not allowed(room, other):
                yield f'"{path}" is in layer {LAYERS[other]}, {room} is in layer {LAYERS[room]}'
            continue
        if quote == "<" and other in LAYERS and exists(path):
            yield f"<{path}> is one of our files; quote it"
        for start, rooms in RESERVED.items():
            if path.startswith(start) and room not in rooms:
                yield f"<{path}> may be included only in {', '.join(sorted(rooms))}"
