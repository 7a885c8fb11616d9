"""Files that shrink under their mapping: OSError, never SIGBUS, and no zeros taken for data."""

import pytest

from tests.crash.process import check

SETUP = """
    import os, pickle, sys
    import spanflow as sf

    def truncated(path, mode, keep):
        sf.save(path, sf.ones(1 << 17))  # 1 MiB
        a = sf.open(path, mode)
        if keep % 2:  # some pages were already there
            assert a.sum() == 1 << 17
        os.truncate(path, keep)
        return a

    path = sys.argv[1]
"""

ACTIONS = {
    "sum": "a.sum()",
    "min": "a.min()",
    "mean": "a[::-1].mean()",
    "axis": "a.reshape(512, 256).sum(axis=0)",
    "add": "a + 1",
    "strided": "a[::3] * 2",
    "compare": "a == a",
    "copy": "a.copy()",
    "astype": "a.astype('f4')",
    "tobytes": "a.tobytes()",
    "tolist": "a.tolist()",
    "last element": "a[-1]",
    "item": "a.item((1 << 17) - 1)",
    "iterate": "sum(a[-1000:])",
    "take": "a[[1 << 16, -1]]",
    "mask": "a[a > 0]",
    "assign from": "sf.zeros(1 << 17).__setitem__(slice(None), a)",
    "where": "sf.where(a, a, 0)",
    "operand of out=": "sf.add(a, 1, out=sf.empty(1 << 17))",
    "save": "sf.save(file + '.copy', a)",
    "pickle": "pickle.dumps(a)",
    "repr": "repr(a)",
    "float": "float(a[-1:])",
}
WRITES = {
    "fill": "a.fill(2)",
    "assign": "a.__setitem__(slice(None), 2)",
    "assign element": "a.__setitem__(-1, 2)",
    "out=": "sf.add(sf.zeros(1 << 17), 1, out=a)",
    "in place": "a.__iadd__(1)",
    "put": "a.__setitem__([-1, -2], 5)",
    "put mask": "a.__setitem__(sf.ones(1 << 17, '?'), 5)",
}

# All actions in one process, each on a file of its own; what happened to it is one line.
RUN = """
    mode, keep, actions = sys.argv[2], int(sys.argv[3]), eval(sys.argv[4])
    for number, (name, action) in enumerate(actions.items()):
        file = f"{path}.{number}"
        a = truncated(file, mode, keep)
        try:
            exec(action)
        except OSError as error:
            found = "told" if os.path.basename(file) in str(error) and error.errno else repr(error)
        except BaseException as error:
            found = repr(error)
        else:
            found = "no exception"
        print(f"{name}: {found}", flush=True)
"""


def told(path, mode, keep, actions):
    """Every action must end in an OSError that names its file."""
    done = check(SETUP + RUN, path, mode, keep, repr(actions))
    assert done.stdout.splitlines() == [f"{name}: told" for name in actions]


@pytest.mark.parametrize("keep", [0, 4096, 8137], ids=["all gone", "one page", "part of a page"])
def test_reading(keep, tmp_path):
    told(tmp_path / "a.npy", "r", keep, ACTIONS)
    assert not list(tmp_path.glob("*.copy*"))


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_writing(mode, tmp_path):
    told(tmp_path / "a.npy", mode, 0, WRITES)


def test_consumers_of_the_buffer_survive(tmp_path):
    """What others read through memoryview cannot raise; it reads zeros, and we tell afterwards."""
    check(
        SETUP
        + """
    a = truncated(path, "r", 0)
    view = memoryview(a)
    assert bytes(view)[-8:] == bytes(8)
    import hashlib, zlib
    hashlib.sha256(view).digest(), zlib.crc32(view)
    view.release()
    try:
        a.sum()
    except OSError:
        a.close()
        sys.exit(7)
    """,
        tmp_path / "a.npy",
        code=7,
    )


def test_numpy_over_a_truncated_mapping_survives(tmp_path):
    pytest.importorskip("numpy")
    check(
        SETUP
        + """
    a = truncated(path, "r", 4096)
    import numpy as np
    theirs = np.asarray(a)
    assert theirs.sum() < 1 << 17
    sys.exit(7)
    """,
        tmp_path / "a.npy",
        code=7,
    )


# Bytes of a mapping that come back to us through somebody else.
VIEWS = {"memoryview": "sf.asarray(memoryview(a))", "numpy": "sf.asarray(np.asarray(a)[::-1])"}
THROUGH = {
    "sum": "b.sum()",
    "again": "b.sum()",
    "strided": "b[::2] * 2",
    "save": "sf.save(file + '.copy', b)",
    "save strided": "sf.save(file + '.copy', b[::2])",
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "keep", [0, 4096, (1 << 20) + 121], ids=["none", "a page", "all but 7 bytes"]
)
def test_seen_through_a_foreign_view(keep, view, tmp_path):
    pytest.importorskip("numpy")
    foreign = SETUP.replace("import os", "import numpy as np, os").replace(
        "        os.truncate(path, keep)\n        return a",
        f"        b = {VIEWS[view]}\n        os.truncate(path, keep)\n        return b",
    )
    done = check(
        foreign + RUN.replace("a = truncated", "b = truncated"),
        tmp_path / "a.npy",
        "r",
        keep,
        repr(THROUGH),
    )
    assert done.stdout.splitlines() == [f"{name}: told" for name in THROUGH]
    assert not list(tmp_path.glob("*.copy*"))


def test_faulthandler_before_a_buffer_is_asked_for(tmp_path):
    """The consumer of a buffer runs without us: the guard must be in front when it gets it."""
    check(
        SETUP
        + """
    a = truncated(path, "r", 0)
    import faulthandler
    faulthandler.enable()
    view = memoryview(a)
    assert bytes(view[-1:]) == bytes(8)
    sys.exit(7)
    """,
        tmp_path / "a.npy",
        code=7,
    )


def test_a_file_that_grows_again(tmp_path):
    """Once lost, bytes may come back as zeros: an error was raised, and no later one is promised."""
    check(
        SETUP
        + """
    a = truncated(path, "r", 0)
    try:
        a.sum()
    except OSError:
        pass
    else:
        sys.exit("no exception")
    a.close()
    sf.save(path, sf.ones(5))
    assert sf.open(path).sum() == 5
    sys.exit(7)
    """,
        tmp_path / "a.npy",
        code=7,
    )


def test_from_many_threads(tmp_path):
    check(
        SETUP
        + """
    a = truncated(path, "r", 0)
    import threading
    seen = []
    def work():
        for _ in range(20):
            try:
                a.max()
            except OSError:
                seen.append(1)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    sys.exit(7 if len(seen) == 160 else f"{len(seen)} of 160 were told")
    """,
        tmp_path / "a.npy",
        code=7,
    )


# The guard must not swallow what is not ours.


@pytest.mark.parametrize("order", ["before", "after", "never"])
def test_a_real_crash_stays_one(order, tmp_path):
    script = """
        import ctypes, faulthandler, sys
        order, path = sys.argv[1:]
        if order == "before":
            faulthandler.enable()
        import spanflow as sf
        sf.save(path, sf.ones(1000))
        a = sf.open(path)
        a.sum()
        if order == "after":
            faulthandler.enable()
        ctypes.string_at(8)
    """
    done = check(script, order, tmp_path / "a.npy", code=-11)
    assert ("Segmentation fault" in done.stderr) is (order != "never")


def test_another_sigbus_still_kills(tmp_path):
    """A truncated mapping of mmap's own is not ours to repair."""
    script = """
        import mmap, os, sys
        import spanflow as sf
        path = sys.argv[1]
        sf.save(path, sf.ones(10))
        a = sf.open(path)
        a.sum()
        with open(path + ".other", "w+b") as f:
            f.truncate(1 << 16)
            m = mmap.mmap(f.fileno(), 1 << 16)
            f.truncate(0)
        m[5]
    """
    check(script, tmp_path / "a.npy", code=-7)


def test_faulthandler_after_the_guard_does_not_break_it(tmp_path):
    check(
        SETUP
        + """
    a = truncated(path, "r", 0)
    import faulthandler
    faulthandler.enable()
    try:
        a.sum()
    except OSError:
        sys.exit(7)
    """,
        tmp_path / "a.npy",
        code=7,
    )


def test_a_python_handler_of_sigbus_is_left_alone(tmp_path):
    check(
        """
    import signal
    calls = []
    signal.signal(signal.SIGBUS, lambda *a: calls.append(a))
    """
        + SETUP
        + """
    a = truncated(path, "r", 0)
    try:
        a.sum()
    except OSError:
        pass
    else:
        sys.exit("no exception")
    assert not calls
    os.kill(os.getpid(), signal.SIGBUS)
    assert len(calls) == 1
    sys.exit(7)
    """,
        tmp_path / "a.npy",
        code=7,
    )
