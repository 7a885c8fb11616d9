"""The rules of PEP 3118 as an oracle, and a driver that sees the Py_buffer an exporter fills.

The driver calls PyObject_GetBuffer through ctypes, so that null pointers stay visible and nothing
but the interpreter itself is needed. What a request must be answered with is computed from the
parameters that an exporter was made with, never from the exporter.
"""

import ctypes
import itertools
import math
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SIMPLE = 0
WRITABLE = 0x1
FORMAT = 0x4
ND = 0x8
STRIDES = 0x10 | ND
C_CONTIGUOUS = 0x20 | STRIDES
F_CONTIGUOUS = 0x40 | STRIDES
ANY_CONTIGUOUS = 0x80 | STRIDES
INDIRECT = 0x100 | STRIDES
FULL = INDIRECT | WRITABLE | FORMAT
FULL_RO = INDIRECT | FORMAT

# The requests of Python.h and every way to add a writable buffer and a format to them.
REQUESTS = sorted(
    {
        base | extra
        for base in (
            SIMPLE,
            ND,
            STRIDES,
            INDIRECT,
            C_CONTIGUOUS,
            F_CONTIGUOUS,
            ANY_CONTIGUOUS,
            C_CONTIGUOUS | INDIRECT,
            F_CONTIGUOUS | INDIRECT,
            ANY_CONTIGUOUS | INDIRECT,
            C_CONTIGUOUS | F_CONTIGUOUS,
            C_CONTIGUOUS | ANY_CONTIGUOUS,
            F_CONTIGUOUS | ANY_CONTIGUOUS,
            C_CONTIGUOUS | F_CONTIGUOUS | ANY_CONTIGUOUS,
            C_CONTIGUOUS | F_CONTIGUOUS | ANY_CONTIGUOUS | INDIRECT,
        )
        for extra in (0, WRITABLE, FORMAT, WRITABLE | FORMAT)
    }
)
assert len(REQUESTS) == 60

MAX_NDIM = 64


class PyBuffer(ctypes.Structure):
    """struct Py_buffer. `obj` is an address: the owned reference stays with the buffer."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    ]


get_buffer = ctypes.pythonapi.PyObject_GetBuffer
get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(PyBuffer), ctypes.c_int]
get_buffer.restype = ctypes.c_int
release_buffer = ctypes.pythonapi.PyBuffer_Release
release_buffer.argtypes = [ctypes.POINTER(PyBuffer)]
release_buffer.restype = None
is_contiguous = ctypes.pythonapi.PyBuffer_IsContiguous
is_contiguous.argtypes = [ctypes.POINTER(PyBuffer), ctypes.c_char]
is_contiguous.restype = ctypes.c_int
to_contiguous = ctypes.pythonapi.PyBuffer_ToContiguous
to_contiguous.argtypes = [
    ctypes.c_void_p,
    ctypes.POINTER(PyBuffer),
    ctypes.c_ssize_t,
    ctypes.c_char,
]
to_contiguous.restype = ctypes.c_int
from_contiguous = ctypes.pythonapi.PyBuffer_FromContiguous
from_contiguous.argtypes = [
    ctypes.POINTER(PyBuffer),
    ctypes.c_char_p,
    ctypes.c_ssize_t,
    ctypes.c_char,
]
from_contiguous.restype = ctypes.c_int
get_pointer = ctypes.pythonapi.PyBuffer_GetPointer
get_pointer.argtypes = [ctypes.POINTER(PyBuffer), ctypes.POINTER(ctypes.c_ssize_t)]
get_pointer.restype = ctypes.c_void_p
get_contiguous = ctypes.pythonapi.PyMemoryView_GetContiguous
get_contiguous.argtypes = [ctypes.py_object, ctypes.c_int, ctypes.c_char]
get_contiguous.restype = ctypes.py_object

PYBUF_READ = 0x100
PYBUF_WRITE = 0x200


@contextmanager
def buffer(exporter, flags):
    """The Py_buffer that `exporter` fills for `flags`, released at the end of the block."""
    view = PyBuffer()
    get_buffer(exporter, view, flags)
    try:
        yield view
    finally:
        release_buffer(view)


def matches(flags, request):
    """Whether a set of request bits holds all bits of `request`."""
    return flags & request == request


def c_strides(shape, itemsize):
    """Strides of a C-contiguous array; an extent of 0 counts as 1, as in NumPy."""
    strides = []
    step = itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def f_strides(shape, itemsize):
    return tuple(reversed(c_strides(tuple(reversed(shape)), itemsize)))


def _follow(shape, strides, itemsize, axes):
    """Whether the axes, fastest first, lie one behind the other; those of size 1 do not matter."""
    if 0 in shape:
        return True
    step = itemsize
    for axis in axes:
        if shape[axis] > 1 and strides[axis] != step:
            return False
        step *= shape[axis]
    return True


@dataclass(frozen=True)
class Truth:
    """What an exporter was made with: everything that a consumer may see of it."""

    fmt: str
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    address: int  # of element [0, …, 0]
    readonly: bool
    raw: bytes  # the whole memory around it
    base: int  # its address

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def nbytes(self):
        return math.prod(self.shape) * self.itemsize

    @property
    def c_contiguous(self):
        return _follow(self.shape, self.strides, self.itemsize, range(self.ndim - 1, -1, -1))

    @property
    def f_contiguous(self):
        return _follow(self.shape, self.strides, self.itemsize, range(self.ndim))

    def offset(self, index):
        """Where an element lies in `raw`."""
        start = self.address - self.base
        return start + sum(i * s for i, s in zip(index, self.strides, strict=True))

    def element(self, index):
        at = self.offset(index)
        return self.raw[at : at + self.itemsize]

    def indices(self):
        return itertools.product(*map(range, self.shape))

    def tobytes(self, order="C"):
        """The elements in C or Fortran order."""
        if order == "C":
            return b"".join(self.element(index) for index in self.indices())
        backwards = itertools.product(*map(range, reversed(self.shape)))
        return b"".join(self.element(index[::-1]) for index in backwards)

    def tolist(self):
        """Nested lists of what struct makes of the elements."""

        def build(index):
            if len(index) == self.ndim:
                (value,) = struct.unpack(self.fmt, self.element(index))
                return value
            return [build((*index, i)) for i in range(self.shape[len(index)])]

        return build(())

    def refusal(self, flags):
        """Why a request must be answered with BufferError, or None."""
        if matches(flags, WRITABLE) and self.readonly:
            return "writable request to a read-only exporter"
        if matches(flags, C_CONTIGUOUS) and not self.c_contiguous:
            return "not C-contiguous"
        if matches(flags, F_CONTIGUOUS) and not self.f_contiguous:
            return "not Fortran-contiguous"
        if matches(flags, ANY_CONTIGUOUS) and not (self.c_contiguous or self.f_contiguous):
            return "not contiguous"
        if not matches(flags, STRIDES) and not self.c_contiguous:
            return "no strides and not C-contiguous"
        if matches(flags, FORMAT) and not matches(flags, ND):
            return "a format without a shape"
        return None


def dims(pointer, ndim):
    return tuple(pointer[:ndim]) if pointer else None


def mismatch(exporter, truth, flags, *, same_obj=True, strict_scalar=True):
    """What is wrong with the answer to one request, or None."""
    reason = truth.refusal(flags)
    view = PyBuffer()
    view.obj = 0x1  # must be overwritten, whatever the answer
    try:
        get_buffer(exporter, view, flags)
    except BufferError:
        if reason is None:
            return "refused a request that must succeed"
        return "left Py_buffer.obj set after an error" if view.obj else None
    except BaseException as error:
        return f"raised {error!r} instead of BufferError"
    try:
        if reason is not None:
            return f"accepted: {reason}"
        return _wrong_field(exporter, truth, flags, view, same_obj, strict_scalar)
    finally:
        release_buffer(view)


def _wrong_field(exporter, truth, flags, view, same_obj, strict_scalar):
    with_shape = matches(flags, ND)
    with_strides = matches(flags, STRIDES)
    wanted_shape = truth.shape if with_shape and truth.ndim else None
    wanted_strides = truth.strides if with_strides and truth.ndim else None
    found = {
        "buf": view.buf,
        "len": view.len,
        "itemsize": view.itemsize,
        "readonly": view.readonly,
        "ndim": view.ndim,
        "format": view.format,
        "suboffsets": bool(view.suboffsets),
    }
    wanted = {
        "buf": truth.address,
        "len": truth.nbytes,
        "itemsize": truth.itemsize,
        "readonly": int(truth.readonly),
        "ndim": truth.ndim if with_shape else 1,
        "format": truth.fmt.encode() if matches(flags, FORMAT) else None,
        "suboffsets": False,
    }
    if same_obj:
        found["obj"], wanted["obj"] = view.obj, id(exporter)
    if strict_scalar or truth.ndim or not with_shape:
        found["shape"], wanted["shape"] = dims(view.shape, truth.ndim), wanted_shape
        found["strides"], wanted["strides"] = dims(view.strides, truth.ndim), wanted_strides
    if truth.nbytes == 0:  # any address will do, but not none
        found["buf"], wanted["buf"] = bool(found["buf"]), True
    for name, value in wanted.items():
        if found[name] != value:
            return f"{name} is {found[name]!r}, must be {value!r}"
    if not with_strides and ctypes.string_at(view.buf, view.len) != truth.tobytes():
        return "the bytes of a contiguous answer are not the elements"
    return None


def request_name(flags):
    """The bits of a request, for messages."""
    names = [
        (ANY_CONTIGUOUS, "ANY_CONTIGUOUS"),
        (F_CONTIGUOUS, "F_CONTIGUOUS"),
        (C_CONTIGUOUS, "C_CONTIGUOUS"),
        (INDIRECT, "INDIRECT"),
        (STRIDES, "STRIDES"),
        (ND, "ND"),
        (FORMAT, "FORMAT"),
        (WRITABLE, "WRITABLE"),
    ]
    text = [name for bits, name in names if matches(flags, bits)]
    return f"{flags:#x} ({'|'.join(text) or 'SIMPLE'})"


def mismatches(exporter, truth, requests=REQUESTS, **how):
    """All wrong answers of an exporter, as lines of text."""
    found = ((flags, mismatch(exporter, truth, flags, **how)) for flags in requests)
    return [f"{request_name(flags)}: {what}" for flags, what in found if what is not None]


# What is exported natively, with the name of its dtype; struct and memoryview know all of them.
NATIVE = {
    "?": "bool",
    "b": "int8",
    "B": "uint8",
    "h": "int16",
    "H": "uint16",
    "i": "int32",
    "I": "uint32",
    "l": "int64",
    "L": "uint64",
    "e": "float16",
    "f": "float32",
    "d": "float64",
}
SWAPPED = {
    ">h": ">i2",
    ">H": ">u2",
    ">i": ">i4",
    ">I": ">u4",
    ">q": ">i8",
    ">Q": ">u8",
    ">e": ">f2",
    ">f": ">f4",
    ">d": ">f8",
}
DTYPES = NATIVE | SWAPPED


def raw_items(fmt, count, seed=1):
    """`count` packed elements that differ from one another in all their bytes (bool aside)."""
    size = struct.calcsize(fmt)
    if fmt.endswith("?"):
        return bytes((i * 7 + seed) % 3 == 0 for i in range(count))
    items = bytearray((seed + 37 * i) % 251 + 1 for i in range(count * size))
    if fmt[-1] in "efd":  # no infinities and NaNs, which compare unequal to themselves
        values = [(-1) ** i * (i + seed) / 4 for i in range(count)]
        return struct.pack(fmt[:-1] + str(count) + fmt[-1], *values)
    return bytes(items)


@dataclass(frozen=True)
class LayoutCase:
    """Strides and offset in elements, and how a flat array of 12 elements becomes this layout."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    of: Any


LAYOUTS = {
    "0-d": LayoutCase((), (), 5, lambda a: a[5:6].reshape(())),
    "1-d": LayoutCase((12,), (1,), 0, lambda a: a),
    "reversed": LayoutCase((12,), (-1,), 11, lambda a: a[::-1]),
    "every second": LayoutCase((6,), (2,), 0, lambda a: a[::2]),
    "C": LayoutCase((3, 4), (4, 1), 0, lambda a: a.reshape(3, 4)),
    "F": LayoutCase((4, 3), (1, 4), 0, lambda a: a.reshape(3, 4).T),
    "both reversed": LayoutCase((3, 4), (-4, -1), 11, lambda a: a.reshape(3, 4)[::-1, ::-1]),
    "size 1": LayoutCase((1, 3, 1), (3, 1, 1), 2, lambda a: a[2:5].reshape(1, 3, 1)),
    "transposed slice": LayoutCase((3, 2), (1, 8), 1, lambda a: a.reshape(3, 4)[::2, 1:].T),
    # Strides of a dimension with one element mean nothing for contiguity.
    "one row of a slice": LayoutCase((1, 4), (8, 1), 4, lambda a: a.reshape(3, 4)[1::2]),
    "one column": LayoutCase((3, 1), (4, 1), 3, lambda a: a.reshape(3, 4)[:, 3:]),
    "3-d slice": LayoutCase((2, 2, 2), (6, 3, 1), 1, lambda a: a.reshape(2, 2, 3)[:, :, 1:]),
}


def truth_of(fmt, layout, base, raw, readonly):
    """The Truth of a layout over 12 elements at address `base`."""
    size = struct.calcsize(fmt)
    return Truth(
        fmt=fmt,
        itemsize=size,
        shape=layout.shape,
        strides=tuple(s * size for s in layout.strides),
        address=base + layout.offset * size,
        readonly=readonly,
        raw=raw,
        base=base,
    )


def truth_from(exporter):
    """The Truth about an exporter that is trusted (never one of ours), as it says itself."""
    with buffer(exporter, FULL_RO) as view:
        shape, strides = dims(view.shape, view.ndim), dims(view.strides, view.ndim)
        if strides is None:  # ctypes: contiguous
            strides = c_strides(shape, view.itemsize)
        reach = [step * (extent - 1) for step, extent in zip(strides, shape, strict=True)]
        low = view.buf + sum(min(r, 0) for r in reach)
        size = sum(map(abs, reach)) + view.itemsize
        raw = b"" if 0 in shape else ctypes.string_at(low, size)
        fmt = (view.format or b"B").decode()
        return Truth(fmt, view.itemsize, shape, strides, view.buf, bool(view.readonly), raw, low)


def address_of(obj):
    """The address of a contiguous exporter's bytes, without our own code."""
    with buffer(obj, SIMPLE) as view:
        return view.buf


class Strided:
    """Bytes at an address in any layout, through __array_interface__; keeps `owner` alive."""

    def __init__(self, owner, address, code, shape, strides=None, readonly=False):
        self.owner = owner
        self.__array_interface__ = {
            "version": 3,
            "data": (address, readonly),
            "typestr": code,
            "shape": tuple(shape),
            "strides": None if strides is None else tuple(strides),
        }
