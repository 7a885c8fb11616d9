"""The rooms of csrc include only what lies under them."""

from pathlib import Path

import pytest

from tests.lint import rooms

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
SOURCES = sorted(path for path in CSRC.rglob("*") if path.suffix in (".h", ".cc"))


def is_our_file(path):
    return (CSRC / path).is_file()


def test_every_file_lies_in_a_room():
    assert SOURCES
    assert [str(p) for p in SOURCES if p.relative_to(CSRC).parts[0] not in rooms.LAYERS] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CSRC)))
def test_includes(path):
    room = path.relative_to(CSRC).parts[0]
    assert list(rooms.complaints(room, path.read_text(encoding="utf-8"), is_our_file)) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("base", "#include <Python.h>"),
        ("runtime", "#  include <Python.h>"),
        ("array", '#include "bindings/state.h"'),
        ("memory", '#include "simd/ops.h"'),
        ("array", "#include <hwy/highway.h>"),
        ("array", '#include "hwy/foreach_target.h"'),
        ("array", "#include <mimalloc.h>"),
        ("memory", "#include <boost/lockfree/queue.hpp>"),
        ("runtime", "#include <boost/interprocess/offset_ptr.hpp>"),
        ("io", "#include <sys/mman.h>"),
        ("bindings", "#include <unistd.h>"),
        ("base", '#include "dtype.h"'),
        ("array", "#include <base/dtype.h>"),
    ],
)
def test_the_rule_catches(room, line):
    ours = {"bindings/state.h", "simd/ops.h", "base/dtype.h"}
    assert len(list(rooms.complaints(room, f"// A file.\n{line}\n", ours.__contains__))) == 1


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("array", '#include "simd/ops.h"'),
        ("simd", "#include <hwy/highway.h>"),
        ("simd", '#include "hwy/foreach_target.h"'),
        ("bindings", "#include <Python.h>"),
        ("platform", "#include <sys/mman.h>"),
        ("simd", '#include "simd/ops.h"'),
        ("base", "#include <vector>"),
    ],
)
def test_the_rule_allows(room, line):
    assert list(rooms.complaints(room, f"{line}\n", {"simd/ops.h"}.__contains__)) == []
