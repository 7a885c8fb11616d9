"""PEP 688: the buffer protocol from Python (3.12 and newer)."""

import collections.abc
import sys

import pytest

import spanflow as sf
from tests.bindings import harness

if sys.version_info < (3, 12):
    pytest.skip("__buffer__ came with Python 3.12", allow_module_level=True)

import inspect

Flags = inspect.BufferFlags


def test_an_array_is_a_buffer():
    assert isinstance(sf.zeros(1), collections.abc.Buffer)
    assert issubclass(sf.Array, collections.abc.Buffer)


def test_buffer_and_release():
    array = sf.zeros(3, "u1")
    view = array.__buffer__(Flags.FULL)
    assert isinstance(view, memoryview)
    assert view.tolist() == [0, 0, 0]
    with pytest.raises(BufferError, match="by 1 exported buffer;"):
        array.close()
    array.__release_buffer__(view)
    with pytest.raises(ValueError, match="released"):
        view.tolist()
    with pytest.raises(ValueError):
        array.__release_buffer__(view)  # twice
    array.close()


def test_release_of_a_stranger():
    array, other = sf.zeros(3, "u1"), sf.zeros(3, "u1")
    view = memoryview(other)
    with pytest.raises(ValueError):
        array.__release_buffer__(view)
    with pytest.raises(TypeError):
        array.__release_buffer__(b"no view")
    assert view.tolist() == [0, 0, 0]
    view.release()
    array.close()
    other.close()


@pytest.mark.parametrize("flags", [Flags.READ, Flags.WRITE])
def test_access_modes_are_refused(flags):
    array = sf.zeros(3)
    with pytest.raises((SystemError, BufferError)):
        array.__buffer__(flags)
    array.close()


def test_flags_out_of_range():
    with pytest.raises(OverflowError):
        sf.zeros(3).__buffer__(sys.maxsize + 1)
    with pytest.raises((OverflowError, BufferError)):
        sf.zeros(3).__buffer__(1 << 31)
    with pytest.raises(TypeError):
        sf.zeros(3).__buffer__("SIMPLE")


@pytest.mark.parametrize("flags", harness.REQUESTS)
@pytest.mark.parametrize("readonly", [False, True])
def test_requests_from_python(flags, readonly):
    raw = bytes(range(24))
    array = sf.frombuffer(raw if readonly else bytearray(raw), "u2").reshape(3, 4)[:, ::2]
    truth = harness.Truth("H", 2, (3, 2), (8, 4), array.address, readonly, raw, array.address)
    if truth.refusal(flags):
        with pytest.raises(BufferError):
            array.__buffer__(flags)
        with pytest.raises(BufferError):
            memoryview._from_flags(array, flags)
    else:
        with memoryview._from_flags(array, flags) as view:
            assert view.obj is array
            assert view.nbytes == truth.nbytes
            assert view.readonly is readonly
    array.close()


def test_inheritance():
    class A(sf.Array):
        def __buffer__(self, flags):
            return super().__buffer__(flags)

    a = A(b"hello")
    with memoryview(a) as view:
        assert view.tobytes() == b"hello"
        with pytest.raises(BufferError):
            a.close()
    a.close()


def test_inheritance_with_release():
    calls = []

    class B(sf.Array):
        def __buffer__(self, flags):
            return super().__buffer__(flags)

        def __release_buffer__(self, view):
            calls.append(view.nbytes)  # a view that is being released gives no other views
            super().__release_buffer__(view)

    b = B(b"hello")
    with memoryview(b) as view:
        assert view.tobytes() == b"hello"
        assert calls == []
    assert calls == [5]
    b.close()


def test_inherit_but_return_something_else():
    released = []

    class A(sf.Array):
        def __buffer__(self, flags):
            return memoryview(b"other")

        def __release_buffer__(self, view):
            try:
                super().__release_buffer__(view)
            except ValueError as error:
                released.append(error)

    a = A(b"hello")
    with memoryview(a) as view:
        assert view.tobytes() == b"other"
    assert len(released) == 1
    a.close()


def test_override_only_release():
    class C(sf.Array):
        def __release_buffer__(self, view):
            super().__release_buffer__(view)

    c = C(b"hello")
    with memoryview(c) as view:
        assert view.tobytes() == b"hello"
    c.close()


def test_release_cannot_save_the_view():
    saved = []

    class C(sf.Array):
        def __release_buffer__(self, view):
            for use in (
                memoryview,
                lambda v: v.cast("b"),
                lambda v: v[:1],
                lambda v: v.toreadonly(),
            ):
                with pytest.raises(ValueError):
                    use(view)
            saved.append(view)
            super().__release_buffer__(view)

    c = C(bytearray(b"hello"))
    with memoryview(c) as view:
        assert view.tobytes() == b"hello"
    c.close()
    with pytest.raises(ValueError):
        saved[0].tobytes()


def test_multiple_inheritance():
    class A:
        def __buffer__(self, flags):
            return memoryview(b"hello A")

    class B(A, sf.Array):
        def __buffer__(self, flags):
            return super().__buffer__(flags)

    b = B(b"hello")
    with memoryview(b) as view:
        assert view.tobytes() == b"hello A"
    assert sf.asarray(b) is b  # an array needs no wrapping
    assert b.tobytes() == b"hello"

    class Never:
        def __buffer__(self, flags):
            raise RuntimeError("should not be called")

        def __release_buffer__(self, view):
            raise RuntimeError("should not be called")

    class C(sf.Array, Never):
        def __buffer__(self, flags):
            return super().__buffer__(flags)

    c = C(b"hello")
    with memoryview(c) as view:
        assert view.tobytes() == b"hello"
    c.close()


def test_the_type_itself_cannot_be_changed():
    with pytest.raises(TypeError):
        sf.Array.__buffer__ = lambda self, flags: memoryview(b"")
    with pytest.raises(TypeError):
        del sf.Array.__release_buffer__


def test_a_python_exporter_is_wrapped_and_released():
    class Exporter:
        held = 0

        def __init__(self):
            self.data = bytearray(b"12345678")

        def __buffer__(self, flags):
            Exporter.held += 1
            return memoryview(self.data)

        def __release_buffer__(self, view):
            Exporter.held -= 1

    exporter = Exporter()
    array = sf.asarray(exporter)
    assert Exporter.held == 1
    view = array[::2]
    array[0] = ord("x")
    assert exporter.data[0] == ord("x")
    del array
    assert Exporter.held == 1
    del view
    assert Exporter.held == 0
    with sf.asarray(exporter):
        assert Exporter.held == 1
    assert Exporter.held == 0


def test_an_exporter_that_raises():
    class Broken:
        def __buffer__(self, flags):
            raise LookupError("no bytes today")

    with pytest.raises(LookupError, match="no bytes today"):
        sf.asarray(Broken())

    class Wrong:
        def __buffer__(self, flags):
            return b"not a memoryview"

    with pytest.raises(TypeError):
        sf.asarray(Wrong())
