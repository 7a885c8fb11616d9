"""CPython's own tests of memoryview and of exporters, on our arrays."""

import random
import struct
import unittest

import pytest

import spanflow as sf
from tests.bindings import harness

test_memoryview = pytest.importorskip("test.test_memoryview")


class ReadOnlyBytes(sf.Array):
    """Wraps the bytes that it is made of."""


class HeapBytes(sf.Array):
    """A writable copy of what it is made of."""

    def __new__(cls, source):
        return super().__new__(cls, source, copy=True)


class ForeignBytes(sf.Array):
    """A bytearray, wrapped."""

    def __new__(cls, source):
        return super().__new__(cls, bytearray(source))


class Adapted:
    """What differs between an array and bytes: == is elementwise, and hash is refused."""

    def _check_contents(self, tp, obj, contents):
        inside = obj[1:7] if self.source_bytes.startswith(b"X") else obj
        self.assertEqual(inside.tolist(), tp(contents).tolist())

    def test_hash(self):
        view = self._view(self.ro_type(self._source)) if self.ro_type else None
        if view is None:
            self.skipTest("no read-only type to test")
        self.assertRaises(TypeError, hash, view)  # the array behind it is not hashable


class Heap(Adapted):
    ro_type = ReadOnlyBytes
    rw_type = HeapBytes
    getitem_type = bytes
    itemsize = 1
    format = "B"


class Foreign(Adapted):
    ro_type = None
    rw_type = ForeignBytes
    getitem_type = bytes
    itemsize = 1
    format = "B"


class Int32(Adapted):
    ro_type = None
    itemsize = 4
    format = "i"

    def rw_type(self, source):
        return sf.array(list(source), "i4")

    def getitem_type(self, source):
        return struct.pack(f"{len(source)}i", *source)

    @unittest.skip("for bytes only")
    def test_getbuffer(self):
        pass


class HeapViewTest(
    Heap,
    test_memoryview.BaseMemoryviewTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


class HeapSliceTest(
    Heap,
    test_memoryview.BaseMemorySliceTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


class HeapSliceSliceTest(
    Heap,
    test_memoryview.BaseMemorySliceSliceTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


class ForeignViewTest(
    Foreign,
    test_memoryview.BaseMemoryviewTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


class ForeignSliceTest(
    Foreign,
    test_memoryview.BaseMemorySliceTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


class Int32ViewTest(
    Int32,
    test_memoryview.BaseMemoryviewTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


class Int32SliceSliceTest(
    Int32,
    test_memoryview.BaseMemorySliceSliceTests,
    test_memoryview.AbstractMemoryTests,
    unittest.TestCase,
):
    pass


# verify_getbuf of CPython's test_buffer: its own rules, its own checks of what came back.


class Described(sf.Array):
    """verify_getbuf wants the word suboffsets; an array never has them."""

    suboffsets = ()


@pytest.mark.parametrize("fmt", [f for f in harness.DTYPES if f in "?bBhHiIlLefd"] + [">i", ">d"])
def test_verify_getbuf(fmt):
    test_buffer = pytest.importorskip("test.test_buffer")
    if test_buffer.ndarray is None:
        pytest.skip("no _testbuffer")
    if fmt == "e" and "e" not in test_buffer.MEMORYVIEW:
        pytest.skip("this test_buffer does not know 'e'")
    checks = test_buffer.TestBufferProtocol()
    checks.setUp()
    raw = harness.raw_items(fmt, 12)
    for owner in (raw, bytearray(raw)):
        flat = sf.frombuffer(owner, harness.DTYPES[fmt])
        for layout in harness.LAYOUTS.values():
            array = Described(layout.of(flat))
            assert type(array) is Described
            for request in random.Random(fmt).sample(harness.REQUESTS, 60):
                checks.verify_getbuf(array, array, request)
                if test_buffer.is_memoryview_format(fmt):
                    checks.verify_getbuf(array, memoryview(array), request)
